"""Pictures that come without a question: rows that leave question and answer out, and folders and
zips in which there is nothing but pictures."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import Split
from app.models import Json
from app.services.dataset.formats.images import ArchiveSource, ImageSource, Members
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import (
    SPLITS,
    BadField,
    check_facts,
    check_image_name,
    check_split,
)

_COLUMNS = frozenset({"id", "image", "split", "facts"})
"""The columns of a row that asks nothing; its id names no item and is not kept."""
_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".tif", ".tiff"})
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that comes without a question. `images` are the names that its file may have."""

    place: Place
    images: tuple[str, ...]
    split: Split | None = None
    facts: Json | None = None
    made_from: None = None


def asks_nothing(columns: Iterable[str]) -> bool:
    """Whether columns are those of pictures alone: there is an image, and neither a question nor an
    answer nor anything else that belongs to them."""
    names = set(columns)
    return "image" in names and names <= _COLUMNS


def check_picture(place: Place, values: Mapping[str, Any], problems: Problems) -> Picture | None:
    """Returns the checked picture of a row, or None after its problems were added."""
    found: dict[str, Any] = {}
    before = problems.count
    for name, check in (
        ("images", lambda: (check_image_name(values.get("image")),)),
        ("split", lambda: check_split(values.get("split"))),
        ("facts", lambda: check_facts(values.get("facts"))),
    ):
        try:
            found[name] = check()
        except BadField as error:
            problems.add(place, error.problem)
    return Picture(place, **found) if problems.count == before else None


class _Listed(ArchiveSource):
    """The pictures of a folder or zip by the names that they have in it."""

    def find(self, names: tuple[str, ...]) -> str | None:
        """Returns the name of the picture, which was read off the list."""
        return names[0]


def is_picture(name: str) -> bool:
    """Whether a file is a picture by its name."""
    return PurePosixPath(name).suffix.lower() in _ENDINGS


def list_pictures(archive: Members, notes: list[str]) -> list[tuple[Picture, list[ImageSource]]]:
    """Returns every picture of a folder or zip that holds no rows, each with where it lies; the
    split is that of the nearest folder that is called as one. Other files are left out, and
    noted."""
    source: ImageSource = _Listed(archive)
    names = sorted(archive.members)
    pictures = [name for name in names if is_picture(name)]
    left_out = sorted(set(names).difference(pictures))
    if pictures and left_out:
        notes.append(
            CountedSentence(
                "%(n)s file of %(file)s is no picture by its name and was left out: %(names)s",
                "%(n)s files of %(file)s are no pictures by their names and were left out: "
                "%(names)s",
                n=len(left_out),
                file=archive.name,
                names=name_some(left_out),
            )
        )
    return [
        (Picture(Place(archive.name, number, "picture"), (name,), _split_of(name)), [source])
        for number, name in enumerate(pictures, start=1)
    ]


def _split_of(name: str) -> Split | None:
    folders = reversed(PurePosixPath(name).parts[:-1])
    return next((SPLITS[part.lower()] for part in folders if part.lower() in SPLITS), None)


def note_doubles(pictures: Iterable[tuple[str, str]]) -> Iterable[str]:
    """Yields a note on pictures that came more than once, under one name or several. pictures: the
    name and the content of each."""
    first: dict[str, str] = {}
    doubles = []
    for name, content in pictures:
        if content in first:
            doubles.append(Sentence("%(id)s (as %(other)s)", id=name, other=first[content]))
        first.setdefault(content, name)
    if doubles:
        yield CountedSentence(
            "%(n)s picture is the same as another one and counts once: %(names)s",
            "%(n)s pictures are the same as another one and count once: %(names)s",
            n=len(doubles),
            names=name_some(doubles),
        )


def name_some(names: list[str] | list[Sentence]) -> str:
    """Returns the first names of a list as one text, each still to be translated."""
    listed: str = names[0]
    for name in [*names[1:_MAX_NAMED], *(["…"] if len(names) > _MAX_NAMED else [])]:
        listed = Sentence("%(first)s, %(last)s", first=listed, last=name)
    return listed
