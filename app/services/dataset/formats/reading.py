"""Reads files into a checked dataset; nothing is stored here.

Everything that can be wrong without looking into the database is found in two passes: fields, ids
and missing images first, then the images themselves and their splits. Each pass tells all it found.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.lifecycle import DataFormat, Split
from app.run_results import WorkProgress
from app.services.dataset.formats.images import (
    BadImage,
    ImageSource,
    ParsedImage,
    as_imported,
    verify_image,
)
from app.services.dataset.formats.pictures import Picture, note_doubles
from app.services.dataset.formats.problems import Place as FilePlace
from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.rows import Row
from app.services.dataset.formats.sources import Progress, SourcedRow, SourceFile, read_rows
from app.services.refusals import WrongFile

Place = tuple[ImageSource, str]


@dataclass(frozen=True, slots=True)
class ParsedItem:
    row: Row
    image_sha256: str


@dataclass(frozen=True, slots=True)
class ParsedPicture:
    """A picture that came without a question."""

    row: Picture
    image_sha256: str


@dataclass(frozen=True)
class ParsedDataset:
    """Checked items with verified images. Close it: it keeps the zip files open."""

    items: tuple[ParsedItem, ...]
    pictures: tuple[ParsedPicture, ...]
    """Those without a question, each once, and none that an item shows."""
    images: Mapping[str, ParsedImage]
    splits: Mapping[str, tuple[Split, FilePlace]]
    """The split of each image that the file names one for, and the row that does."""
    warnings: tuple[str, ...]
    resources: ExitStack

    def close(self) -> None:
        self.resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_sources(
    sources: Sequence[SourceFile], *, format: DataFormat, progress: Progress | None = None
) -> ParsedDataset:
    """Read and check everything. Raises InvalidInput with all that is wrong."""
    with ExitStack() as stack:
        problems = Problems()
        notes: list[str] = []
        rows = _without_repeated(read_rows(sources, format, problems, notes, stack))
        if not rows and not problems.count:
            names = ", ".join(source.name for source in sources)
            raise WrongFile(
                Sentence(
                    "Nothing was imported: there are no rows in %(files)s. Rows come from files "
                    "that end in .jsonl, .csv, .json or .parquet, alone, in a folder or in a zip. "
                    "A folder or zip of pictures alone is read, too: PNG, JPEG, WebP, GIF or TIFF.",
                    files=names,
                )
            )
        _check_ids([row for row, _ in rows if isinstance(row, Row)], problems)
        places = _find_images(rows, problems)
        problems.raise_if_any()

        images = _verify_images(rows, places, problems, progress)
        problems.raise_if_any()
        shown = [
            (row, images[place].sha256)
            for (row, _), place in zip(rows, places, strict=True)
            if place is not None
        ]
        items = tuple(ParsedItem(row, sha256) for row, sha256 in shown if isinstance(row, Row))
        splits = _collect_splits(shown, problems)
        problems.raise_if_any()
        return ParsedDataset(
            items=items,
            pictures=_without_question(shown),
            images={image.sha256: image for image in images.values()},
            splits=splits,
            warnings=(
                *notes,
                *note_doubles(
                    (row.images[0], sha) for row, sha in shown if isinstance(row, Picture)
                ),
                *_warnings(items),
                *_notes_on_images(list(images.values())),
            ),
            resources=stack.pop_all(),
        )


def _without_repeated(rows: Sequence[SourcedRow]) -> list[SourcedRow]:
    """A release has a row per rationale: those that say the same of one item are one."""
    seen: dict[str, Row] = {}
    kept: list[SourcedRow] = []
    for row, sources in rows:
        if isinstance(row, Picture):
            kept.append((row, sources))
            continue
        first = seen.setdefault(row.external_id, row)
        if first is row or row.made_from is None or not first.says_the_same(row):
            kept.append((row, sources))
    return kept


def _check_ids(rows: Sequence[Row], problems: Problems) -> None:
    first: dict[str, FilePlace] = {}
    for row in rows:
        if row.external_id in first:
            problems.add(
                row.place,
                Sentence(
                    "the id %(id)s is taken already by %(place)s",
                    id=repr(row.external_id),
                    place=first[row.external_id].sentence(),
                ),
            )
        else:
            first[row.external_id] = row.place


def _find_images(rows: Sequence[SourcedRow], problems: Problems) -> list[Place | None]:
    """Returns the place of each row's image; a missing one is told once, with its first row."""
    places: list[Place | None] = []
    missing: set[str] = set()
    for row, sources in rows:
        place = _find_image(row, sources)
        places.append(place)
        if place is None and row.images[0] not in missing:
            missing.add(row.images[0])
            problems.add(row.place, _about_image(row, _missing(row, sources)))
    return places


