"""Which observations the manifest of an observer's training leaves out, since people found them
untrue, and what is taught instead; which questions that of a reasoner, since they are useless."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import Conflict
from app.lifecycle import Job, Purpose, RoundStatus, RunStatus, Split
from app.models import (
    Candidate,
    CorrectedObservation,
    Item,
    Judgement,
    Project,
    Round,
    RoundItem,
    RoundModel,
    Run,
    Sample,
    TrainingRow,
    UntaughtLook,
    User,
)
from app.queries.accounts.erasure import count_content
from app.queries.projects.removal import delete_project
from app.queries.quality import withdrawing
from app.queries.releases.turns import list_turns
from app.queries.rounds.item_ranges import ItemRange
from app.queries.rounds.rewards import list_said_of_looks, list_untaught
from app.queries.rounds.training_items import list_manifest
from app.round_settings import LoopSettings
from app.services.accounts.erasure import erase_person
from app.services.dataset.formats.episodes import EpisodeLine
from app.services.dataset.formats.problems import Place
from app.services.dataset.prior import import_prior
from app.services.judging import judgements
from app.services.releases.releases import create_release
from app.strategies.monologue import MONOLOGUE, OBSERVER, REASONER, Turn
from app.unwanted_looks import look_of
from tests.support.factories import make_item, make_project, make_round, make_run, make_user
from tests.support.judging import (
    BALL,
    CONE,
    MAT,
    locked,
    make_episodes,
    monologue_settings,
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


def make_judging(
    session: Session, project: Project, *, slots: int = 1, **monologue: object
) -> Round:
    """A round with an item of two rationales, each by one draw; both asked what size the cone is,
    and saw the same. monologue: settings of the strategy."""
    settings = {**monologue_settings().model_dump(), "monologue": monologue}
    round_ = make_round(session, project, settings=LoopSettings.model_validate(settings))
    for role in MONOLOGUE.roles:
        session.add(RoundModel(round_id=round_.id, strategy=MONOLOGUE.name, role=role))
    make_episodes(session, round_, {TEXT: [(CONE, BALL)], OTHER: [(CONE, MAT)]}, slots=slots)
    return round_


def candidate_of(session: Session, text: str) -> int:
    return session.scalars(select(Candidate.id).where(Candidate.text == text)).one()


def draw_of(session: Session, text: str) -> int:
    """The draw that led to a text."""
    candidate = candidate_of(session, text)
    return session.scalars(select(Sample.id).where(Sample.candidate_id == candidate)).one()


def judge(session: Session, round_: Round, **says: Any) -> Judgement:
    """Submit the next item as a new person: the first rationale fits."""
    judgement = open_item(session, round_, make_user(session))
    return submit(session, judgement, picked=[candidate_of(session, TEXT)], **says)


def train(session: Session, round_: Round) -> Run:
    """Close judging; the training of the observer that begins."""
    close_now(session, round_)
    return session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.job == Job.TRAIN, Run.role == OBSERVER)
    ).one()


def untaught(session: Session, run: Run) -> Mapping[tuple[str, str], str | None]:
    """By what was asked and observed: what a training learns instead, None where that is
    nothing."""
    item_ids = set(session.scalars(select(TrainingRow.item_id).where(TrainingRow.run_id == run.id)))
    found = list_untaught(session, run.id)
    known = {look_of(id_, *look): look for id_ in item_ids for look in (CONE, BALL, MAT)}
    return {known[look]: text for look, text in found.items()}


def test_what_nobody_calls_untrue_is_taught(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=2)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: TRUE, 2: {"question": "no"}}})
    judge(session, round_, marks={draw: {1: {"observation": "cannot_tell"}}})
    run = train(session, round_)
    assert untaught(session, run) == {}
    assert "n_untaught_looks" not in run.parameters


def test_what_people_marked_or_corrected_is_left_out(session: Session, project: Project) -> None:
    round_ = make_judging(session, project)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: UNTRUE}}, corrections={draw: {2: "tiny"}})
    run = train(session, round_)
    assert LoopSettings().monologue.with_corrections is False
    assert untaught(session, run) == {CONE: None, BALL: None}
    assert run.parameters["n_untaught_looks"] == 2
    assert "n_corrected_looks" not in run.parameters


def test_corrections_are_taught_to_the_observer_alone_where_the_settings_say_so(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, with_corrections=True)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: UNTRUE}}, corrections={draw: {2: "tiny"}})
    run = train(session, round_)
    assert untaught(session, run) == {CONE: None, BALL: "tiny"}
    assert (run.parameters["n_untaught_looks"], run.parameters["n_corrected_looks"]) == (2, 1)
    reasoner = session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.role == REASONER)
    ).one()
    assert untaught(session, reasoner) == {}
    [row] = list_manifest(session, reasoner.id)
    assert [turn.observed for turn in row.turns] == [CONE[1], BALL[1]], "as it was read"


def test_useless_questions_are_in_the_reasoners_manifest_where_they_are_to_become_rarer(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, slots=3, unwanted_weight=1.0)
    draw, other = draw_of(session, TEXT), draw_of(session, OTHER)
    useless, useful = {"question": "no"}, {"question": "yes"}
    judge(session, round_, marks={draw: {1: useless, 2: useless}})
    judge(session, round_, marks={draw: {1: useful}, other: {2: useless}})
    judge(session, round_, marks={other: {1: useful}})
    observer = train(session, round_)
    assert untaught(session, observer) == {}
    assert "n_useless_questions" not in observer.parameters
    reasoner = session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.role == REASONER)
    ).one()
    noted = {asked for asked, _ in untaught(session, reasoner)}
    assert noted == {BALL[0]}, "two of three asked of the cone, and nothing of the mat is read"
    assert reasoner.parameters["n_useless_questions"] == 1


def test_people_who_disagree(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=3, with_corrections=True)
    draw = draw_of(session, TEXT)
    judge(session, round_, marks={draw: {1: TRUE, 2: TRUE}})
    judge(session, round_, marks={draw: {1: TRUE}}, corrections={draw: {2: "tiny"}})
    judge(session, round_, corrections={draw: {1: "huge"}})
    run = train(session, round_)
    assert untaught(session, run) == {BALL: "tiny"}, "two of three call the cone small"


def test_a_look_holds_in_another_draw_of_the_item_and_only_what_is_read_is_noted(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, with_corrections=True)
    other = draw_of(session, OTHER)
    judge(session, round_, corrections={other: {1: "huge", 2: "wool"}})
    assert untaught(session, train(session, round_)) == {CONE: "huge"}


def test_looks_of_the_prior_are_left_out_too(session: Session, project: Project) -> None:
    round_ = make_judging(session, project)
    item = session.scalars(select(Item)).one()
    turns = (Turn(asked=MAT[0], observed=MAT[1]),)
    line = EpisodeLine(Place("prior.jsonl", 1), item.external_id, turns, item.answer, "it is cloth")
    import_prior(session, project, [line], actor=None)
    judge(session, round_, marks={draw_of(session, OTHER): {2: UNTRUE}})
    assert untaught(session, train(session, round_)) == {MAT: None}


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
    assert untaught(session, train(session, round_)) == {CONE: None, BALL: None}


def test_judgements_that_do_not_count_say_nothing(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=3)
    draw = draw_of(session, TEXT)
    judge(session, round_)
    taken_back = judge(session, round_, marks={draw: {1: UNTRUE}})
    judgements.take_back(session, locked(session, taken_back))
    apart = judge(session, round_, corrections={draw: {2: "tiny"}})
    withdrawing.withdraw(session, [apart.id], now=datetime.now(UTC))
    assert untaught(session, train(session, round_)) == {}


def test_items_that_only_measure_say_nothing(session: Session, project: Project) -> None:
    round_ = make_judging(session, project)
    judge(session, round_, marks={draw_of(session, TEXT): {1: UNTRUE}})
    [place] = session.scalars(select(RoundItem))
    run = make_run(session, project, Job.TRAIN, round_=round_)
    session.add(TrainingRow(run_id=run.id, item_id=place.item_id))
    session.flush()
    everything = ItemRange(place.item_id, place.item_id, 1)
    assert list_said_of_looks(session, run.id, everything, "observation")
    place.purpose = Purpose.MEASURE
    session.flush()
    assert list_said_of_looks(session, run.id, everything, "observation") == []


def test_the_manifest_stays_whatever_is_said_meanwhile(session: Session, project: Project) -> None:
    round_ = make_judging(session, project, slots=2, with_corrections=True)
    draw = draw_of(session, TEXT)
    first = judge(session, round_, marks={draw: {1: UNTRUE}}, corrections={draw: {2: "tiny"}})
    run = train(session, round_)
    before = untaught(session, run)
    late = Judgement(
        round_item_id=first.round_item_id, round_id=round_.id, user_id=make_user(session).id,
        shown_order=first.shown_order, status=first.status, max_slots=first.max_slots, slot=2,
        picked=first.picked, submitted_at=first.submitted_at,
    )  # fmt: skip
    session.add(late)
    session.flush()
    later = CorrectedObservation(judgement_id=late.id, sample_id=draw, turn=1, text="huge")
    session.add(later)
    session.flush()
    assert untaught(session, run) == before == {CONE: None, BALL: "tiny"}


# --- What the database holds to -----------------------------------------------------------------


def test_the_database_refuses_looks_of_held_out_items_and_of_others(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, with_corrections=True)
    draw = draw_of(session, TEXT)
    judgement = judge(session, round_, corrections={draw: {2: "tiny"}})
    run = make_run(session, project, Job.TRAIN, round_=round_)
    item_id = session.get_one(Sample, draw).item_id
    held_out = make_item(session, project, split=Split.TEST).id
    other = make_item(session, project).id
    right = {"run_id": run.id, "sample_id": draw, "turn": 2, "item_id": item_id}
    for wrong in (
        {"item_id": held_out, "split": Split.TEST},
        {"item_id": held_out},
        {"item_id": other},
        {"turn": 3},
        {"turn": 1, "judgement_id": judgement.id},
    ):
        with pytest.raises(IntegrityError), session.begin_nested():
            session.execute(insert(UntaughtLook).values(right | wrong))
    session.execute(insert(UntaughtLook).values(right | {"judgement_id": judgement.id}))
    with pytest.raises(IntegrityError), session.begin_nested():
        withdrawing.withdraw(session, [judgement.id], now=datetime.now(UTC))


def test_a_project_is_deleted_with_what_its_trainings_left_out(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, with_corrections=True)
    judge(session, round_, corrections={draw_of(session, TEXT): {2: "tiny"}})
    train(session, round_)
    delete_project(session, project.id)
    assert session.scalars(select(UntaughtLook)).all() == []
    assert session.scalars(select(CorrectedObservation)).all() == []


# --- The people who wrote them ------------------------------------------------------------------


def test_who_is_erased_leaves_an_empty_row_that_is_taught_no_more(
    session: Session, project: Project
) -> None:
    round_ = make_judging(session, project, with_corrections=True)
    draw = draw_of(session, TEXT)
    judgement = judge(session, round_, corrections={draw: {1: "huge", 2: "tiny"}})
    run = train(session, round_)
    user = session.get_one(User, judgement.user_id)
    content = count_content(session, user.id)
    assert (content.n_texts, content.n_trained) == (2, 2)
    root = make_user(session, name="Root", is_admin=True)
    with pytest.raises(Conflict, match="A training reads texts of this person"):
        erase_person(session, user, typed_name=user.name, actor=root)
    round_.status = RoundStatus.CANCELLED
    run.status, run.finished_at, run.attempt = RunStatus.SUCCEEDED, datetime.now(UTC), 1
    session.flush()
    release = create_release(session, project, actor=None)
    [described] = release.card["rounds"]
    assert described["trained_on_corrections"] is True
    assert len(list_turns(session, [judgement.id])) == 2
    erase_person(session, user, typed_name=user.name, with_judgements=True, actor=root)
    assert session.get(Judgement, judgement.id) is not None, "the manifest names it"
    assert {row.text for row in session.scalars(select(CorrectedObservation))} == {""}
    assert untaught(session, run) == {CONE: None, BALL: None}
    assert list_turns(session, [judgement.id]) == []
