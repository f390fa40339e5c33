"""The evidence of a round: asked for, gathered from what counts, stored, and never in the way."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.evidence import AgreementFigures, PositionFigures
from app.kit.db import session_scope
from app.kit.errors import LostRun
from app.lifecycle import EvidenceKind, Job, Purpose, RoundItemState, RoundStatus, RunStatus
from app.measures import Undefined
from app.models import Project, Round, RoundEvidence, Run
from app.queries.quality.evidence import list_evidence
from app.queries.quality.judgements import read_judgements
from app.round_settings import LoopSettings
from app.services.judging.ending import end_judging
from app.services.quality.asking import request_evidence
from app.services.quality.evidence import gather_evidence
from app.services.refusals import NothingJudged, NothingToRetry, RunLive
from app.services.rounds.rounds import retry_round
from app.services.runs import runs
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import gather_now, make_judged_items, make_people, open_item, submit
from tests.support.rounds_in_process import close_now
from worker.host.execute import execute
from worker.host.heart import Heart


@pytest.fixture
def round_(session: Session) -> Round:
    return make_round(session, make_project(session), settings=LoopSettings(auto_advance=False))


def agreement_of(session: Session, round_: Round) -> AgreementFigures:
    stored = list_evidence(session, [round_.id])[round_.id, EvidenceKind.AGREEMENT]
    return AgreementFigures.read(stored.figures)


def positions_of(session: Session, round_: Round) -> PositionFigures:
    stored = list_evidence(session, [round_.id])[round_.id, EvidenceKind.POSITIONS]
    return PositionFigures.read(stored.figures)


def runs_of(session: Session, round_: Round) -> list[Run]:
    found = select(Run).where(Run.round_id == round_.id, Run.job == Job.ASSESS).order_by(Run.id)
    return list(session.scalars(found))


class TestWhatIsMeasured:
    def test_people_who_always_say_the_same_agree_and_somebody_else_does_not(
        self, session: Session, round_: Round
    ) -> None:
        *careful, hasty = make_people(session, 4)
        make_judged_items(
            session,
            round_,
            [*careful, hasty],
            n_items=6,
            choose=lambda user, shown: [shown[0]] if user is hasty else sorted(shown)[:2],
        )
        gather_now(session, round_)
        found = agreement_of(session, round_)
        assert (found.n_judgements, found.n_items, found.n_people) == (24, 6, 4)
        assert found.alpha.n == 24
        assert found.picked_share == pytest.approx((3 * 2 + 1) / (4 * 4))
        of_people = {entry.user_id: entry.alpha.value for entry in found.people}
        for user in careful:
            assert of_people[user.id] > of_people[hasty.id]
        assert found.alpha.low <= found.alpha.value <= found.alpha.high
        assert found.masi.n == 6
        assert found.cohen.undefined is Undefined.NOT_TWO

    def test_what_does_not_count_changes_nothing(self, session: Session, round_: Round) -> None:
        people = make_people(session, 2)
        make_judged_items(session, round_, people, n_items=3)
        gather_now(session, round_)
        before = agreement_of(session, round_)
        make_judged_items(
            session,
            round_,
            people,
            n_items=2,
            purpose=Purpose.CHECK,
            choose=lambda user, shown: shown[: 1 + (user is people[0])],
        )
        gather_now(session, round_)
        assert agreement_of(session, round_) == before

    def test_items_of_which_nothing_can_be_admitted_are_left_out(
        self, session: Session, round_: Round
    ) -> None:
        people = make_people(session, 2)
        kept, aside = make_judged_items(session, round_, people, n_items=2)
        aside.state = RoundItemState.SET_ASIDE
        project = session.get_one(Project, round_.project_id)
        make_round_item(session, round_, make_item(session, project), slots=2)
        submit(session, open_item(session, round_, people[0]), answer_is_wrong=True)
        session.flush()
        assert set(read_judgements(session, round_.id).item_id) == {kept.item_id}

    def test_verdicts_and_positions_are_those_that_people_gave(
        self, session: Session, round_: Round
    ) -> None:
        people = make_people(session, 3)
        make_judged_items(session, round_, people, n_items=4, choose=lambda _, shown: shown[1:3])
        found = read_judgements(session, round_.id)
        assert len(found) == 12
        assert found.fits.tolist() == [False, True, True, False] * 12
        assert found.position.tolist() == [0, 1, 2, 3] * 12

    def test_one_person_alone_is_a_reason(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 1), n_items=2)
        gather_now(session, round_)
        found = agreement_of(session, round_)
        assert (found.alpha.value, found.alpha.undefined) == (None, Undefined.ONE_PERSON)


class TestPositions:
    def test_who_only_picks_the_first_stands_out(self, session: Session, round_: Round) -> None:
        *careful, hasty = make_people(session, 3)
        make_judged_items(
            session,
            round_,
            [*careful, hasty],
            n_items=12,
            choose=lambda user, shown: shown[:1] if user is hasty else sorted(shown)[:2],
        )
        gather_now(session, round_)
        found = positions_of(session, round_)
        assert found.n == 36
        assert found.is_biased
        assert hasty.id in [own.user_id for own in found.people if own.stands_out]
        own = next(own for own in found.people if own.user_id == hasty.id)
        assert (own.effect.position, own.effect.seen, own.effect.expected) == (1, 1.0, 0.25)

    def test_answers_that_pick_nothing_tell_nothing(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 2), n_items=2, choose=lambda *_: [])
        gather_now(session, round_)
        found = positions_of(session, round_)
        assert (found.n, found.p, found.effect) == (0, None, None)


class TestTheRun:
    def test_nothing_judged_is_refused(self, session: Session, round_: Round) -> None:
        with pytest.raises(NothingJudged, match="Nobody has judged anything in round 1"):
            request_evidence(session, round_, actor=None)

    def test_one_at_a_time(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 1), n_items=1)
        request_evidence(session, round_, actor=None)
        with pytest.raises(RunLive):
            request_evidence(session, round_, actor=None)

    def test_gathered_again_it_takes_the_place_of_the_older(
        self, session: Session, round_: Round
    ) -> None:
        people = make_people(session, 2)
        make_judged_items(session, round_, people, n_items=1)
        gather_now(session, round_)
        make_judged_items(session, round_, people, n_items=1)
        gather_now(session, round_)
        stored = session.scalars(select(RoundEvidence)).all()
        assert len({entry.kind for entry in stored}) == len(stored)
        assert {entry.run_id for entry in stored} == {runs_of(session, round_)[-1].id}
        assert agreement_of(session, round_).n_items == 2

    def test_a_run_that_was_cancelled_stores_nothing(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 1), n_items=1)
        run = request_evidence(session, round_, actor=None)
        runs.cancel_run(session, run, actor=None)
        with pytest.raises(LostRun), session.begin_nested():
            gather_evidence(session, run.id, attempt=run.attempt)
        assert session.scalars(select(RoundEvidence)).all() == []

    def test_closing_asks_for_it_and_does_not_wait(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 2), n_items=2)
        end_judging(session, round_, actor=None)
        close_now(session, round_)
        assert round_.status is RoundStatus.TRAINING
        assert [run.status for run in runs_of(session, round_)] == [RunStatus.QUEUED]

    def test_closing_finds_it_asked_for_already(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 2), n_items=2)
        asked = request_evidence(session, round_, actor=make_user(session))
        end_judging(session, round_, actor=None)
        close_now(session, round_)
        assert round_.status is RoundStatus.TRAINING
        assert runs_of(session, round_) == [asked]

    def test_one_that_failed_stops_nothing(self, session: Session, round_: Round) -> None:
        make_judged_items(session, round_, make_people(session, 2), n_items=2)
        run = request_evidence(session, round_, actor=None)
        runs.fail_run(session, run.id, attempt=run.attempt, error="no memory")
        assert run.status is RunStatus.FAILED
        with pytest.raises(NothingToRetry):
            retry_round(session, round_, actor=None)
        gather_now(session, round_)
        assert agreement_of(session, round_).n_items == 2


def test_a_worker_gathers_it_once_and_tells_its_steps(database: sessionmaker[Session]) -> None:
    with session_scope() as session:
        round_ = make_round(
            session, make_project(session), settings=LoopSettings(auto_advance=False)
        )
        make_judged_items(session, round_, make_people(session, 2), n_items=2)
        round_id, run_id = round_.id, request_evidence(session, round_, actor=None).id
    heart = Heart(["cpu"], "cpu")
    heart.beat()
    execute(run_id, heart)
    execute(run_id, heart)  # a second nudge does nothing
    with session_scope() as session:
        run = session.get_one(Run, run_id)
        assert (run.status, run.attempt, run.result) == (
            RunStatus.SUCCEEDED,
            1,
            {"n_judgements": 4},
        )
        # There is nothing to compare before a round is completed.
        kinds = {kind.value for kind in EvidenceKind} - {EvidenceKind.COMPARISON}
        assert run.progress["total"] == len(kinds) + 1
        stored = {kind for _, kind in list_evidence(session, [round_id])}
        assert stored == kinds
