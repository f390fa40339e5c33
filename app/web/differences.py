"""Two versions of a text, side by side in one list of lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

N_AROUND = 1
"""Lines shown before and after a change, to say where it is."""


@dataclass(frozen=True)
class DiffLine:
    """A line of the old text, of the new one, or of both; `gap` stands for lines left out."""

    kind: Literal["same", "added", "removed", "gap"]
    text: str = ""


def diff_lines(old: str, new: str) -> tuple[DiffLine, ...]:
    """What changed, with the lines around it; empty where nothing did. Blank lines do not count."""
    before = [line for line in old.splitlines() if line.strip()]
    after = [line for line in new.splitlines() if line.strip()]
    groups = SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(N_AROUND)
    lines: list[DiffLine] = []
    for group in groups:
        if lines or group[0][1] > 0:
            lines.append(DiffLine("gap"))
        lines.extend(_lines_of(group, before, after))
        last = group[-1][2]
    if lines and last < len(before):
        lines.append(DiffLine("gap"))
    return tuple(lines)


def _lines_of(
    group: Sequence[tuple[str, int, int, int, int]], before: list[str], after: list[str]
) -> Iterator[DiffLine]:
    for tag, old_from, old_to, new_from, new_to in group:
        if tag == "equal":
            yield from (DiffLine("same", line) for line in before[old_from:old_to])
        else:
            yield from (DiffLine("removed", line) for line in before[old_from:old_to])
            yield from (DiffLine("added", line) for line in after[new_from:new_to])
