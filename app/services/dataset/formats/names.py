"""Names of files and columns as people mean them: what differs in writing alone is the same."""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import PurePosixPath

MAX_COMPARED = 2_000
"""Names that one which is not there is compared with, letter by letter."""


def composed(name: str) -> str:
    """Returns the name with each accented letter as one character: some systems write two."""
    return unicodedata.normalize("NFC", name)


def folded(name: str) -> str:
    """Returns a name without the differences that do not tell names apart: the size of letters, and
    how accents are written.
    """
    return composed(composed(name).casefold())


class NameIndex:
    """Finds the file that a row means, where its name is not written as the file's."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_last: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for name in names:
            last = folded(PurePosixPath(name).name)
            self._by_last.setdefault(last, []).append(name)
            self._by_stem.setdefault(PurePosixPath(last).stem, []).append(name)

    def find(self, wanted: str) -> str | None:
        """Returns the one file whose path ends in `wanted`; where several do, the one that is
        written exactly so. None where it is not certain.
        """
        found = self._that_end_in(wanted)
        if len(found) > 1:
            found = [name for name in found if _ends_in(composed(name), composed(wanted))]
        return found[0] if len(found) == 1 else None

    def near(self, wanted: str) -> str | None:
        """Returns a file that may be meant, for the message: of that name in several folders, with
        another ending, or with a letter or two that differ. Another number is another file.
        """
        last = PurePosixPath(folded(wanted)).name
        found = self._by_last.get(last) or self._by_stem.get(PurePosixPath(last).stem)
        if found:
            return found[0]
        if len(self._by_last) > MAX_COMPARED:
            return None
        numbered_alike = [name for name in self._by_last if _digits(name) == _digits(last)]
        close = get_close_matches(last, numbered_alike, n=1, cutoff=0.8)
        return self._by_last[close[0]][0] if close else None

    def _that_end_in(self, wanted: str) -> list[str]:
        aim = folded(wanted)
        names = self._by_last.get(PurePosixPath(aim).name, [])
        return [name for name in names if _ends_in(folded(name), aim)]


def _digits(name: str) -> str:
    return "".join(character for character in name if character.isdecimal())


def _ends_in(path: str, end: str) -> bool:
    return path == end or path.endswith(f"/{end}")


def find_meant(name: str, known: Sequence[str], others: Mapping[str, str]) -> str | None:
    """Returns the known name that an unknown one probably means. `others`: further
    words for them.
    """
    written = folded(name).strip().replace(" ", "_").replace("-", "_")
    if written in others:
        return others[written]
    close = get_close_matches(written, [*known, *others], n=1, cutoff=0.75)
    return others.get(close[0], close[0]) if close else None
