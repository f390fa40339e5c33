"""Which observations a training of the observer leaves out, since people found them untrue."""

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, Purpose
from app.models import Judgement, Project, Round, RoundItem, RoundModel, Run, Sample, TrainingRow
from app.queries.quality import withdrawing
from app.queries.rounds.rewards import list_said_of_observations
from app.services.judging import judgements
from app.strategies.monologue import MONOLOGUE, OBSERVER
from app.untrue_looks import find_untrue
from tests.support.factories import make_project, make_run, make_user
from tests.support.judging import (
    BALL,
    CONE,
    MAT,
    locked,
    make_episodes,
    make_monologue_round,
    open_item,
    submit,
)
from tests.support.quality.disputes import decide_item
from tests.support.rounds_in_process import close_now

TEXT, OTHER = "both are small", "the mat is cloth"
UNTRUE = {"observation": "no"}
TRUE = {"observation": "yes"}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def make_judging(session: Session, project: Project, *, slots: int = 1) -> Round:
    """A round with an item of two rationales, each by one draw; both asked what size the cone is,
    and saw the same."""
    round_ = make_monologue_round(session, project)
    for role in MONOLOGUE.roles:
        session.add(RoundModel(round_id=round_.id, strategy=MONOLOGUE.name, role=role))
    make_episodes(session, round_, {TEXT: [(CONE, BALL)], OTHER: [(CONE, MAT)]}, slots=slots)
    return round_


def draw_of(session: Session, text: str) -> int:
    """The draw that led to a text, by what it asked last."""
    last = {TEXT: BALL, OTHER: MAT}[text][0]
    found = session.scalars(select(Sample).where(Sample.strategy == MONOLOGUE.name))
    return next(one.id for one in found if (one.trace or {})["turns"][-1]["asked"] == last)


def judge(session: Session, round_: Round, **says: Any) -> Judgement:
    """Submit the next item as a new person: the first rationale that was made fits."""
    judgement = open_item(session, round_, make_user(session))
    return submit(session, judgement, picked=[min(judgement.shown_order)], **says)


def train(session: Session, round_: Round) -> Run:
    """Close judging; the training of the observer that begins."""
    close_now(session, round_)
    return session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.job == Job.TRAIN, Run.role == OBSERVER)
    ).one()


def left_out(session: Session, run: Run) -> set[tuple[str, str]]:
    """What was asked and observed of the looks that a training leaves out."""
    said = list_said_of_observations(session, run.id)
    return {(look.said.asked, look.said.observed) for look in find_untrue(said)}


def test_what_nobody_calls_untrue_is_taught(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=2)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: TRUE, 2: {"question": "no"}}})
    judge(session, round_, marks={draw: {1: {"observation": "cannot_tell"}}})
    assert left_out(session, train(session, round_)) == set()


def test_what_people_marked_or_corrected_is_left_out(session: Session, project: Project) -> None:
    round_ = make_judging(session, project)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: UNTRUE}}, corrections={draw: {2: "tiny"}})
    assert left_out(session, train(session, round_)) == {CONE, BALL}


def test_people_who_disagree(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=3)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: TRUE, 2: TRUE}})
    judge(session, round_, marks={draw: {1: TRUE, 2: UNTRUE}})
    judge(session, round_, marks={draw: {1: UNTRUE}})
    assert left_out(session, train(session, round_)) == {BALL}, "of two, and of two more"


def test_a_mark_holds_for_the_same_words_of_another_draw_of_the_item(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project)
    other = draw_of(session, OTHER)
    judge(session, round_, marks={other: {1: UNTRUE}})
    assert left_out(session, train(session, round_)) == {CONE}


def test_an_adjudicated_verdict_says_nothing_of_looks(session: Session, project: Project) -> None:
    """It is about the rationale, and what people said of a look stands beside it."""
    round_ = make_judging(session, project, slots=2)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: UNTRUE}})
    judgement = open_item(session, round_, make_user(session))
    submit(session, judgement, none_fits=True, marks={draw: {2: UNTRUE}})
    session.flush()  # the last one is done
    session.expire_all()
    item_id = session.get_one(Sample, draw).item_id
    decide_item(session, round_, item_id, make_user(session), True)
    assert left_out(session, train(session, round_)) == {CONE, BALL}


def test_judgements_that_do_not_count_say_nothing(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=3)
    draw = draw_of(session, TEXT)
    judge(session, round_)
    taken_back = judge(session, round_, marks={draw: {1: UNTRUE}})
    judgements.take_back(session, locked(session, taken_back))
    apart = judge(session, round_, corrections={draw: {2: "tiny"}})
    run = train(session, round_)
    assert left_out(session, run) == {BALL}
    withdrawing.withdraw(session, [apart.id], now=apart.updated_at)
    assert left_out(session, run) == set()


def test_items_that_only_measure_say_nothing(session: Session, project: Project) -> None:
    round_ = make_judging(session, project)
    judge(session, round_, marks={draw_of(session, TEXT): {1: UNTRUE}})
    [place] = session.scalars(select(RoundItem))
    run = make_run(session, project, Job.TRAIN, round_=round_)
    session.add(TrainingRow(run_id=run.id, item_id=place.item_id))
    session.flush()
    assert left_out(session, run) == {CONE}
    place.purpose = Purpose.MEASURE
    session.flush()
    assert left_out(session, run) == set()
