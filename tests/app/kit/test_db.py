"""One commit per unit of work, and messages that leave only after it."""

import base64
import itertools
import json
import logging
import socket
from collections.abc import Iterator

import pytest
import redis
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, sessionmaker

from app.embedded import EmbeddedServices
from app.kit import jobs
from app.kit.db import on_commit, session_scope
from app.kit.settings import get_settings
from app.lifecycle import Job
from app.models import Project, Run
from app.services.runs import runs
from tests.support.databases import connected
from tests.support.factories import make_project

Sessions = sessionmaker[Session]


@pytest.fixture
def broker(services: EmbeddedServices) -> Iterator[redis.Redis]:
    """The real Redis, with empty queues before and after."""
    jobs.get_celery.cache_clear()
    assert services.redis_url is not None
    with redis.Redis.from_url(services.redis_url) as client:
        client.delete("cpu", "gpu")
        yield client
        client.delete("cpu", "gpu")
    jobs.get_celery.cache_clear()


@pytest.fixture
def sent() -> list[str]:
    return []


def n_waiting(broker: redis.Redis, queue: str = "cpu") -> int:
    return int(broker.llen(queue))  # type: ignore[arg-type]


def read_message(broker: redis.Redis, queue: str = "cpu") -> list[int]:
    """Arguments of the message that waits, as a worker would read them."""
    message = json.loads(broker.lindex(queue, 0))  # type: ignore[arg-type]
    arguments: list[int] = json.loads(base64.b64decode(message["body"]))[0]
    return arguments


def request_import_and_raise(error: BaseException) -> None:
    with session_scope() as session:
        project = make_project(session)
        runs.request_run(session, project_id=project.id, job=Job.IMPORT)
        raise error


def count_projects(sessions: Sessions) -> int:
    with sessions() as session:
        return session.execute(select(func.count()).select_from(Project)).scalar_one()


def test_block_that_ends_well_is_committed(database: Sessions) -> None:
    with session_scope() as session:
        make_project(session)
    assert count_projects(database) == 1


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
def test_block_that_raises_leaves_nothing(database: Sessions, kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        request_import_and_raise(kind())
    assert count_projects(database) == 0


def test_message_leaves_with_the_commit_and_once(database: Sessions, broker: redis.Redis) -> None:
    with session_scope() as session:
        project = make_project(session)
        run = runs.request_run(session, project_id=project.id, job=Job.IMPORT)
        assert n_waiting(broker) == 0
    assert n_waiting(broker) == 1
    assert read_message(broker) == [run.id]
    with session_scope() as session:
        make_project(session)
    assert n_waiting(broker) == 1


def test_second_commit_of_a_session_sends_nothing_again(
    database: Sessions, sent: list[str]
) -> None:
    with database() as session:
        make_project(session)
        on_commit(session, lambda: sent.append("first"))
        session.commit()
        make_project(session)
        session.commit()
    assert sent == ["first"]


def test_messages_leave_in_their_order(database: Sessions, sent: list[str]) -> None:
    with session_scope() as session:
        for name in ("a", "b", "c"):
            on_commit(session, lambda name=name: sent.append(name))  # type: ignore[misc]
    assert sent == ["a", "b", "c"]


def test_rollback_sends_nothing_also_not_later(database: Sessions, broker: redis.Redis) -> None:
    with database() as session:
        project = make_project(session)
        runs.request_run(session, project_id=project.id, job=Job.IMPORT)
        session.rollback()
        make_project(session)
        session.commit()
    assert n_waiting(broker) == 0


def test_error_in_the_block_sends_nothing(database: Sessions, broker: redis.Redis) -> None:
    with pytest.raises(ValueError, match="no"):
        request_import_and_raise(ValueError("no"))
    assert n_waiting(broker) == 0


def test_released_savepoint_sends_nothing_by_itself(database: Sessions, sent: list[str]) -> None:
    with database() as session:
        with session.begin_nested():
            make_project(session)
            on_commit(session, lambda: sent.append("inside"))
        on_commit(session, lambda: sent.append("outside"))
        with session.begin_nested():
            make_project(session)
        assert sent == []
        session.commit()
    assert sent == ["inside", "outside"]


def test_rolled_back_savepoint_forgets_only_its_own(database: Sessions, sent: list[str]) -> None:
    with database() as session:
        on_commit(session, lambda: sent.append("before"))
        savepoint = session.begin_nested()
        on_commit(session, lambda: sent.append("lost"))
        savepoint.rollback()
        on_commit(session, lambda: sent.append("after"))
        session.commit()
    assert sent == ["before", "after"]


def test_rolled_back_savepoint_forgets_what_was_released_into_it(
    database: Sessions, sent: list[str]
) -> None:
    with database() as session:
        outer = session.begin_nested()
        with session.begin_nested():
            make_project(session)
            on_commit(session, lambda: sent.append("of a row that is gone"))
        outer.rollback()
        session.commit()
    assert sent == []
    assert count_projects(database) == 0


def test_refused_row_in_a_savepoint_forgets_nothing_of_before(
    database: Sessions, sent: list[str]
) -> None:
    """The pattern "insert and see whether the constraint objects" is no rollback of the rest."""
    with database() as session:
        slug = make_project(session).slug
        on_commit(session, lambda: sent.append("before"))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.add(Project(name="Again", slug=slug, settings={}, pseudonym_secret="x"))
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(Project).values(name="x", slug=slug, pseudonym_secret="x"))
        on_commit(session, lambda: sent.append("after"))
        session.commit()
    assert sent == ["before", "after"]


