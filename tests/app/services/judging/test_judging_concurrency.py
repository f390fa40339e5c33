"""Many people at once, with real commits: exactly k submissions per item, none lost."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.errors import Conflict
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import Judgement, JudgementRevision, Round, RoundItem, User, VerdictRow
from app.opinions import Opinion
from app.queries.judging.access import LockedItem
from app.round_settings import JudgingSettings, LoopSettings
from app.services.judging import judgements, leases, opening
from app.services.judging.ending import end_judging
from app.services.judging.opinions import Kept, Stored
from tests.support import judging
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import locked


def fill(n_items: int, overlap: int, n_people: int) -> tuple[int, list[int]]:
    """A committed round and its annotators."""
    # Not closed by itself: what follows judging is no part of these tests.
    settings = LoopSettings(judging=JudgingSettings(overlap=overlap), auto_advance=False)
    with session_scope() as session:
        project = make_project(session)
        round_ = make_round(session, project, settings=settings)
        for _ in range(n_items):
            make_round_item(session, round_, make_item(session, project), slots=overlap)
        return round_.id, [make_user(session).id for _ in range(n_people)]


def in_parallel(tasks: list[Callable[[], None]]) -> None:
    """Run all at once, released by one barrier; the first error is raised."""
    barrier = threading.Barrier(len(tasks))

    def start(task: Callable[[], None]) -> None:
        barrier.wait()
        task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(start, task) for task in tasks]:
            future.result()


def some_opinion(judgement: Judgement, chance: random.Random) -> Opinion:
    picked = chance.sample(judgement.shown_order, chance.randint(0, 2))
    return Opinion(picked=picked, none_fits=not picked)


def submit_some(session: Session, locked: LockedItem, chance: random.Random) -> Stored | Kept:
    opinion = some_opinion(locked.judgement, chance)
    version = locked.judgement.version
    return judgements.submit(session, locked, opinion, version=version, active_ms=1000)


class Annotator:
    """Judges until nothing comes any more; sometimes takes back, sometimes lets a lease run out."""

    def __init__(self, round_id: int, user_id: int) -> None:
        self.round_id = round_id
        self.user_id = user_id
        self.chance = random.Random(user_id)
        self.acknowledged: dict[int, tuple[int, ...]] = {}
        self.n_taken_back = 0
        self.n_expired = 0

    def run(self) -> None:
        idle = 0
        while idle < 20:
            judgement_id = self.lease()
            if judgement_id is None:
                idle += 1
                # Others may still let an item go.
                threading.Event().wait(0.02)
                continue
            idle = 0
            if self.chance.random() < 0.1:
                self.let_expire(judgement_id)
            else:
                self.submit(judgement_id)
                if self.chance.random() < 0.1:
                    self.take_back_and_submit(judgement_id)

    def lease(self) -> int | None:
        with session_scope() as session:
            judgement = opening.open_next_item(
                session, session.get_one(Round, self.round_id), session.get_one(User, self.user_id)
            )
            return judgement.id if judgement else None

    def submit(self, judgement_id: int) -> None:
        with session_scope() as session:
            judgement = session.get_one(Judgement, judgement_id)
            outcome = submit_some(session, locked(session, judgement), self.chance)
            picked = tuple(judgement.picked)
        if isinstance(outcome, Stored):  # else it went to others while the lease had run out
            self.acknowledged[judgement_id] = picked

    def take_back_and_submit(self, judgement_id: int) -> None:
        with session_scope() as session:
            judgements.take_back(session, locked(session, session.get_one(Judgement, judgement_id)))
        del self.acknowledged[judgement_id]
        self.n_taken_back += 1
        self.submit(judgement_id)

    def let_expire(self, judgement_id: int) -> None:
        with session_scope() as session:
            judgement = leases.heartbeat(
                session,
                locked(session, session.get_one(Judgement, judgement_id)),
                active_ms=0,
                now=datetime.now(UTC) - timedelta(hours=1),
            )
            self.n_expired += judgement.lease_until is not None


@pytest.mark.parametrize(
    "overlap", [pytest.param(1, marks=pytest.mark.slow), 2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_twenty_people_judge_each_item_exactly_k_times(
    database: sessionmaker[Session], overlap: int
) -> None:
    n_items = 100 if overlap == 2 else 40
    round_id, people = fill(n_items, overlap, 20)
    annotators = [Annotator(round_id, user_id) for user_id in people]
    in_parallel([annotator.run for annotator in annotators])

    with session_scope() as session:
        per_item = dict(
            session.execute(
                select(Judgement.round_item_id, func.count())
                .where(Judgement.status == JudgementStatus.SUBMITTED)
                .group_by(Judgement.round_item_id)
            ).all()
        )
        items = session.scalars(select(RoundItem)).all()
        stored = {
            judgement.id: tuple(judgement.picked)
            for judgement in session.scalars(
                select(Judgement).where(Judgement.status == JudgementStatus.SUBMITTED)
            )
        }
        n_verdicts = Counter(session.scalars(select(VerdictRow.judgement_id)).all())
    assert Counter(per_item.values()) == {overlap: n_items}
    assert {item.state for item in items} == {RoundItemState.DONE}
    assert {(item.n_taken, item.n_submitted) for item in items} == {(overlap, overlap)}
    acknowledged = {key: value for one in annotators for key, value in one.acknowledged.items()}
    assert stored == acknowledged
    assert set(n_verdicts.values()) == {3}
    assert sum(one.n_taken_back for one in annotators) > 0
    assert sum(one.n_expired for one in annotators) > 0


def test_two_tabs_of_one_person_get_the_same_item(database: sessionmaker[Session]) -> None:
    round_id, (user_id,) = fill(10, 2, 1)
    got: list[int | None] = []

    def lease() -> None:
        got.append(Annotator(round_id, user_id).lease())

    in_parallel([lease] * 8)
    assert len(set(got)) == 1


def test_enter_held_down_submits_once(database: sessionmaker[Session]) -> None:
    round_id, (user_id,) = fill(1, 1, 1)
    judgement_id = Annotator(round_id, user_id).lease()
    assert judgement_id is not None

    def submit() -> None:
        with session_scope() as session:
            judgement = session.get_one(Judgement, judgement_id)
            judging.submit(session, judgement, version=0, none_fits=True)

    in_parallel([submit] * 8)
    with session_scope() as session:
        assert session.scalar(select(func.count()).select_from(JudgementRevision)) == 1
        assert session.scalar(select(func.count()).select_from(VerdictRow)) == 3


def test_the_last_two_items_submitted_at_once_close_the_round(
    database: sessionmaker[Session],
) -> None:
    round_id, people = fill(2, 1, 2)
    with session_scope() as session:
        round_ = session.get_one(Round, round_id)
        round_.settings = LoopSettings().model_dump(mode="json")
    annotators = [Annotator(round_id, user_id) for user_id in people]
    leased = [annotator.lease() for annotator in annotators]
    barrier = threading.Barrier(2)

    def submit(annotator: Annotator, judgement_id: int) -> None:
        # Both transactions are open, with their submission written, before either commits.
        with session_scope() as session:
            judgement = session.get_one(Judgement, judgement_id)
            place = locked(session, judgement)
            submit_some(session, place, random.Random(1))
            assert opening.open_following_item(session, place.round_, place.user) is None
            barrier.wait(timeout=20)

    in_parallel(
        [
            lambda one=one, judgement_id=judgement_id: submit(one, judgement_id)
            for one, judgement_id in zip(annotators, leased, strict=True)
            if judgement_id is not None
        ]
    )
    with session_scope() as session:
        assert session.get_one(Round, round_id).status is not RoundStatus.JUDGING


def test_no_answer_slips_in_behind_a_close(database: sessionmaker[Session]) -> None:
    """A submission is either counted by the close or refused; never stored after it."""
    round_id, people = fill(30, 1, 10)

    def annotate(user_id: int) -> None:
        annotator = Annotator(round_id, user_id)
        while True:
            try:
                judgement_id = annotator.lease()
                if judgement_id is None:
                    return
                annotator.submit(judgement_id)
            except Conflict:
                return

    n_at_close: list[int] = []

    def close() -> None:
        threading.Event().wait(0.15)
        with session_scope() as session:
            end_judging(session, session.get_one(Round, round_id), actor=None)
            n_at_close.append(count_submitted(session))

    in_parallel([*(lambda user_id=user_id: annotate(user_id) for user_id in people), close])
    with session_scope() as session:
        assert [count_submitted(session)] == n_at_close


def count_submitted(session: Session) -> int:
    return session.scalars(
        select(func.count()).where(Judgement.status == JudgementStatus.SUBMITTED)
    ).one()
