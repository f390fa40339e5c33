"""Counting queries, so that lists cannot ask once per row."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session


@pytest.fixture
def count_queries(session: Session) -> Iterator[Callable[[Callable[[], object]], int]]:
    """Number of statements that a call sends (the test's own pending rows are stored before)."""
    connection = session.connection()
    statements: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_: object) -> None:
        if not statement.startswith(("SAVEPOINT", "RELEASE")):
            statements.append(statement)

    event.listen(connection, "before_cursor_execute", note)

    def count(call: Callable[[], object]) -> int:
        session.commit()
        statements.clear()
        call()
        return len(statements)

    yield count
    event.remove(connection, "before_cursor_execute", note)