def _missing(row: Row | Picture, sources: Sequence[ImageSource]) -> Sentence:
    """Says where the image was looked for, and names a file that may be meant."""
    if not sources:
        return Sentence("came without a folder or zip of images")
    listed = _listed(list(dict.fromkeys(source.label for source in sources)))
    near = next((name for source in sources if (name := source.near(row.images))), None)
    if near is None:
        return Sentence("is not in %(places)s", places=listed)
    return Sentence("is not in %(places)s; there is %(near)s", places=listed, near=near)


def _about_image(row: Row | Picture, fault: Sentence) -> Sentence:
    return Sentence("the image %(subject)s %(fault)s", subject=row.images[0], fault=fault)


def _listed(labels: Sequence[str]) -> str:
    """`a, b, c`, each still to be translated."""
    listed = labels[0]
    for label in labels[1:]:
        listed = Sentence("%(first)s, %(last)s", first=listed, last=label)
    return listed


def _find_image(row: Row | Picture, sources: Sequence[ImageSource]) -> Place | None:
    for source in sources:
        name = source.find(row.images)
        if name is not None:
            return source, name
    return None


def _verify_images(
    rows: Sequence[SourcedRow],
    places: Sequence[Place | None],
    problems: Problems,
    progress: Progress | None,
) -> dict[Place, ParsedImage]:
    """Decode every image once; several at a time, since decoding leaves Python's lock."""
    first_row: dict[Place, Row | Picture] = {}
    for (row, _), place in zip(rows, places, strict=True):
        if place is not None:
            first_row.setdefault(place, row)

    def verify(place: Place) -> ParsedImage | Sentence:
        try:
            return as_imported(verify_image(*place), first_row[place].made_from)
        except BadImage as error:
            return error.fault

    images: dict[Place, ParsedImage] = {}
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for done, (place, result) in enumerate(
            zip(first_row, pool.map(verify, first_row), strict=True), start=1
        ):
            if isinstance(result, Sentence):
                row = first_row[place]
                problems.add(row.place, _about_image(row, result))
            else:
                images[place] = result
            if progress and done % 50 == 0:
                progress(
                    WorkProgress(step=Sentence("checking images"), done=done, total=len(first_row))
                )
    return images


def _collect_splits(
    shown: Sequence[tuple[Row | Picture, str]], problems: Problems
) -> dict[str, tuple[Split, FilePlace]]:
    """The split of each image that has one; two rows that differ are told, both of them."""
    splits: dict[str, tuple[Split, FilePlace]] = {}
    for row, sha256 in shown:
        if row.split is None:
            continue
        split, place = splits.setdefault(sha256, (row.split, row.place))
        if split is not row.split:
            problems.add(
                row.place,
                Sentence(
                    "the image %(image)s is in split %(split)s, but in split %(other)s by "
                    "%(place)s. An image can be in one split only",
                    image=row.images[0],
                    split=str(row.split),
                    other=str(split),
                    place=place.sentence(),
                ),
            )
    return splits


def _without_question(shown: Sequence[tuple[Row | Picture, str]]) -> tuple[ParsedPicture, ...]:
    has_item = {sha256 for row, sha256 in shown if isinstance(row, Row)}
    found: dict[str, ParsedPicture] = {}
    for row, sha256 in shown:
        if isinstance(row, Picture) and sha256 not in has_item:
            found.setdefault(sha256, ParsedPicture(row, sha256))
    return tuple(found.values())


def _warnings(items: Sequence[ParsedItem]) -> Iterator[str]:
    n_without = sum(not item.row.gold_rationales for item in items)
    if n_without:
        yield Sentence(
            "%(n)s of %(all)s rows have no rationale: the rouge critic and the text metrics have "
            "nothing to compare with there.",
            n=Amount(n_without),
            all=Amount(len(items)),
        )
    seen: dict[tuple[str, str, str], str] = {}
    doubles = []
    for item in items:
        key = (item.image_sha256, item.row.question, item.row.answer)
        if key in seen:
            doubles.append(
                Sentence("%(id)s (as %(other)s)", id=item.row.external_id, other=seen[key])
            )
        seen.setdefault(key, item.row.external_id)
    if doubles:
        yield CountedSentence(
            "%(n)s row asks the same of the same image as another row: %(rows)s",
            "%(n)s rows ask the same of the same image as another row: %(rows)s",
            n=len(doubles),
            rows=_listed([*doubles[:10], *(["…"] if len(doubles) > 10 else [])]),
        )


def _notes_on_images(images: Sequence[ParsedImage]) -> Iterator[str]:
    n_images = len({image.sha256 for image in images})
    n_positions = len({image.sha256 for image in images if image.has_position})
    if n_positions:
        yield CountedSentence(
            "%(n)s of %(all)s images tells where it was taken (GPS). Nobody is shown that, and it "
            "is in no release; the file as you gave it stays in the store and in backups.",
            "%(n)s of %(all)s images tell where they were taken (GPS). Nobody is shown that, and "
            "it is in no release; the files as you gave them stay in the store and in backups.",
            n=n_positions,
            all=Amount(n_images),
        )
