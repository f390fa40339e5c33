"""Which boxes that people drew stand in the manifest of a training, and which never do."""

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.lifecycle import Job, Split
from app.models import (
    Item,
    Judgement,
    Project,
    Round,
    RoundModel,
    Run,
    Sample,
    TrainingBox,
    TrainingRow,
)
from app.opinions import Box
from app.queries.quality import withdrawing
from app.queries.rounds.rewards import insert_boxes, list_boxes
from app.round_settings import LoopSettings
from app.strategies.perception import MODEL, PERCEPTION
from tests.support.factories import make_item, make_project, make_round, make_run, make_user
from tests.support.judging import open_item, submit
from tests.support.rounds.looks import make_looks
from tests.support.rounds_in_process import close_now

LEFT = {"left": 0.1, "top": 0.35, "right": 0.4, "bottom": 0.7}
RIGHT = {"left": 0.6, "top": 0.35, "right": 0.9, "bottom": 0.7}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def make_asking_round(session: Session, project: Project, **changes: Any) -> Round:
    settings = {"strategy": PERCEPTION.name, "auto_advance": False, **changes}
    round_ = make_round(session, project, settings=LoopSettings.model_validate(settings))
    session.add(RoundModel(round_id=round_.id, strategy=PERCEPTION.name, role=MODEL))
    session.flush()
    return round_


def draws_of(session: Session, item_id: int) -> list[int]:
    """The most probable draws of an item's two rationales, that with one look first."""
    found = session.scalars(
        select(Sample).where(Sample.item_id == item_id, Sample.log_probability == -1.0)
    )
    return [one.id for one in sorted(found, key=lambda one: len((one.trace or {})["looks"]))]


def judge(session: Session, round_: Round, name: str, *, fits: bool = True, **says: Any) -> None:
    """Submit the next item as a new person: the first rationale fits, or none does."""
    judgement = open_item(session, round_, make_user(session, name=name))
    picked = judgement.shown_order[:1] if fits else []
    submit(session, judgement, picked=picked, none_fits=not fits, **says)


def train(session: Session, round_: Round) -> Run:
    """Close judging; the training that begins."""
    close_now(session, round_)
    return session.scalars(select(Run).where(Run.round_id == round_.id, Run.job == Job.TRAIN)).one()


def test_a_training_has_the_boxes_of_its_items_each_once(
    session: Session, project: Project
) -> None:
    round_ = make_asking_round(session, project, judging={"overlap": 3})
    item = session.get_one(Item, make_looks(session, round_, slots=3).item_id)
    one, two = draws_of(session, item.id)
    judge(session, round_, "Noor", boxes={one: {1: LEFT}, two: {2: RIGHT}})
    judge(session, round_, "Ada", boxes={one: {1: LEFT}})
    judge(session, round_, "Lea")
    run = train(session, round_)
    assert list_boxes(session, run.id) == {
        item.id: (Box.model_validate(LEFT), Box.model_validate(RIGHT))
    }
    assert run.parameters["n_boxes"] == 2


def test_marks_without_a_box_lead_nowhere(session: Session, project: Project) -> None:
    round_ = make_asking_round(session, project)
    item_id = make_looks(session, round_).item_id
    one, two = draws_of(session, item_id)
    marks = {one: {1: {"place": "wrong"}}, two: {2: {"place": "partly"}, 1: {"place": "right"}}}
    judge(session, round_, "Noor", marks=marks)
    run = train(session, round_)
    assert list_boxes(session, run.id) == {}
    assert "n_boxes" not in run.parameters


@pytest.mark.parametrize("value", ["right", "partly", "wrong"])
def test_a_box_counts_whatever_is_marked_beside_it(
    session: Session, project: Project, value: str
) -> None:
    round_ = make_asking_round(session, project)
    item_id = make_looks(session, round_).item_id
    one = draws_of(session, item_id)[0]
    judge(session, round_, "Noor", marks={one: {1: {"place": value}}}, boxes={one: {1: LEFT}})
    assert list(list_boxes(session, train(session, round_).id)) == [item_id]


