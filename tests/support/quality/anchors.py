"""Rounds that people judged, and the next one with its anchors, for tests."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Decision, Purpose, RoundItemState, RoundStatus
from app.models import Project, Round, RoundItem, User
from app.queries.rounds.round_items import open_mixed_in
from app.round_settings import LoopSettings
from app.services.judging import opening
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.support.factories import make_project, make_round
from tests.support.judging import (
    Choose,
    first_two,
    gather_now,
    make_judged_items,
    make_people,
    submit,
)


def anchored_settings(n: int, **judging: object) -> LoopSettings:
    """Settings of rounds with so many anchors, which people judge."""
    return LoopSettings.model_validate(
        {"judging": {"anchor_items": n, **judging}, "auto_advance": False}
    )


def complete(session: Session, round_: Round) -> None:
    """Let a round be over, as if it had been trained on."""
    round_.status = RoundStatus.COMPLETED
    round_.decision = Decision.CONTINUE
    round_.decision_reason = "Some items are left."
    session.flush()


def make_first_round(
    session: Session,
    people: Sequence[User],
    *,
    n_items: int = 10,
    settings: LoopSettings,
    choose: Choose = first_two,
) -> Round:
    """A completed first round of a project whose items of four texts these people judged."""
    project = make_project(session, settings=settings)
    round_ = make_round(session, project, settings=settings)
    make_judged_items(session, round_, people, n_items=n_items, choose=choose)
    complete(session, round_)
    return round_


def start_next(session: Session, first: Round, settings: LoopSettings | None = None) -> Round:
    """The round that follows, started: nothing of it is sampled yet."""
    project = session.get_one(Project, first.project_id)
    round_ = rounds.create_round(
        session,
        project,
        settings=settings or LoopSettings.model_validate(project.settings),
        actor=None,
    )
    start_round(session, round_, actor=None)
    return round_


def places_of(session: Session, round_: Round, purpose: Purpose) -> list[RoundItem]:
    session.flush()
    found = select(RoundItem).where(RoundItem.round_id == round_.id, RoundItem.purpose == purpose)
    return list(
        session.scalars(found.order_by(RoundItem.id).execution_options(populate_existing=True))
    )


def open_anchors(session: Session, round_: Round) -> list[RoundItem]:
    """Let the anchors of a round be handed out, as if its sampling had ended."""
    open_mixed_in(session, round_.id, 1.0)
    places = places_of(session, round_, Purpose.ANCHOR)
    assert {place.state for place in places} == {RoundItemState.OPEN}
    return places


def judge_all(
    session: Session, round_: Round, people: Sequence[User], choose: Choose = first_two
) -> None:
    """Let people judge whatever of a round is handed out to them."""
    for user in people:
        while (judgement := opening.open_next_item(session, round_, user)) is not None:
            picked = list(choose(user, judgement.shown_order))
            submit(session, judgement, picked=picked, none_fits=not picked)


def make_drifting_rounds(session: Session, *, n_rounds: int = 2) -> Round:
    """Rounds of a project in which people pick a text more each time; returns the last one."""
    people = make_people(session, 2)
    settings = anchored_settings(4, overlap=2)
    round_ = make_first_round(session, people, n_items=20, settings=settings)
    gather_now(session, round_)
    for number in range(1, n_rounds):
        complete(session, round_)
        round_ = start_next(session, round_)
        open_anchors(session, round_)
        n_picked = 2 + number

        def choose(user: User, shown: Sequence[int], n: int = n_picked) -> Sequence[int]:
            return sorted(shown)[: n - (user is people[0] and shown[0] % 3 == 0)]

        judge_all(session, round_, people, choose)
        make_judged_items(session, round_, people, n_items=6, choose=lambda _, shown: list(shown))
        gather_now(session, round_)
    return round_
