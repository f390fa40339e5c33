"""The closing of a round: requested once, done by a worker, all or nothing, and done again."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.errors import Conflict, LostRun
from app.lifecycle import Job, JudgementStatus, RoundStatus, RunStatus, Split
from app.models import Admission, Item, Project, Round, Run, TrainingRow
from app.queries.rounds.item_ranges import list_ranges
from app.queries.runs.runs import claim_run
from app.round_settings import LoopSettings, TrainingSettings
from app.services.judging import opening
from app.services.judging.ending import end_if_all_judged, end_judging
from app.services.rounds import rounds
from app.services.rounds.closing import ADMITTING, PLANNING, close_round
from app.services.runs import runs
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import submit
from tests.support.rounds_in_process import close_now
from worker.host.execute import execute
from worker.host.heart import Heart

N_ITEMS = 3


def judged_round(session: Session, *, auto_advance: bool = True) -> Round:
    """A round of three items, all judged by one person who picked the first text of each."""
    settings = LoopSettings(training=TrainingSettings(replay_ratio=1.0), auto_advance=auto_advance)
    project = make_project(session, settings=settings)
    round_ = make_round(session, project, settings=settings)
    for _ in range(N_ITEMS):
        make_round_item(session, round_, make_item(session, project))
    user = make_user(session)
    for _ in range(N_ITEMS):
        judgement = opening.open_next_item(session, round_, user)
        assert judgement is not None
        submit(session, judgement, picked=judgement.shown_order[:1])
    return round_


@pytest.fixture
def round_(session: Session) -> Round:
    return judged_round(session)


def runs_of(session: Session, round_: Round, job: Job) -> list[Run]:
    return list(
        session.scalars(
            select(Run).where(Run.round_id == round_.id, Run.job == job).order_by(Run.id)
        )
    )


def admitted(session: Session) -> list[int]:
    return list(session.scalars(select(Admission.item_id).order_by(Admission.item_id)))


class TestRequest:
    def test_nothing_is_admitted_by_who_asks(self, session: Session, round_: Round) -> None:
        assert end_if_all_judged(session, round_.id)
        assert round_.status is RoundStatus.CLOSING
        assert admitted(session) == []
        assert [run.status for run in runs_of(session, round_, Job.CLOSE)] == [RunStatus.QUEUED]

    def test_asking_again_is_asking_once(self, session: Session, round_: Round) -> None:
        first = end_judging(session, round_, actor=None)
        assert end_judging(session, round_, actor=None) is first
        assert not end_if_all_judged(session, round_.id)
        assert runs_of(session, round_, Job.CLOSE) == [first]

    def test_a_closing_that_was_cancelled_alone_is_asked_for_anew(
        self, session: Session, round_: Round
    ) -> None:
        first = end_judging(session, round_, actor=None)
        runs.cancel_run(session, first, actor=None)
        again = end_judging(session, round_, actor=None)
        assert again is not first
        assert round_.status is RoundStatus.CLOSING

    def test_nobody_judges_any_more_and_what_was_held_is_kept(
        self, session: Session, round_: Round
    ) -> None:
        project = session.get_one(Project, round_.project_id)
        make_round_item(session, round_, make_item(session, project))
        held = opening.open_next_item(session, round_, make_user(session))
        assert held is not None
        end_judging(session, round_, actor=None)
        session.refresh(held)
        assert held.status is JudgementStatus.RELEASED
        with pytest.raises(Conflict, match="closed for judging"):
            opening.open_next_item(session, round_, make_user(session))

    @pytest.mark.parametrize("status", [RoundStatus.GENERATING, RoundStatus.TRAINING])
    def test_other_rounds_cannot_be_closed(
        self, session: Session, round_: Round, status: RoundStatus
    ) -> None:
        round_.status = status
        session.flush()
        with pytest.raises(Conflict, match=f"is {status}; only judging can be closed"):
            end_judging(session, round_, actor=None)

    def test_a_round_that_an_admin_closes_waits_for_the_admin(self, session: Session) -> None:
        by_hand = judged_round(session, auto_advance=False)
        assert not end_if_all_judged(session, by_hand.id)
        assert by_hand.status is RoundStatus.JUDGING


class TestJob:
    def test_it_admits_plans_and_requests_the_training(
        self, session: Session, round_: Round
    ) -> None:
        project = session.get_one(Project, round_.project_id)
        spare = [make_item(session, project).id for _ in range(2)]
        make_item(session, project, split=Split.TEST)
        run = close_now(session, round_)
        assert round_.status is RoundStatus.TRAINING
        assert run.result == {"n_rationales": 3, "n_items": 3, "n_judged_items": 3}
        (training,) = runs_of(session, round_, Job.TRAIN)
        assert (training.strategy, training.role) == ("direct", "model")
        rows = session.execute(
            select(TrainingRow.item_id, TrainingRow.candidate_id.is_not(None))
            .where(TrainingRow.run_id == training.id)
            .order_by(TrainingRow.id)
        ).all()
        assert [has_rationale for _, has_rationale in rows] == [True] * 3 + [False] * 2
        assert [item_id for item_id, _ in rows[:3]] == admitted(session)
        assert sorted(item_id for item_id, _ in rows[3:]) == spare

    def test_it_tells_how_many_items_are_done(self, session: Session, round_: Round) -> None:
        told: list[tuple[str, int, int]] = []
        run = end_judging(session, round_, actor=None)
        attempt = claim(session, run)
        close_round(
            session,
            run.id,
            attempt=attempt,
            on_progress=lambda step, done, total: told.append((step, done, total)),
        )
        assert told == [(ADMITTING, 0, N_ITEMS), (PLANNING, 0, N_ITEMS)]

    def test_a_closing_that_failed_is_retried(self, session: Session, round_: Round) -> None:
        failed = end_judging(session, round_, actor=None)
        runs.fail_run(session, failed.id, attempt=claim(session, failed), error="the disk is full")
        assert end_judging(session, round_, actor=None) is failed
        again = rounds.retry_round(session, round_, actor=None)
        assert (again.job, again.retry_of_id) == (Job.CLOSE, failed.id)
        close_round(session, again.id, attempt=claim(session, again))
        assert round_.status is RoundStatus.TRAINING
        assert len(runs_of(session, round_, Job.TRAIN)) == 1

    def test_it_is_done_once_by_whoever_holds_it(self, session: Session, round_: Round) -> None:
        run = end_judging(session, round_, actor=None)
        outdated = claim(session, run)
        with session.begin_nested() as savepoint:
            with pytest.raises(LostRun):
                close_round(session, run.id, attempt=outdated + 1)
            savepoint.rollback()
        assert admitted(session) == []
        close_round(session, run.id, attempt=outdated)
        assert len(admitted(session)) == N_ITEMS


def claim(session: Session, run: Run) -> int:
    attempt = claim_run(session, run.id, worker_id=None, stale_after=runs.stale_after())
    assert attempt is not None
    session.refresh(run)
    return attempt


def test_a_round_that_is_cancelled_while_it_closes_admits_nothing(
    database: sessionmaker[Session],
) -> None:
    with session_scope() as session:
        round_id = judged_round(session).id
        run_id = end_judging(session, session.get_one(Round, round_id), actor=None).id
    with session_scope() as session:
        attempt = claim(session, session.get_one(Run, run_id))

    def cancel_once(cancel: Callable[[], None]) -> Callable[[str, int, int], None]:
        waiting = [cancel]
        return lambda _step, _done, _total: waiting.pop()() if waiting else None

    def cancel() -> None:
        with session_scope() as session:
            rounds.cancel_round(session, session.get_one(Round, round_id), actor=None)

    with pytest.raises(LostRun), session_scope() as session:
        close_round(session, run_id, attempt=attempt, on_progress=cancel_once(cancel))
    with session_scope() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.CANCELLED
        assert admitted(session) == []
        assert session.scalars(select(Run.status).where(Run.job == Job.TRAIN)).all() == []


def test_a_worker_that_finds_the_run_cancelled_stops_and_leaves_nothing(
    database: sessionmaker[Session],
) -> None:
    with session_scope() as session:
        round_ = judged_round(session)
        run_id = end_judging(session, round_, actor=None).id
    heart = Heart(["cpu"], "cpu")
    heart.beat()
    execute(run_id, heart)
    with session_scope() as session:
        run = session.get_one(Run, run_id)
        assert run.status is RunStatus.SUCCEEDED
        assert run.progress["total"] == N_ITEMS
        assert len(admitted(session)) == N_ITEMS
    execute(run_id, heart)  # a second nudge does nothing
    with session_scope() as session:
        assert len(admitted(session)) == N_ITEMS


def test_items_come_in_blocks_by_their_ids(session: Session) -> None:
    project = make_project(session)
    ids = [make_item(session, project).id for _ in range(5)]
    ranges = list_ranges(session, select(Item.id), 2)
    assert [(range_.first, range_.last, range_.size) for range_ in ranges] == [
        (ids[0], ids[1], 2),
        (ids[2], ids[3], 2),
        (ids[4], ids[4], 1),
    ]
