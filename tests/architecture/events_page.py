"""The page that lists the events of the history (docs/events.md), written from their classes.

Run as `python -m tests.architecture.events_page` after a change to `app/events/`.
"""

import inspect
import re
from enum import StrEnum
from itertools import groupby
from typing import Any, get_args

from app.events import EVENTS, BaseEvent
from app.events.base import OwnWords
from app.kit.processes.programs import run_program
from tests.architecture.lock import REPOSITORY

PAGE = REPOSITORY / "docs" / "events.md"
MOST_VALUES = 3
HEADER = """\
# Events

The history of an installation is the table `event`: one appended row for each change that a
person may later ask about, with its tag, its details as JSON, when it happened, and, where they
are known, the project, the round and the person who did it. The pages of rounds and items show
theirs, in words. A row is never changed or deleted, but for two reasons: erasing a person takes
out the details in *italics*, which are their own words, and deleting a project takes its
history along.

Rows of other versions stay readable: a detail that is not named here is passed over, one that
may be missing reads as nothing, and a row with another tag, or with details that do not fit, is
shown by the words of its tag.

This page is written from the classes in `app/events/`, which also say each event's sentence for
people.
"""


def write_page() -> str:
    """Returns the whole page: one table for each area of events, in the order of their classes."""
    parts = [HEADER]
    for area, kinds in groupby(EVENTS.values(), key=lambda kind: kind.__module__):
        title = area.rpartition(".")[2].capitalize()
        parts += [f"## {title}\n", "| Tag | What happened | Details |", "| --- | --- | --- |"]
        parts += [_row(kind) for kind in kinds]
        parts.append("")
    return "\n".join(parts)


def _row(kind: type[BaseEvent]) -> str:
    told = " ".join((inspect.getdoc(kind) or "").split())
    cells = (f"`{kind.tag}`", told, ", ".join(_details(kind)))
    return "| " + " | ".join(cells) + " |"


def _details(kind: type[BaseEvent]) -> list[str]:
    lines = []
    for name, field in kind.model_fields.items():
        words = _words(field.annotation)
        said = f"`{name}` ({words if field.is_required() else f'{words}, may be missing'})"
        lines.append(f"*{said}*" if OwnWords() in field.metadata else said)
    return lines


def _words(kind: Any) -> str:
    """Returns what a detail holds: the few values of an enum or its name, or the kind of JSON."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        if len(kind) > MOST_VALUES:
            return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
        return ", ".join(f"`{member.value}`" for member in kind)
    possible = [entry for entry in get_args(kind) if entry is not type(None)]
    plain = possible[0] if len(possible) == 1 else kind
    return _KINDS[str(plain) if get_args(plain) else plain]


_KINDS: dict[Any, str] = {
    bool: "yes or no",
    int: "number",
    float: "number",
    str: "text",
    "tuple[int, ...]": "numbers",
    "dict[str, typing.Any]": "fields with their values",
    "dict[str, tuple[typing.Any, typing.Any]]": "settings, each with its old and new value",
}


def main() -> None:
    """Writes the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


if __name__ == "__main__":
    run_program(main, name="events_page")
