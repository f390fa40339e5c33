"""What was done already, or is done twice at the same moment: one time it counts, never a crash."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices
from app.kit.db import session_scope
from app.kit.errors import Conflict, NotAllowed
from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus
from app.main import create_app
from app.models import Membership, Project, Round, Run, User
from app.services.accounts import accounts
from app.services.projects import projects
from app.services.rounds.starting import start_round
from app.services.runs import runs
from tests.support.browsing import sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
)

OPEN = set(RoundStatus) - {RoundStatus.COMPLETED, RoundStatus.CANCELLED}
ALLOWED = {
    (RoundStatus.DRAFT, "start"),
    (RoundStatus.JUDGING, "close"),
    (RoundStatus.CLOSING, "close"),  # asking twice is asking once
    *((status, "cancel") for status in OPEN),
}


@pytest.fixture
def app(services: EmbeddedServices) -> FastAPI:
    """These tests add routes to the application."""
    return create_app()


@pytest.mark.parametrize(
    ("status", "action"),
    [
        (status, action)
        for status in RoundStatus
        for action in ("start", "close", "retry", "cancel")
        if (status, action) not in ALLOWED
    ],
)
def test_a_round_that_is_elsewhere_refuses_with_a_sentence(
    client: TestClient, session: Session, status: RoundStatus, action: str
) -> None:
    project = make_project(session)
    round_ = make_round(session, project, status=RoundStatus.DRAFT)
    round_.decision = Decision.NO_PROGRESS if status is RoundStatus.COMPLETED else None
    round_.status = status
    make_item(session, project)
    admin = sign_in(client, session, make_user(session, is_admin=True))
    answer = admin.post(f"/rounds/{round_.id}/{action}")
    assert answer.status_code == 409
    assert f"Round {round_.number} is" in text_of(answer, "main") or action == "retry"
    session.refresh(round_)
    assert round_.status is status


def test_starting_a_started_round_again_is_refused(client: TestClient, session: Session) -> None:
    project = make_project(session)
    make_item(session, project)
    round_ = make_round(session, project, status=RoundStatus.DRAFT)
    admin = sign_in(client, session, make_user(session, is_admin=True))
    assert admin.post(f"/rounds/{round_.id}/start").status_code == 303
    again = admin.post(f"/rounds/{round_.id}/start")
    assert again.status_code == 409
    assert "only a draft can be started" in text_of(again, "main")


def make_failed_run(session: Session) -> Run:
    run = make_run(session, make_project(session), job=Job.IMPORT)
    run.status, run.error = RunStatus.FAILED, "The file is damaged."
    run.finished_at = datetime.now(UTC)
    session.flush()
    return run


def test_a_run_is_retried_once(session: Session) -> None:
    failed = make_failed_run(session)
    runs.retry_run(session, failed, actor=None)
    session.flush()
    with pytest.raises(Conflict, match="retried already"):
        runs.retry_run(session, failed, actor=None)


# --- Two at the same moment -----------------------------------------------------------------

Change = Callable[[Session], None]


def overlapping(first: Change, second: Change) -> list[Exception | None]:
    """Do both in transactions that have both read before either stores. Returns what each raised.

    The second begins while the first is not stored yet; where it has to wait for the first, it
    waits.
    """
    has_read, may_go_on = threading.Event(), threading.Event()

    def run_second() -> Exception | None:
        try:
            with session_scope() as session:
                load_all(session)
                has_read.set()
                may_go_on.wait(10)
                second(session)
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run_second)
        assert has_read.wait(10)
        try:
            with session_scope() as session:
                first(session)
                session.flush()
                may_go_on.set()
                # Time for the second to come to the lock, or past the place where it should be.
                with pytest.raises(TimeoutError):
                    running.result(0.3)
        finally:
            may_go_on.set()
        return [None, running.result(20)]


def load_all(session: Session) -> None:
    """What a request has read when its handler begins."""
    session.info["seen"] = [
        *session.scalars(select(User)),
        *session.scalars(select(Membership)),
        *session.scalars(select(Round)),
        *session.scalars(select(Run)),
    ]


def test_two_administrators_who_close_each_other_leave_one(
    database: sessionmaker[Session],
) -> None:
    with session_scope() as session:
        a, b = (make_user(session, is_admin=True).id for _ in range(2))

    def closing(actor: int, other: int) -> Change:
        return lambda session: accounts.set_disabled(
            session, session.get_one(User, other), True, actor=session.get_one(User, actor)
        )

    _, refused = overlapping(closing(a, b), closing(b, a))
    assert isinstance(refused, NotAllowed)
    with session_scope() as session:
        assert session.get_one(User, a).disabled_at is None
        assert session.get_one(User, b).disabled_at is not None


def test_one_who_closes_and_one_who_demotes_leave_one(database: sessionmaker[Session]) -> None:
    with session_scope() as session:
        a, b = (make_user(session, is_admin=True).id for _ in range(2))

    def close(session: Session) -> None:
        accounts.set_disabled(
            session, session.get_one(User, b), True, actor=session.get_one(User, a)
        )

    def demote(session: Session) -> None:
        accounts.set_admin(session, session.get_one(User, a), False, actor=session.get_one(User, b))

    _, refused = overlapping(close, demote)
    assert isinstance(refused, NotAllowed)
    with session_scope() as session:
        assert session.get_one(User, a).is_admin


def test_two_admins_of_a_project_who_remove_each_other_leave_one(
    database: sessionmaker[Session],
) -> None:
    with session_scope() as session:
        project = make_project(session)
        people = [make_user(session) for _ in range(2)]
        members = [make_membership(session, project, person, Role.ADMIN) for person in people]
        (a, b), (in_a, in_b) = [p.id for p in people], [m.id for m in members]

    def removing(actor: int, membership: int) -> Change:
        return lambda session: projects.remove_member(
            session,
            session.get_one(Membership, membership),
            actor=session.get_one(User, actor),
        )

    _, refused = overlapping(removing(a, in_b), removing(b, in_a))
    assert isinstance(refused, Conflict)


def test_a_round_started_twice_at_once_starts_once(database: sessionmaker[Session]) -> None:
    with session_scope() as session:
        project = make_project(session)
        make_item(session, project)
        round_id = make_round(session, project, status=RoundStatus.DRAFT).id

    def start(session: Session) -> None:
        start_round(session, session.get_one(Round, round_id), actor=None)

    _, refused = overlapping(start, start)
    assert isinstance(refused, Conflict)


def test_a_run_retried_twice_at_once_is_retried_once(database: sessionmaker[Session]) -> None:
    with session_scope() as session:
        run_id = make_failed_run(session).id

    def retry(session: Session) -> None:
        runs.retry_run(session, session.get_one(Run, run_id), actor=None)

    _, refused = overlapping(retry, retry)
    assert isinstance(refused, Conflict)


def test_what_only_the_database_refuses_is_a_conflict_and_no_crash(
    client: TestClient, session: Session
) -> None:
    @client.app.post("/twice")  # type: ignore[attr-defined]
    def twice() -> None:
        for _ in range(2):
            session.add(Project(name="Scenes", slug="scenes", pseudonym_secret="x"))
            session.flush()

    answer = client.post("/twice")
    assert answer.status_code == 409
    assert "at this moment" in text_of(answer, "main")
