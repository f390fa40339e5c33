"""Two versions of a text, side by side in one list of lines.

People write the texts, so neither the work nor the list may grow without limit: equal lines at both
ends cost nothing, the changes between them are looked for with so many steps and no more, and a
list that would be too long for anybody to read is cut.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

N_AROUND = 1
"""Lines shown before and after a change, to say where it is."""
MOST_LINES = 400
"""More are not shown: who changed that much has written a new text."""
MOST_STEPS = 300_000
"""A fraction of a second. Texts that differ more are shown as one taken for the other."""


class Mark(StrEnum):
    """Says of a line whether it stands in both texts, in the new one, or in the old one.

    A gap stands for lines left out, a cut at the end of a list that was too long.
    """

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    GAP = "gap"
    CUT = "cut"


@dataclass(frozen=True)
class DiffLine:
    """A line of the old text, of the new one, or of both; empty where lines are left out."""

    kind: Mark
    text: str = ""


def diff_lines(old: str, new: str) -> tuple[DiffLine, ...]:
    """Returns the changes with the lines around them, or nothing. Blank lines do not count."""
    before = [line for line in old.splitlines() if line.strip()]
    after = [line for line in new.splitlines() if line.strip()]
    lines: list[DiffLine] = []
    for line in _with_gaps(list(_edits(before, after))):
        if len(lines) == MOST_LINES:
            return (*lines, DiffLine(Mark.CUT))
        lines.append(line)
    return tuple(lines)


def _with_gaps(edits: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """The changes and their surroundings; a gap for each stretch of equal lines left out."""
    changed = [place for place, line in enumerate(edits) if line.kind is not Mark.SAME]
    is_shown = bytearray(len(edits))
    for place in changed:
        first, last = max(place - N_AROUND, 0), min(place + N_AROUND, len(edits) - 1)
        is_shown[first : last + 1] = b"\x01" * (last + 1 - first)
    was_shown = True
    for line, shown in zip(edits, is_shown, strict=True):
        if shown:
            yield line
        elif was_shown and changed:
            yield DiffLine(Mark.GAP)
        was_shown = bool(shown)


def _edits(before: Sequence[str], after: Sequence[str]) -> Iterator[DiffLine]:
    """Every line of both, in order: same, removed or added."""
    shorter = min(len(before), len(after))
    n_head = _count_equal(before, after, shorter)
    n_tail = _count_equal(before[n_head:][::-1], after[n_head:][::-1], shorter - n_head)
    old = before[n_head : len(before) - n_tail]
    new = after[n_head : len(after) - n_tail]
    yield from (DiffLine(Mark.SAME, line) for line in before[:n_head])
    matches = _find_matches(old, new)
    old_place = new_place = 0
    for old_match, new_match in [*matches, (len(old), len(new))]:
        yield from (DiffLine(Mark.REMOVED, line) for line in old[old_place:old_match])
        yield from (DiffLine(Mark.ADDED, line) for line in new[new_place:new_match])
        yield from (DiffLine(Mark.SAME, line) for line in old[old_match : old_match + 1])
        old_place, new_place = old_match + 1, new_match + 1
    yield from (DiffLine(Mark.SAME, line) for line in before[len(before) - n_tail :])


def _count_equal(left: Sequence[str], right: Sequence[str], most: int) -> int:
    for place in range(most):
        if left[place] != right[place]:
            return place
    return most


def _find_matches(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Places of equal lines, as many as there can be; none where finding them takes too long.

    The greedy algorithm of Myers (1986): on diagonal k = x - y, `ends[k]` is how far into
    the old text one comes with a number of changes, which grows until both texts are read.
    """
    ends = {1: 0}
    history: list[dict[int, int]] = []
    n_steps = 0
    for n_changes in range(len(old) + len(new) + 1):
        history.append(ends)
        reached: dict[int, int] = {}
        for diagonal in range(-n_changes, n_changes + 1, 2):
            x = _enter(ends, diagonal, n_changes)
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y, n_steps = x + 1, y + 1, n_steps + 1
            reached[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _walk_back(history, len(old), len(new))
        n_steps += n_changes + 1
        if n_steps > MOST_STEPS:
            return []
        ends = reached
    return []


def _enter(ends: dict[int, int], diagonal: int, n_changes: int) -> int:
    """Returns the position at which a diagonal is entered with one more change."""
    if _is_entered_by_new_line(ends, diagonal, n_changes):
        return ends[diagonal + 1]
    return ends[diagonal - 1] + 1


def _is_entered_by_new_line(ends: dict[int, int], diagonal: int, n_changes: int) -> bool:
    """Whether by a line of the new text, or else by leaving out one of the old text."""
    if diagonal in (-n_changes, n_changes):
        return diagonal == -n_changes
    return ends[diagonal - 1] < ends[diagonal + 1]


def _walk_back(history: Sequence[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    """The equal lines on the way from the end to the beginning, in their order."""
    matches: list[tuple[int, int]] = []
    for n_changes in range(len(history) - 1, -1, -1):
        ends, diagonal = history[n_changes], x - y
        entered = _enter(ends, diagonal, n_changes)
        while x > entered and x > 0 and y > 0:
            x, y = x - 1, y - 1
            matches.append((x, y))
        if _is_entered_by_new_line(ends, diagonal, n_changes):
            y -= 1
        else:
            x -= 1
    return matches[::-1]
