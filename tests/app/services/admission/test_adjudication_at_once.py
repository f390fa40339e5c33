"""Adjudication by several at the same moment, each in a transaction of their own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.errors import StaleVersion
from app.lifecycle import Role, RoundStatus
from app.models import Adjudication, Project, Round, RoundItem, User
from app.services.admission.adjudication import adjudicate, find_dispute
from app.services.judging.ending import end_judging
from app.services.refusals import RoundNotJudging
from tests.support.factories import make_membership, make_project, make_user
from tests.support.quality.disputes import make_disputed_round

WAIT_SECONDS = 0.3


@pytest.fixture
def ids(database: sessionmaker[Session]) -> tuple[int, int, list[int]]:
    """A committed round with a disputed item, and its two adjudicators."""
    with session_scope() as session:
        project = make_project(session)
        round_ = make_disputed_round(session, project, n_items=1)
        admins = [make_user(session) for _ in range(2)]
        for admin in admins:
            make_membership(session, session.get_one(Project, project.id), admin, Role.ADMIN)
        item_id = session.scalars(select(RoundItem.item_id)).one()
        return round_.id, item_id, [admin.id for admin in admins]


def decide(
    session: Session, round_id: int, item_id: int, user_id: int, version: str, *, fits: bool
) -> None:
    round_ = session.get_one(Round, round_id)
    user = session.get_one(User, user_id)
    asked = find_dispute(session, round_, item_id, user).open_to_decision
    adjudicate(session, round_, item_id, dict.fromkeys(asked, fits), version=version, actor=user)


def behind(first: Callable[[Session], object], second: Callable[[], object]) -> object:
    """Does the second, in another thread, while the first is not committed; returns what it raises
    or gives."""
    with ThreadPoolExecutor(1) as pool:
        with session_scope() as session:
            first(session)
            session.flush()  # it holds its locks
            waiting = pool.submit(second)
            threading.Event().wait(WAIT_SECONDS)
            assert not waiting.done(), "it waits"
        return waiting.exception() or waiting.result()


def test_of_two_decisions_at_once_the_second_is_told(ids: tuple[int, int, list[int]]) -> None:
    round_id, item_id, (ada, ben) = ids
    with session_scope() as session:
        seen = find_dispute(
            session, session.get_one(Round, round_id), item_id, session.get_one(User, ada)
        ).version

    def second() -> None:
        with session_scope() as session:
            decide(session, round_id, item_id, ben, seen, fits=False)

    error = behind(lambda session: decide(session, round_id, item_id, ada, seen, fits=True), second)
    assert isinstance(error, StaleVersion)
    with session_scope() as session:
        assert set(session.scalars(select(Adjudication.decided_by_id))) == {ada}


def test_a_decision_behind_a_close_is_refused(ids: tuple[int, int, list[int]]) -> None:
    round_id, item_id, (ada, _) = ids
    with session_scope() as session:
        seen = find_dispute(
            session, session.get_one(Round, round_id), item_id, session.get_one(User, ada)
        ).version

    def second() -> None:
        with session_scope() as session:
            decide(session, round_id, item_id, ada, seen, fits=True)

    error = behind(
        lambda session: end_judging(session, session.get_one(Round, round_id), actor=None), second
    )
    assert isinstance(error, RoundNotJudging)
    with session_scope() as session:
        assert not session.scalars(select(Adjudication)).all()


def test_a_close_waits_for_a_decision(ids: tuple[int, int, list[int]]) -> None:
    round_id, item_id, (ada, _) = ids
    with session_scope() as session:
        seen = find_dispute(
            session, session.get_one(Round, round_id), item_id, session.get_one(User, ada)
        ).version

    def second() -> None:
        with session_scope() as session:
            end_judging(session, session.get_one(Round, round_id), actor=None)

    behind(lambda session: decide(session, round_id, item_id, ada, seen, fits=True), second)
    with session_scope() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.CLOSING
        assert len(session.scalars(select(Adjudication)).all()) == 2