@pytest.mark.parametrize(
    ("perception", "n_boxes"),
    [
        ({"alignment": "none"}, 0),
        ({"alignment": "captions"}, 0),
        ({"alignment": "none", "pointing_weight": 0.5}, 1),
        ({"alignment": "pointing"}, 1),
    ],
)
def test_boxes_that_no_stage_reads_stay_out(
    session: Session, project: Project, perception: dict[str, object], n_boxes: int
) -> None:
    round_ = make_asking_round(session, project, perception=perception)
    item_id = make_looks(session, round_).item_id
    judge(session, round_, "Noor", boxes={draws_of(session, item_id)[0]: {1: LEFT}})
    assert len(list_boxes(session, train(session, round_).id)) == n_boxes


def test_an_item_of_which_nothing_fits_is_read_first_where_it_has_a_box(
    session: Session, project: Project
) -> None:
    """Its box would else be lost by chance, and who sees a wrong look rarely picks its text."""
    round_ = make_asking_round(session, project, training={"replay_ratio": 1})
    for _ in range(30):
        make_item(session, project)
    picked = make_looks(session, round_).item_id
    judge(session, round_, "Noor")
    boxed = make_looks(session, round_).item_id
    judge(session, round_, "Ada", fits=False, boxes={draws_of(session, boxed)[0]: {1: LEFT}})
    run = train(session, round_)
    rows = session.execute(
        select(TrainingRow.item_id, TrainingRow.candidate_id)
        .where(TrainingRow.run_id == run.id)
        .order_by(TrainingRow.id)
    ).all()
    assert [(item_id, candidate_id is not None) for item_id, candidate_id in rows] == [
        (picked, True),
        (boxed, False),
    ]
    assert list(list_boxes(session, run.id)) == [boxed]


def test_the_manifest_stays_as_it_was_when_answers_are_set_apart(
    session: Session, project: Project
) -> None:
    round_ = make_asking_round(session, project)
    item_id = make_looks(session, round_).item_id
    judge(session, round_, "Noor", boxes={draws_of(session, item_id)[0]: {1: LEFT}})
    run = train(session, round_)
    judgement_ids = list(session.scalars(select(Judgement.id)))
    withdrawing.withdraw(session, judgement_ids, now=datetime.now(UTC))
    assert list(list_boxes(session, run.id)) == [item_id]
    later = make_run(session, project, Job.TRAIN, round_=round_)
    session.add(TrainingRow(run_id=later.id, item_id=item_id))
    session.flush()
    assert insert_boxes(session, later.id) == 0


@pytest.mark.parametrize(
    ("split", "rule"),
    [
        (Split.TEST, "ck_training_box_train_split_only"),
        (Split.TRAIN, "fk_training_box_item_id_split"),
    ],
)
def test_a_box_on_a_held_out_picture_is_refused(
    session: Session, project: Project, split: Split, rule: str
) -> None:
    round_ = make_asking_round(session, project)
    held_out = make_item(session, project, split=Split.TEST)
    run = make_run(session, project, Job.TRAIN, round_=round_)
    session.add(TrainingBox(run_id=run.id, item_id=held_out.id, split=split, **LEFT))
    with pytest.raises(IntegrityError, match=rule):
        session.flush()


def test_a_box_about_an_excluded_item_is_left_out(session: Session, project: Project) -> None:
    round_ = make_asking_round(session, project)
    boxed = make_looks(session, round_).item_id
    judge(session, round_, "Noor", boxes={draws_of(session, boxed)[0]: {1: LEFT}})
    make_looks(session, round_)
    judge(session, round_, "Ada")
    session.get_one(Item, boxed).excluded_at = datetime.now(UTC)
    session.flush()
    assert list_boxes(session, train(session, round_).id) == {}
