"""Pages store nothing: they are built in transactions in which the database refuses to write.

What a request stores besides is what its route asks a service for, by name.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import InternalError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit import db
from app.lifecycle import RoundStatus
from app.models import Item, Judgement, Project, Round, User
from app.opinions import NOTHING
from app.queries.projects.guidelines import put_reading
from app.services.projects.guidelines import update_guidelines
from app.web.pages.dataset.items import item_page
from app.web.pages.judging.conflict import build_conflict
from app.web.pages.judging.mine import build_mine, build_my_work
from app.web.pages.judging.page import build_page
from app.web.pages.judging.practice import build_start
from app.web.pages.judging.today import day_start
from app.web.pages.judging.work import build_empty, build_work, look_up
from app.web.pages.projects.guidelines import guidelines_page
from tests.support.browsing import sign_in
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import open_item, submit

TODAY = day_start({}, datetime.now(UTC))


class Place:
    """A round of three items: one submitted, one held, one free; the guidelines changed twice."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.project: Project = make_project(session)
        self.user: User = make_user(session)
        make_membership(session, self.project, self.user)
        self.round: Round = make_round(session, self.project)
        self.item: Item = make_item(session, self.project)
        make_round_item(session, self.round, self.item)
        self.submitted: Judgement = open_item(session, self.round, self.user)
        submit(session, self.submitted, none_fits=True, comment="why")
        for _ in range(2):
            make_round_item(session, self.round, make_item(session, self.project))
        self.held: Judgement = open_item(session, self.round, self.user)
        for guidelines in ("# Look", "# Look twice"):
            update_guidelines(session, self.project, guidelines=guidelines, actor=None)
        session.flush()

    def build_item(self, judgement: Judgement) -> None:
        item = look_up(self.session, judgement, self.round, today=TODAY)
        build_work(self.session, judgement, item, project=self.project, round_=self.round)

    def build_frame(self, read: int | None) -> None:
        build_page(
            self.session,
            self.project,
            self.round,
            self.user,
            n_in_round=1,
            guidelines_read=read,
            is_whole=True,
        )


PAGES: dict[str, Callable[[Place], object]] = {
    "an item that is held": lambda at: at.build_item(at.held),
    "an item that was submitted": lambda at: at.build_item(at.submitted),
    "the frame at the first look": lambda at: at.build_frame(None),
    "the frame with news": lambda at: at.build_frame(1),
    "an empty queue": lambda at: build_empty(at.session, at.round, at.user, today=TODAY),
    "a conflict": lambda at: build_conflict(
        at.session, at.held, NOTHING, round_=at.round, message="", can_overwrite=True
    ),
    "own work in a round": lambda at: build_mine(
        at.session, at.project, at.round, at.user, today=TODAY
    ),
    "own work": lambda at: build_my_work(at.session, at.user, today=TODAY),
    "the start of practice": lambda at: build_start(at.session, at.project, at.user, None),
    "an item for its admin": lambda at: item_page(at.session, at.project, at.item),
    "guidelines": lambda at: guidelines_page(at.session, at.project),
    "earlier guidelines": lambda at: guidelines_page(at.session, at.project, number=2),
}


@pytest.mark.parametrize("build", PAGES.values(), ids=PAGES.keys())
def test_a_page_stores_nothing(session: Session, build: Callable[[Place], object]) -> None:
    place = Place(session)
    with session.begin_nested() as savepoint:
        session.execute(text("SET LOCAL transaction_read_only = on"))
        build(place)
        assert not session.dirty
        assert not session.new
        savepoint.rollback()


def test_the_database_would_refuse_to_store_something(session: Session) -> None:
    place = Place(session)
    with session.begin_nested() as savepoint:
        session.execute(text("SET LOCAL transaction_read_only = on"))
        with pytest.raises(InternalError, match="read-only transaction"):
            put_reading(session, place.project.id, place.user.id, 1)
        savepoint.rollback()


@contextmanager
def writing() -> Iterator[list[str]]:
    """The statements that change something, each as its verb and its table."""
    found: list[str] = []

    def note(_1: object, _2: object, statement: str, *_: object) -> None:
        words = statement.replace('"', "").split()
        if words[0] == "UPDATE":
            found.append(f"UPDATE {words[1]}")
        elif words[0] in {"INSERT", "DELETE", "WITH"}:
            found.append(f"{words[0]} {words[2]}")

    engine = db.get_engine()
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_a_page_that_is_asked_for_again_changes_the_lease_alone(
    client: TestClient, session: Session
) -> None:
    place = Place(session)
    noor = sign_in(client, session, place.user)
    shown = f"/judgements/{place.held.id}"
    assert noor.get(shown).status_code == 200
    with writing() as found:
        for path in (shown, f"/rounds/{place.round.id}/mine", "/mine"):
            assert noor.get(path).status_code == 200
    assert found == []
    with writing() as found:
        assert noor.get(f"/rounds/{place.round.id}/judge").status_code == 200
    assert found == ["UPDATE judgement"]


def test_new_guidelines_are_noted_by_the_one_that_opens_the_item(
    client: TestClient, session: Session
) -> None:
    place = Place(session)
    noor = sign_in(client, session, place.user)
    page = f"/judgements/{place.held.id}"
    with writing() as found:
        assert noor.get(page).status_code == 200
    assert found == ["UPDATE judgement", "INSERT guidelines_reading"]
    session.refresh(place.held)
    assert place.held.guidelines_version == place.project.guidelines_version
    update_guidelines(session, place.project, guidelines="# Look again", actor=None)
    place.round.status = RoundStatus.TRAINING
    session.flush()
    with writing() as found:
        assert noor.get(page).status_code == 200
        assert noor.get(page).status_code == 200
    assert found == ["UPDATE judgement"]