def test_session_inside_a_foreign_transaction_sends_with_its_own_commit(
    session: Session, sent: list[str]
) -> None:
    """As tests use it: the code's commit counts, although the test rolls all of it back."""
    on_commit(session, lambda: sent.append("committed"))
    session.commit()
    assert sent == ["committed"]


def test_broker_that_is_away_makes_no_error(
    database: Sessions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{closed_port()}/0")
    get_settings.cache_clear()
    jobs.get_celery.cache_clear()
    try:
        with caplog.at_level(logging.WARNING), session_scope() as session:
            project = make_project(session)
            run = runs.request_run(session, project_id=project.id, job=Job.IMPORT)
    finally:
        get_settings.cache_clear()
        jobs.get_celery.cache_clear()
    with database() as session:
        assert session.get_one(Run, run.id).status.value == "queued"  # the sweep sends it again
    assert "the broker is away" in caplog.text
    assert f"run {run.id} is left to the sweep" in caplog.text


def test_a_broker_that_says_nothing_is_tried_once_for_many_runs(
    database: Sessions, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first run waits for it for a second, the next ones not at all."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        get_settings.cache_clear()
        jobs.get_celery.cache_clear()
        try:
            with caplog.at_level(logging.WARNING):
                ids = [request_import() for _ in range(3)]
        finally:
            get_settings.cache_clear()
            jobs.get_celery.cache_clear()
        silent.setblocking(False)
        assert n_callers(silent) == 1
    assert all(f"run {run_id} is left to the sweep" in caplog.text for run_id in ids)


def request_import() -> int:
    with session_scope() as session:
        project = make_project(session)
        return runs.request_run(session, project_id=project.id, job=Job.IMPORT).id


def n_callers(listener: socket.socket) -> int:
    """How many connections have been made to a server that never took one."""
    for number in itertools.count():
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return number
    raise AssertionError


def test_message_that_fails_does_not_hold_back_the_next(
    database: Sessions, sent: list[str]
) -> None:
    def fail() -> None:
        raise ConnectionError("the broker is away")

    with session_scope() as session:
        make_project(session)
        on_commit(session, fail)
        on_commit(session, lambda: sent.append("next"))
    assert sent == ["next"]
    assert count_projects(database) == 1


def test_message_may_open_a_transaction_of_its_own(database: Sessions, sent: list[str]) -> None:
    """Who reacts to a commit sees it, and may write."""

    def react() -> None:
        with session_scope() as other:
            sent.append(f"sees {other.execute(select(func.count(Project.id))).scalar_one()}")
            make_project(other)

    with session_scope() as session:
        make_project(session)
        on_commit(session, react)
    assert sent == ["sees 1"]
    assert count_projects(database) == 2


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_a_connection_that_the_server_closed_is_replaced(
    database: sessionmaker[Session],
) -> None:
    with session_scope() as session:
        pid = session.scalar(text("SELECT pg_backend_pid()"))
    with connected(str(get_settings().resolve_database_url())) as connection:
        connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with session_scope() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) != pid


def test_an_answer_names_its_columns_and_a_change_has_none(database: Sessions) -> None:
    with session_scope() as session:
        found = session.execute(text("SELECT 1 AS größe, '{2,3}'::bigint[] AS two"))
        assert list(found.keys()) == ["größe", "two"]
        assert found.one() == (1, [2, 3])
        assert session.execute(text("SELECT")).all() == [()]
        changed = session.execute(text("UPDATE project SET name = name"))
        assert not changed.returns_rows
