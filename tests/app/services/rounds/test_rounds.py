"""Rounds: what they take in, how they end, and what cannot be done to them."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidInput, LostRun
from app.lifecycle import (
    Decision,
    Job,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
    UserKind,
)
from app.models import Admission, Event, Item, Judgement, Project, Round, RoundItem, Run, RunShard
from app.round_settings import LoopSettings
from app.run_results import SamplingResult
from app.services.judging import opening
from app.services.judging.ending import end_judging
from app.services.refusals import RoundEmpty
from app.services.rounds import rounds
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.starting import start_round
from app.services.runs import runs
from tests.support.factories import (
    make_candidate,
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.rounds_in_process import close_now


@pytest.fixture
def project(session: Session) -> Project:
    """Five train items, two validation and two test items."""
    project = make_project(session)
    for split, count in ((Split.TRAIN, 5), (Split.VALIDATION, 2), (Split.TEST, 2)):
        for number in range(count):
            make_item(session, project, split=split, external_id=f"{split}-{number}")
    return project


def start(session: Session, project: Project, **settings: object) -> Round:
    loop = LoopSettings.model_validate(settings)
    round_ = rounds.create_round(session, project, settings=loop, actor=None)
    start_round(session, round_, actor=None)
    return round_


def run_of(session: Session, round_: Round, job: Job) -> Run:
    return session.scalars(
        select(Run).where(Run.round_id == round_.id, Run.job == job).order_by(Run.id.desc())
    ).first()  # type: ignore[return-value]


def cover(session: Session, project: Project, item: Item, n_rationales: int) -> None:
    """Admit rationales of an item in a completed round."""
    round_ = make_round(session, project, status=RoundStatus.CANCELLED, number=90 + item.id)
    make_round_item(session, round_, item, texts=(), state=RoundItemState.DONE)
    for number in range(n_rationales):
        candidate = make_candidate(session, item, f"reason {number}")
        session.add(
            Admission(
                round_id=round_.id,
                candidate_id=candidate.id,
                item_id=item.id,
                policy="any",
                judge_kind=UserKind.PERSON,
                n_fits=1,
                n_votes=1,
            )
        )
    session.flush()


class TestStart:
    def test_only_train_items_are_sampled(self, session: Session, project: Project) -> None:
        round_ = start(session, project)
        assert round_.status is RoundStatus.GENERATING
        splits = session.scalars(
            select(Item.split).join(RoundItem, RoundItem.item_id == Item.id)
        ).all()
        assert splits == [Split.TRAIN] * 5
        shards = session.scalars(
            select(RunShard).where(RunShard.run_id == run_of(session, round_, Job.GENERATE).id)
        ).all()
        assert sum(len(shard.item_ids) for shard in shards) == 5

    def test_the_base_model_is_measured_once(self, session: Session, project: Project) -> None:
        first = start(session, project)
        baseline = run_of(session, first, Job.BASELINE)
        assert baseline is not None
        rounds.cancel_round(session, first, actor=None)
        baseline.status = RunStatus.SUCCEEDED
        session.flush()
        second = start(session, project)
        assert run_of(session, second, Job.BASELINE) is None

    def test_a_second_open_round_is_refused(self, session: Session, project: Project) -> None:
        start(session, project)
        with pytest.raises(Conflict, match="already has an open round"):
            rounds.create_round(session, project, settings=LoopSettings(), actor=None)

    def test_excluded_items_stay_out(self, session: Session, project: Project) -> None:
        item = session.scalars(select(Item).where(Item.split == Split.TRAIN)).first()
        assert item is not None
        item.excluded_at = item.created_at
        session.flush()
        start(session, project)
        assert len(session.scalars(select(RoundItem)).all()) == 4

    def test_a_project_without_train_items_is_told_so(self, session: Session) -> None:
        project = make_project(session)
        make_item(session, project, split=Split.TEST)
        with pytest.raises(InvalidInput, match="nothing to sample"):
            start(session, project)

    def test_a_critic_is_given_what_it_can_judge_and_others_wait(
        self, session: Session, project: Project
    ) -> None:
        # An item that was made of a question that the model asked has no gold rationale.
        asked = make_item(session, project, gold_rationales=())
        round_ = start(session, project, judging={"judges": "rouge:0.5"})
        places = session.scalars(select(RoundItem).where(RoundItem.round_id == round_.id))
        item_ids = {place.item_id for place in places}
        assert len(item_ids) == 5
        assert asked.id not in item_ids
        rounds.cancel_round(session, round_, actor=None)
        by_people = start(session, project)
        places = session.scalars(select(RoundItem).where(RoundItem.round_id == by_people.id))
        assert asked.id in {place.item_id for place in places}

    def test_a_critic_that_can_judge_nothing_is_told_before(self, session: Session) -> None:
        project = make_project(session)
        make_item(session, project, gold_rationales=())
        refused = pytest.raises(RoundEmpty, match="judges by a gold rationale, and no train item")
        with refused, session.begin_nested():
            start(session, project, judging={"judges": "rouge:0.5"})
        with pytest.raises(RoundEmpty, match="judges by the facts of a rendered scene"):
            start(session, project, judging={"judges": "exact"}, evaluation={"critic": "exact"})

    def test_items_with_enough_rationales_rest(self, session: Session, project: Project) -> None:
        items = session.scalars(select(Item).where(Item.split == Split.TRAIN)).all()
        cover(session, project, items[0], 2)
        cover(session, project, items[1], 1)
        round_ = start(session, project, rest_after=2, rest_control_share=0.0)
        states = dict(
            session.execute(
                select(RoundItem.item_id, RoundItem.state).where(RoundItem.round_id == round_.id)
            ).all()
        )
        assert states[items[0].id] is RoundItemState.RESTING
        assert states[items[1].id] is RoundItemState.WAITING

    def test_resting_items_can_stay_as_a_control(self, session: Session, project: Project) -> None:
        item = session.scalars(select(Item).where(Item.split == Split.TRAIN)).first()
        assert item is not None
        cover(session, project, item, 3)
        round_ = start(session, project, rest_control_share=1.0)
        states = session.scalars(
            select(RoundItem.state).where(RoundItem.round_id == round_.id)
        ).all()
        assert set(states) == {RoundItemState.WAITING}


class TestEnd:
    def test_cancelling_stops_runs_and_frees_people(
        self, session: Session, project: Project
    ) -> None:
        round_ = start(session, project)
        item = session.scalars(select(RoundItem)).first()
        assert item is not None
        item.state = RoundItemState.OPEN
        session.flush()
        judgement = opening.open_next_item(session, round_, make_user(session))
        assert judgement is not None
        rounds.cancel_round(session, round_, actor=None)
        session.commit()
        session.expire_all()
        assert round_.status is RoundStatus.CANCELLED
        assert set(session.scalars(select(Run.status))) == {RunStatus.CANCELLED}
        assert set(session.scalars(select(RunShard.status))) == {ShardStatus.FAILED}
        assert session.get_one(Judgement, judgement.id).status is JudgementStatus.RELEASED
        rounds.create_round(session, project, settings=LoopSettings(), actor=None)

    def test_a_cancelled_run_cannot_be_finished_by_its_worker(
        self, session: Session, project: Project
    ) -> None:
        round_ = start(session, project)
        run = run_of(session, round_, Job.GENERATE)
        attempt = run.attempt
        runs.cancel_run(session, run, actor=None)
        with pytest.raises(LostRun):
            finish_round_run(session, run.id, attempt=attempt, result=SamplingResult())

    def test_closing_without_anything_admitted_ends_the_round(
        self, session: Session, project: Project
    ) -> None:
        round_ = make_round(session, project)
        close_now(session, round_)
        assert round_.decision is Decision.NO_PROGRESS
        assert "nothing to train on" in (round_.decision_reason or "")

    def test_only_judging_can_be_closed(self, session: Session, project: Project) -> None:
        round_ = start(session, project)
        with pytest.raises(Conflict, match="is generating; only judging can be closed"):
            end_judging(session, round_, actor=None)

    def test_every_change_of_status_leaves_an_event(
        self, session: Session, project: Project
    ) -> None:
        round_ = start(session, project)
        rounds.cancel_round(session, round_, actor=None)
        changes = session.scalars(
            select(Event.details)
            .where(Event.round_id == round_.id, Event.tag == "round:status:changed")
            .order_by(Event.id)
        ).all()
        assert [(entry["old"], entry["new"]) for entry in changes] == [
            ("draft", "generating"),
            ("generating", "cancelled"),
        ]


class TestRetry:
    def test_a_retry_takes_over_only_what_is_not_done(
        self, session: Session, project: Project
    ) -> None:
        round_ = start(session, project, sampling={"items_per_shard": 2})
        run = run_of(session, round_, Job.GENERATE)
        shards = session.scalars(select(RunShard).where(RunShard.run_id == run.id)).all()
        assert len(shards) == 3
        shards[0].status = ShardStatus.DONE
        session.flush()
        runs.fail_run(session, run.id, attempt=run.attempt, error="the disk is full")

        retried = rounds.retry_round(session, round_, actor=None)
        assert retried.retry_of_id == run.id
        blocks = session.scalars(
            select(RunShard.item_ids).where(RunShard.run_id == retried.id)
        ).all()
        assert sorted(blocks) == sorted([shards[1].item_ids, shards[2].item_ids])

    def test_nothing_failed_is_nothing_to_retry(self, session: Session, project: Project) -> None:
        round_ = start(session, project)
        with pytest.raises(Conflict, match="nothing to retry"):
            rounds.retry_round(session, round_, actor=None)

    def test_a_failure_told_by_an_outdated_worker_changes_nothing(
        self, session: Session, project: Project
    ) -> None:
        round_ = start(session, project)
        run = run_of(session, round_, Job.GENERATE)
        runs.fail_run(session, run.id, attempt=run.attempt + 7, error="late")
        assert run.status is RunStatus.QUEUED
