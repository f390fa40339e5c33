"""Answers that are set apart: they count no more, others are asked, and they can be given back."""

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.errors import Conflict
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import Judgement, Project, Round, RoundItem, User, VerdictRow, WrittenRationale
from app.opinions import Opinion
from app.queries.counted import counted_judgements
from app.round_settings import AdmissionSettings
from app.services.admission.apply import admit
from app.services.admission.preview import count_votes
from app.services.judging import judgements
from app.services.judging.opening import open_next_item
from app.services.quality.withdrawing import (
    count_resting_on,
    give_answers_back,
    withdraw_answers,
)
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import locked, open_item, submit
from tests.support.quality.checks import judge_some, make_checks, settings_with


@pytest.fixture
def round_(session: Session) -> Round:
    """A round of three items, two people each, in which check items are mixed in."""
    project = make_project(session)
    settings = settings_with(0.15, overlap=2)
    round_ = make_round(session, project, settings=settings)
    for _ in range(3):
        make_round_item(session, round_, make_item(session, project), slots=2)
    return round_


def said(session: Session, user: User) -> list[tuple[Any, ...]]:
    """All that stands on a person's rows, and the verdicts they gave."""
    rows = session.execute(
        select(
            Judgement.round_item_id,
            Judgement.status,
            Judgement.picked,
            Judgement.edits,
            Judgement.submitted_at.is_not(None),
            Judgement.version,
            select(func.count())
            .where(VerdictRow.judgement_id == Judgement.id, VerdictRow.fits)
            .scalar_subquery(),
            select(func.count())
            .where(WrittenRationale.judgement_id == Judgement.id)
            .scalar_subquery(),
        )
        .where(Judgement.user_id == user.id)
        .order_by(Judgement.id)
    )
    return [tuple(row) for row in rows]


def states(session: Session, round_: Round) -> list[tuple[RoundItemState, int, int]]:
    session.flush()
    session.expire_all()
    places = session.scalars(
        select(RoundItem).where(RoundItem.round_id == round_.id).order_by(RoundItem.id)
    )
    return [(one.state, one.slots, one.n_submitted) for one in places]


def test_what_is_set_apart_counts_no_more_and_its_items_go_to_others(
    session: Session, round_: Round
) -> None:
    admin, bad, good, other = (make_user(session) for _ in range(4))
    judge_some(session, round_, bad, 3)
    judge_some(session, round_, good, 3)
    assert states(session, round_) == [(RoundItemState.DONE, 2, 2)] * 3
    assert withdraw_answers(session, round_, bad, actor=admin) == 3
    assert states(session, round_) == [(RoundItemState.OPEN, 2, 1)] * 3
    counted = session.scalars(select(counted_judgements.user_id)).all()
    assert set(counted) == {good.id}
    assert open_next_item(session, round_, bad) is None
    assert len(judge_some(session, round_, other, 5)) == 3
    assert states(session, round_) == [(RoundItemState.DONE, 2, 2)] * 3


def test_given_back_everything_is_as_it_was(session: Session, round_: Round) -> None:
    admin, bad, good = (make_user(session) for _ in range(3))
    judge_some(session, round_, good, 3)
    first = open_item(session, round_, bad)
    submit(session, first, picked=first.shown_order[:1], edits={first.shown_order[1]: "better so"})
    judge_some(session, round_, bad, 2)
    before = said(session, bad), states(session, round_)
    withdraw_answers(session, round_, bad, actor=admin)
    assert {row[1] for row in said(session, bad)} == {JudgementStatus.WITHDRAWN}
    assert give_answers_back(session, round_, bad, actor=admin) == 3
    assert (said(session, bad), states(session, round_)) == before
    assert give_answers_back(session, round_, bad, actor=admin) == 0


def test_given_back_where_others_took_the_place_it_is_one_vote_more(
    session: Session, round_: Round
) -> None:
    admin, bad, good, other = (make_user(session) for _ in range(4))
    for user in (bad, good):
        judge_some(session, round_, user, 3)
    withdraw_answers(session, round_, bad, actor=admin)
    judge_some(session, round_, other, 2)
    give_answers_back(session, round_, bad, actor=admin)
    assert sorted(slots for _, slots, _ in states(session, round_)) == [2, 3, 3]
    assert {state for state, _, _ in states(session, round_)} == {RoundItemState.DONE}
    n_votes = count_votes(session, round_).preview(AdmissionSettings(policy="any"))
    assert n_votes.n_judged_items == 3


def test_check_items_of_that_person_stay_judged(session: Session, round_: Round) -> None:
    make_checks(session, session.get_one(Project, round_.project_id), 1)
    for _ in range(10):
        make_round_item(
            session,
            round_,
            make_item(session, session.get_one(Project, round_.project_id)),
            slots=2,
        )
    admin, bad = make_user(session), make_user(session)
    n = len(judge_some(session, round_, bad, 12))
    assert withdraw_answers(session, round_, bad, actor=admin) == n - 1


def test_what_is_set_apart_cannot_be_changed_by_its_author(session: Session, round_: Round) -> None:
    admin, bad = make_user(session), make_user(session)
    (judgement,) = judge_some(session, round_, bad, 1)
    withdraw_answers(session, round_, bad, actor=admin)
    session.refresh(judgement)
    before = said(session, bad)
    for act in (
        lambda: submit(session, judgement, none_fits=True),
        lambda: judgements.save_draft(
            session, locked(session, judgement), Opinion(none_fits=True), version=judgement.version
        ),
        lambda: judgements.skip(session, locked(session, judgement), reason="no"),
    ):
        with pytest.raises(Conflict, match="set your answers"):
            act()
    assert judgements.take_back(session, locked(session, judgement)) is judgement
    assert said(session, bad) == before


def test_it_is_refused_where_the_round_is_not_judged(session: Session, round_: Round) -> None:
    admin, bad = make_user(session), make_user(session)
    judge_some(session, round_, bad, 1)
    round_.status = RoundStatus.CLOSING
    session.flush()
    for act in (withdraw_answers, give_answers_back):
        with pytest.raises(Conflict, match="only while it is judged"):
            act(session, round_, bad, actor=admin)


def test_what_was_admitted_by_their_votes_is_told(session: Session, round_: Round) -> None:
    bad, good = make_user(session), make_user(session)
    judge_some(session, round_, bad, 3, lambda one: sorted(one.shown_order)[:2])
    judge_some(session, round_, good, 3, lambda one: sorted(one.shown_order)[:1])
    admit(session, round_, AdmissionSettings(policy="any"))
    project = session.get_one(Project, round_.project_id)
    round_.settings = {**round_.settings, "admission": {"policy": "any", "threshold": 1}}
    session.flush()
    assert count_resting_on(session, project, bad) == (6, 3)
    assert count_resting_on(session, project, good) == (3, 0)
