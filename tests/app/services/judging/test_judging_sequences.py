"""Whatever people do, in whatever order: no sequence of actions breaks what judging promises.

Hypothesis makes up the sequences. They are the same in every run, so that the suite never depends
on chance; the slow test tries many more.
"""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
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
from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.embedded import EmbeddedServices
from app.kit import db
from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import (
    Judgement,
    Membership,
    RoundAnnotator,
    RoundItem,
    VerdictRow,
    WrittenRationale,
)
from app.opinions import Opinion
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

people = st.integers(0, N_PEOPLE - 1)
which = st.integers(0, N_ITEMS * N_PEOPLE - 1)
says = st.sampled_from(["first", "second", "both", "none", "wrong"])


class Judging(RuleBasedStateMachine):
    """One round in one transaction that is never committed; time is told to it."""

    def __init__(self) -> None:
        super().__init__()
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
        project = make_project(self.session)
        self.round = make_round(self.session, project, settings=whole)
        for _ in range(N_ITEMS):
            make_round_item(
                self.session,
                self.round,
                make_item(self.session, project),
                slots=overlap,
                max_slots=self.settings.most_slots,
            )
        self.people = [make_user(self.session) for _ in range(N_PEOPLE)]
        for user in self.people:
            make_membership(self.session, project, user)

    # --- What people do

    def act(self, action: Callable[[], object]) -> bool:
        """Do it as a request does: all or nothing. False where it was refused or came too late."""
        try:
            with self.session.begin_nested():
                outcome = action()
        except (Conflict, InvalidInput):
            self.session.expire_all()
            return False
        return not isinstance(outcome, Kept)

    def find(self, which: int, *statuses: JudgementStatus) -> Judgement | None:
        """One of the judgements that there are, or of those in a status."""
        statement = select(Judgement).order_by(Judgement.id)
        if statuses:
            statement = statement.where(Judgement.status.in_(statuses))
        found = self.session.scalars(statement).all()
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
        self.answer(judgements.save_draft, which, says, is_stale)

    @rule(which=which, says=says, is_stale=st.sampled_from([False, False, False, True]))
    def submit(self, which: int, says: str, is_stale: bool) -> None:
        judgement = self.answer(judgements.submit, which, says, is_stale)
        if judgement is not None:
            self.submitted.add(judgement.id)

    @rule(person=people, says=says)
    def judge_the_next(self, person: int, says: str) -> None:
        """The usual way, so that rounds get somewhere."""
        self.ask_for_the_next(person)
        held = self.session.scalars(
            select(Judgement.id).where(
                Judgement.user_id == self.people[person].id, Judgement.status.in_(HELD)
            )
        ).first()
        if held is not None:
            ids = self.session.scalars(select(Judgement.id).order_by(Judgement.id)).all()
            self.submit(list(ids).index(held), says, False)

    def answer(
        self, action: Callable[..., Stored | Kept], which: int, says: str, is_stale: bool
    ) -> Judgement | None:
        judgement = self.find(which)
        if judgement is None:
            return None
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
                assert is_stale or judgement.status is JudgementStatus.SUBMITTED
                raise
            outcomes.append(outcome)
            return outcome

        is_done = self.act(send)
        if outcomes:
            self.kept[judgement.id] = content
        return judgement if is_done else None

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
                self.act(
                    lambda: leases.shorten_lease(
                        locked(self.session, judgement),
                        lease=judgement.lease_until or self.now,
                        now=self.now,
                    )
                )
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

    @rule(which=which, says=says, action=st.sampled_from(["resume", "heartbeat", "submit"]))
    def come_back(self, which: int, says: str, action: str) -> None:
        judgement = self.find(which, *LOST)
        if judgement is None:
            return
        if action == "submit":
            ids = self.session.scalars(select(Judgement.id).order_by(Judgement.id)).all()
            self.submit(list(ids).index(judgement.id), says, False)
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
        self.act(lambda: ending.end_if_all_judged(self.session, self.round.id))

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
    def places_are_counted_and_never_exceeded(self) -> None:
        self.session.flush()
        self.session.expire_all()
        live = dict(
            self.session.execute(
                select(Judgement.round_item_id, func.count())
                .where(Judgement.slot.is_not(None))
                .group_by(Judgement.round_item_id)
            ).all()
        )
        submitted = dict(
            self.session.execute(
                select(Judgement.round_item_id, func.count())
                .where(Judgement.status == JudgementStatus.SUBMITTED)
                .group_by(Judgement.round_item_id)
            ).all()
        )
        for item in self.session.scalars(select(RoundItem)):
            assert item.n_taken == live.get(item.id, 0) <= item.slots <= item.max_slots
            assert item.n_submitted == submitted.get(item.id, 0)
            if item.state in NOBODY_HOLDS:
                assert item.n_taken == item.n_submitted
            if item.state is RoundItemState.DONE:
                assert item.n_submitted == item.slots
            if self.settings.order == "fewest_first":
                assert item.priority == -item.n_taken

    @invariant()
    def what_was_acknowledged_is_stored(self) -> None:
        has_written = exists().where(WrittenRationale.judgement_id == Judgement.id)
        rows = self.session.execute(select(Judgement, has_written)).all()
        stored = {
            one.id: (tuple(sorted(one.picked)), one.none_fits, one.answer_is_wrong)
            for one, _ in rows
        }
        assert stored == self.kept
        found = {one.id for one, _ in rows if one.status is JudgementStatus.SUBMITTED}
        assert found == self.submitted
        written = {one.id for one, is_written in rows if is_written}
        assert written == {id_ for id_ in self.submitted if not stored[id_][2]}
        verdicts: dict[int, set[int]] = {}
        n_verdicts: dict[int, int] = {}
        for judgement_id, candidate_id, fits in self.session.execute(
            select(VerdictRow.judgement_id, VerdictRow.candidate_id, VerdictRow.fits)
        ):
            n_verdicts[judgement_id] = n_verdicts.get(judgement_id, 0) + 1
            if fits:
                verdicts.setdefault(judgement_id, set()).add(candidate_id)
        assert n_verdicts == {id_: 3 for id_ in self.submitted if not stored[id_][2]}
        for judgement_id, picked in verdicts.items():
            assert picked == set(stored[judgement_id][0])

    @invariant()
    def each_person_has_one_place_per_item_and_no_more_than_their_share(self) -> None:
        pairs = self.session.execute(select(Judgement.round_item_id, Judgement.user_id)).all()
        assert len(pairs) == len(set(pairs))
        counted = dict(
            self.session.execute(
                select(Judgement.user_id, func.count())
                .where(Judgement.status == JudgementStatus.SUBMITTED)
                .group_by(Judgement.user_id)
            ).all()
        )
        for part in self.session.scalars(select(RoundAnnotator)):
            assert part.n_submitted == counted.get(part.user_id, 0)
            assert part.n_submitted <= (self.settings.max_per_annotator or N_ITEMS)

    @invariant()
    def a_closed_round_is_left_alone(self) -> None:
        if self.round.status in (RoundStatus.JUDGING, RoundStatus.GENERATING):
            return
        held = select(func.count()).where(Judgement.status.in_(HELD))
        assert self.session.scalar(held) == 0


def run(n_sequences: int, n_steps: int) -> None:
    run_state_machine_as_test(
        Judging,
        settings=settings(
            max_examples=n_sequences,
            stateful_step_count=n_steps,
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_sequence_of_actions_breaks_the_invariants(services: EmbeddedServices) -> None:
    run(10, 20)


@pytest.mark.slow
def test_no_sequence_of_many_breaks_them_either(services: EmbeddedServices) -> None:
    run(300, 60)
