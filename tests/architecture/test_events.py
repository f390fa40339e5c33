"""Every event has a class, is recorded through one door, and stands on the page about them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.events import EVENTS, BaseEvent
from tests.architecture.events_page import PAGE, write_page
from tests.architecture.lock import REPOSITORY

DOOR = REPOSITORY / "app" / "services" / "events.py"
OUR_CODE = [
    path for name in ("app", "worker") for path in sorted((REPOSITORY / name).rglob("*.py"))
]
BY_STATEMENT = REPOSITORY / "app" / "queries" / "judging" / "submissions.py"
"""Writes the row that it is given beside others, in one statement."""


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def test_the_page_of_the_events_is_as_their_classes_say() -> None:
    """After a change to an event: `python -m tests.architecture.events_page`."""
    assert PAGE.read_text(encoding="utf-8") == write_page()


def test_every_row_of_the_history_is_made_by_one_function() -> None:
    def makes_row(node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        called = ast.unparse(node.func)
        inserts = called in {"insert", "pg_insert", "postgresql.insert"} and bool(node.args)
        return called == "Event" or (inserts and ast.unparse(node.args[0]) == "Event")

    found = [path for path in OUR_CODE for node in nodes(path) if makes_row(node)]
    assert found == [DOOR]
    written = [path for path in OUR_CODE if "INSERT INTO event" in path.read_text(encoding="utf-8")]
    assert written == [BY_STATEMENT]


def test_no_tag_is_written_outside_the_classes() -> None:
    """Whoever needs a tag asks its class."""
    spelled = [
        f"{path.relative_to(REPOSITORY)}: {node.value}"
        for path in OUR_CODE
        if (REPOSITORY / "app" / "events") not in path.parents
        for node in nodes(path)
        if isinstance(node, ast.Constant) and node.value in EVENTS
    ]
    assert spelled == []


@pytest.mark.parametrize("kind", list(EVENTS.values()), ids=lambda kind: kind.__name__)
def test_every_event_is_recorded_somewhere(kind: type[BaseEvent]) -> None:
    services = [path for path in OUR_CODE if REPOSITORY / "app" / "services" in path.parents]
    assert any(
        isinstance(node, ast.Name) and node.id == kind.__name__
        for path in services
        for node in nodes(path)
    )
    assert kind.__doc__, "and says what happened"


def test_a_tag_belongs_to_one_event() -> None:
    with pytest.raises(TypeError, match="has the tag round:decided of RoundDecided"):
        type("Again", (BaseEvent,), {"tag": "round:decided", "__module__": __name__})
