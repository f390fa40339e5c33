"""Whatever people do, in whatever order: no sequence of actions breaks what judging promises.

Hypothesis makes up the sequences. They are the same in every run, so that the suite never depends
on chance; the slow test tries many more.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text
from sqlalchemy.orm import Session, sessionmaker

from app.kit import db
from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import Judgement, Membership, Project, Round, RoundItem, User
from app.opinions import Opinion
from app.queries.judging.access import LockedItem
from app.round_settings import JudgingSettings, LoopSettings
from app.services.judging import ending, judgements, leases, opening
from app.services.judging.opinions import Kept, Stored
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import locked

N_ITEMS = 3
N_PEOPLE = 3
BETTER = "the ball in the corner is red"
HELD = (JudgementStatus.LEASED, JudgementStatus.DRAFT)
LOST = (JudgementStatus.RELEASED, JudgementStatus.SKIPPED)
NOBODY_HOLDS = (RoundItemState.DONE, RoundItemState.SET_ASIDE)

Content = tuple[tuple[int, ...], bool, bool]
"""(picked, none fits, the answer is wrong)"""

Row = SimpleNamespace
"""A row of a table, with the columns that EVERYTHING names."""

people = st.integers(0, N_PEOPLE - 1)
which = st.integers(0, N_ITEMS * N_PEOPLE - 1)
says = st.sampled_from(["first", "second", "both", "none", "wrong"])


EVERYTHING = text(
    """
    SELECT
        (SELECT status FROM round) AS round_status,
        (
            SELECT json_agg(one) FROM (
                SELECT
                    id, round_item_id, user_id, slot, status, version, shown_order,
                    picked, none_fits, answer_is_wrong,
                    status = 'submitted' AS is_submitted,
                    EXISTS (
                        SELECT FROM written_rationale WHERE judgement_id = judgement.id
                    ) AS is_written
                FROM judgement
                ORDER BY id
            ) AS one
        ) AS judgements,
        (
            SELECT json_agg(one) FROM (
                SELECT judgement_id, candidate_id, fits FROM verdict
            ) AS one
        ) AS verdicts,
        (
            SELECT json_agg(one) FROM (
                SELECT id, state, slots, max_slots, n_taken, n_submitted, priority FROM round_item
            ) AS one
        ) AS round_items,
        (
            SELECT json_agg(one) FROM (
                SELECT user_id, n_submitted FROM round_annotator
            ) AS one
        ) AS round_annotators
    """
)
"""Reads all rows that the checks look at, in one statement, after each of thousands of steps."""


@dataclass(frozen=True)
class Found:
    """All that is stored of the one round."""

    round_status: str
    judgements: list[Row]
    verdicts: list[Row]
    round_items: list[Row]
    round_annotators: list[Row]


def read(session: Session) -> Found:
    status, *tables = session.execute(EVERYTHING).one()
    return Found(status, *([Row(**row) for row in rows or []] for rows in tables))


@dataclass(frozen=True)
class World:
    """The numbers of the project, round and people that are stored before any sequence begins."""

    project_id: int
    round_id: int
    user_ids: list[int]


def make_world(session: Session) -> World:
    project = make_project(session)
    round_ = make_round(session, project)
    for _ in range(N_ITEMS):
        make_round_item(session, round_, make_item(session, project))
    people = [make_user(session) for _ in range(N_PEOPLE)]
    for user in people:
        make_membership(session, project, user)
    return World(project.id, round_.id, [user.id for user in people])


class Judging(RuleBasedStateMachine):
    """The round of the world in one transaction that is never committed; time is told to it."""

    numbers = count(1)

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.stack = ExitStack()
        connection = self.stack.enter_context(db.get_engine().connect())
        transaction = connection.begin()
        self.stack.callback(transaction.rollback)
        self.session = self.stack.enter_context(
            Session(
                bind=connection,
                join_transaction_mode="create_savepoint",
                expire_on_commit=False,
                autoflush=True,
            )
        )
        self.now = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
        # What people were told: the content that was kept of each judgement, and which count.
        self.kept: dict[int, Content] = {}
        self.submitted: set[int] = set()
        self.found = Found("", [], [], [], [])

    def teardown(self) -> None:
        self.stack.close()

    @initialize(
        order=st.sampled_from(["random", "fewest_first", "uncertainty"]),
        overlap=st.integers(1, 3),
        extra=st.integers(0, 1),
        limit=st.sampled_from([None, None, 2]),
        max_skips=st.sampled_from([None, None, 2]),
    )
    def open_round(
        self, order: Any, overlap: int, extra: int, limit: int | None, max_skips: int | None
    ) -> None:
        self.settings = JudgingSettings(
            order=order,
            overlap=overlap,
            max_overlap=overlap + extra if extra else None,
            max_per_annotator=limit,
            max_skips=max_skips,
        )
        whole = LoopSettings(judging=self.settings, auto_advance=False)
        self.project = self.session.get_one(Project, self.world.project_id)
        self.round = self.session.get_one(Round, self.world.round_id)
        self.round.settings = whole.model_dump(mode="json")
        # Candidates and items come in another order to each sequence.
        self.round.order_key = f"order-{next(self.numbers)}"
        for round_item in self.session.scalars(select(RoundItem)).all():
            round_item.slots = overlap
            round_item.max_slots = self.settings.most_slots
            round_item.taken_weight = float(order == "fewest_first")
            round_item.random_key = next(self.numbers) * 0.618 % 1
        found = {user.id: user for user in self.session.scalars(select(User)).all()}
        self.people = [found[user_id] for user_id in self.world.user_ids]

    # --- What people do

    def act(self, action: Callable[[], object]) -> bool:
        """Do it as a request does: all or nothing. False where it was refused or came too late."""
        try:
            with self.session.begin_nested():
                outcome = action()
        except (Conflict, InvalidInput):
            self.forget()
            return False
        return not isinstance(outcome, Kept)

    def forget(self) -> None:
        """Ask the database again, as each request does; nobody changes the project or people."""
        for one in self.session:
            if not isinstance(one, Project | User):
                self.session.expire(one)

    def find(self, which: int, *statuses: JudgementStatus) -> Row | None:
        """One of the judgements that there are, or of those in a status."""
        found = [one for one in self.found.judgements if not statuses or one.status in statuses]
        return found[which % len(found)] if found else None

    @rule(person=people)
    def ask_for_the_next(self, person: int) -> None:
        user = self.people[person]
        found: list[Judgement | None] = []
        self.act(
            lambda: found.append(
                opening.open_next_item(self.session, self.round, user, now=self.now)
            )
        )
        for judgement in found:
            if judgement is not None:
                assert judgement.status in HELD
                assert judgement.user_id == user.id
                self.kept.setdefault(judgement.id, ((), False, False))

    @rule(which=which, says=says, is_stale=st.booleans())
    def save_a_draft(self, which: int, says: str, is_stale: bool) -> None:
        judgement = self.find(which)
        if judgement is not None:
            self.answer(judgements.save_draft, judgement, says, is_stale)

    @rule(which=which, says=says, is_stale=st.sampled_from([False, False, False, True]))
    def submit(self, which: int, says: str, is_stale: bool) -> None:
        self.submit_it(self.find(which), says, is_stale)

    def submit_it(
        self, judgement: Row | Judgement | None, says: str, is_stale: bool = False
    ) -> None:
        if judgement is not None and self.answer(judgements.submit, judgement, says, is_stale):
            self.submitted.add(judgement.id)

    @rule(person=people, says=says)
    def judge_the_next(self, person: int, says: str) -> None:
        """The usual way, so that rounds get somewhere."""
        self.ask_for_the_next(person)
        held = self.session.scalars(
            select(Judgement).where(
                Judgement.user_id == self.people[person].id, Judgement.status.in_(HELD)
            )
        ).first()
        self.submit_it(held, says)

    def answer(
        self,
        action: Callable[..., Stored | Kept],
        judgement: Row | Judgement,
        says: str,
        is_stale: bool,
    ) -> bool:
        """Whether it is done, and not only kept."""
        first, second, third = sorted(judgement.shown_order)
        picked = {"first": (first,), "second": (second,), "both": (first, second)}.get(says, ())
        content: Content = (picked, says == "none", says == "wrong")
        opinion = Opinion(
            picked=picked,
            none_fits=says == "none",
            answer_is_wrong=says == "wrong",
            edits={third: BETTER},
        )
        version = judgement.version - is_stale
        outcomes: list[Stored | Kept] = []

        def send() -> Stored | Kept:
            try:
                outcome = action(
                    self.session,
                    locked(self.session, judgement),
                    opinion,
                    version=version,
                    now=self.now,
                )
            except StaleVersion:
                assert is_stale or judgement.status == JudgementStatus.SUBMITTED
                raise
            outcomes.append(outcome)
            return outcome

        is_done = self.act(send)
        if outcomes:
            self.kept[judgement.id] = content
        return is_done

    @rule(which=which)
    def take_back(self, which: int) -> None:
        judgement = self.find(which, JudgementStatus.SUBMITTED)
        if judgement and self.act(
            lambda: judgements.take_back(
                self.session, locked(self.session, judgement), now=self.now
            )
        ):
            self.submitted.discard(judgement.id)

    @rule(which=which, action=st.sampled_from(["release", "leave", "skip", "expire"]))
    def let_go(self, which: int, action: str) -> None:
        judgement = self.find(which, *HELD)
        if judgement is None:
            return
        match action:
            case "release":
                self.act(
                    lambda: leases.give_back_item(self.session, locked(self.session, judgement))
                )
            case "leave":
                self.act(lambda: self.leave(locked(self.session, judgement)))
            case "skip":
                self.act(
                    lambda: judgements.skip(
                        self.session,
                        locked(self.session, judgement),
                        reason="cannot tell",
                        now=self.now,
                    )
                )
            case "expire":
                self.now += timedelta(minutes=6)
                self.act(lambda: leases.free_expired_leases(self.session, now=self.now))

    def leave(self, taken: LockedItem) -> None:
        lease = taken.judgement.lease_until or self.now
        leases.shorten_lease(taken.judgement, lease=lease, now=self.now)

    @rule(which=which, says=says, action=st.sampled_from(["resume", "heartbeat", "submit"]))
    def come_back(self, which: int, says: str, action: str) -> None:
        judgement = self.find(which, *LOST)
        if judgement is None:
            return
        if action == "submit":
            self.submit_it(judgement, says)
        elif action == "resume":
            self.act(
                lambda: leases.resume(self.session, locked(self.session, judgement), now=self.now)
            )
        else:
            self.act(
                lambda: leases.heartbeat(
                    self.session, locked(self.session, judgement), active_ms=0, now=self.now
                )
            )

    @rule(which=which)
    def beat(self, which: int) -> None:
        judgement = self.find(which)
        if judgement is not None:
            self.act(
                lambda: leases.heartbeat(
                    self.session, locked(self.session, judgement), active_ms=0, now=self.now
                )
            )

    @rule(person=people)
    def skip_what_comes(self, person: int) -> None:
        self.ask_for_the_next(person)
        for judgement in self.session.scalars(
            select(Judgement).where(
                Judgement.user_id == self.people[person].id, Judgement.status.in_(HELD)
            )
        ).all():
            self.act(
                lambda judgement=judgement: judgements.skip(
                    self.session, locked(self.session, judgement), reason="unclear", now=self.now
                )
            )

    # --- What else happens

    @rule(minutes=st.sampled_from([1, 4, 6]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def sweep(self) -> None:
        self.act(lambda: leases.free_expired_leases(self.session, now=self.now))
        self.act(lambda: ending.end_if_all_judged(self.session, self.world.round_id))

    @rule(person=people)
    def somebody_leaves_the_project(self, person: int) -> None:
        member = self.session.scalars(
            select(Membership).where(Membership.user_id == self.people[person].id)
        ).one_or_none()
        if member is not None:
            self.session.delete(member)

    @precondition(lambda self: self.now.minute % 10 == 6)
    @rule()
    def close(self) -> None:
        self.act(lambda: ending.end_judging(self.session, self.round, actor=None))

    # --- What holds at every moment

    @invariant()
    def all_that_judging_promises_holds(self) -> None:
        self.session.flush()
        self.forget()
        self.found = read(self.session)
        self.places_are_counted_and_never_exceeded(self.found)
        self.what_was_acknowledged_is_stored(self.found)
        self.each_person_has_one_place_per_item_and_no_more_than_their_share(self.found)
        self.a_closed_round_is_left_alone(self.found)

    def places_are_counted_and_never_exceeded(self, found: Found) -> None:
        live = Counter(one.round_item_id for one in found.judgements if one.slot is not None)
        submitted = Counter(one.round_item_id for one in found.judgements if one.is_submitted)
        for item in found.round_items:
            assert item.n_taken == live[item.id] <= item.slots <= item.max_slots
            assert item.n_submitted == submitted[item.id]
            if item.state in NOBODY_HOLDS:
                assert item.n_taken == item.n_submitted
            if item.state == RoundItemState.DONE:
                assert item.n_submitted == item.slots
            if self.settings.order == "fewest_first":
                assert item.priority == -item.n_taken

    def what_was_acknowledged_is_stored(self, found: Found) -> None:
        stored = {
            one.id: (tuple(sorted(one.picked)), one.none_fits, one.answer_is_wrong)
            for one in found.judgements
        }
        assert stored == self.kept
        assert {one.id for one in found.judgements if one.is_submitted} == self.submitted
        written = {one.id for one in found.judgements if one.is_written}
        assert written == {id_ for id_ in self.submitted if not stored[id_][2]}
        verdicts: dict[int, set[int]] = {}
        for verdict in found.verdicts:
            if verdict.fits:
                verdicts.setdefault(verdict.judgement_id, set()).add(verdict.candidate_id)
        n_verdicts = Counter(verdict.judgement_id for verdict in found.verdicts)
        assert n_verdicts == {id_: 3 for id_ in self.submitted if not stored[id_][2]}
        for judgement_id, picked in verdicts.items():
            assert picked == set(stored[judgement_id][0])

    def each_person_has_one_place_per_item_and_no_more_than_their_share(self, found: Found) -> None:
        pairs = [(one.round_item_id, one.user_id) for one in found.judgements]
        assert len(pairs) == len(set(pairs))
        counted = Counter(one.user_id for one in found.judgements if one.is_submitted)
        for part in found.round_annotators:
            assert part.n_submitted == counted[part.user_id]
            assert part.n_submitted <= (self.settings.max_per_annotator or N_ITEMS)

    def a_closed_round_is_left_alone(self, found: Found) -> None:
        if found.round_status in (RoundStatus.JUDGING, RoundStatus.GENERATING):
            return
        assert [one.id for one in found.judgements if one.status in HELD] == []


def run(database: sessionmaker[Session], n_sequences: int, n_steps: int) -> None:
    with database.begin() as session:
        world = make_world(session)
    run_state_machine_as_test(
        lambda: Judging(world),
        settings=settings(
            max_examples=n_sequences,
            stateful_step_count=n_steps,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_sequence_of_actions_breaks_the_invariants(database: sessionmaker[Session]) -> None:
    run(database, 10, 20)


@pytest.mark.slow
def test_no_sequence_of_many_breaks_them_either(database: sessionmaker[Session]) -> None:
    run(database, 150, 60)
