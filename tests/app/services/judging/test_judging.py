"""The rules of judging, on a real database: leases, drafts, submissions, take-backs, skips."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import Event, Item, Judgement, JudgementRevision, Round, RoundItem, User, VerdictRow
from app.opinions import Opinion
from app.queries.judging.empty_queue import get_queue_figures
from app.queries.judging.own_work import count_own
from app.round_settings import JudgingSettings, LoopSettings
from app.services.dataset.items import exclude_item
from app.services.judging import judgements, leases, opening
from app.services.judging.leases import shown_order
from app.services.judging.opinions import Kept, Stored
from tests.support import judging as support
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_user
from tests.support.judging import locked

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def open_round(
    session: Session, n_items: int = 1, *, slots: int = 1, settings: LoopSettings | None = None
) -> tuple[Round, list[RoundItem]]:
    project = make_project(session)
    round_ = make_round(session, project, settings=settings)
    items = [
        make_round_item(session, round_, make_item(session, project), slots=slots)
        for _ in range(n_items)
    ]
    return round_, items


def lease(session: Session, round_: Round, user: User, now: datetime = NOW) -> Judgement:
    judgement = opening.open_next_item(session, round_, user, now=now)
    assert judgement is not None
    return judgement


def save(
    session: Session,
    judgement: Judgement,
    *,
    version: int | None = None,
    now: datetime = NOW,
    **changes: Any,
) -> Judgement:
    judgements.save_draft(
        session,
        locked(session, judgement),
        Opinion(**changes),
        version=judgement.version if version is None else version,
        now=now,
    )
    return judgement


def submit(
    session: Session, judgement: Judgement, *, now: datetime = NOW, **changes: Any
) -> Judgement:
    return support.submit(session, judgement, now=now, **changes)


def verdicts_of(session: Session, judgement: Judgement) -> list[tuple[int, bool]]:
    rows = session.execute(
        select(VerdictRow.candidate_id, VerdictRow.fits)
        .where(VerdictRow.judgement_id == judgement.id)
        .order_by(VerdictRow.position)
    )
    return [(row.candidate_id, row.fits) for row in rows]


def state_of(session: Session, round_item: RoundItem) -> tuple[RoundItemState, int, int]:
    session.flush()
    session.refresh(round_item)
    return round_item.state, round_item.n_taken, round_item.n_submitted


class TestLease:
    def test_takes_the_lowest_slot_until_a_time(self, session: Session) -> None:
        round_, (item,) = open_round(session, slots=2)
        judgement = lease(session, round_, make_user(session))
        assert judgement.status is JudgementStatus.LEASED
        assert judgement.slot == 1
        assert judgement.lease_until == NOW + timedelta(minutes=5)
        assert state_of(session, item) == (RoundItemState.OPEN, 1, 0)

    def test_the_same_person_gets_the_same_item_again(self, session: Session) -> None:
        round_, _ = open_round(session, 3)
        user = make_user(session)
        first = lease(session, round_, user)
        again = lease(session, round_, user, now=NOW + timedelta(minutes=2))
        assert again.id == first.id
        assert again.lease_until == NOW + timedelta(minutes=7)

    def test_two_people_get_different_items_where_one_judges_each(self, session: Session) -> None:
        round_, _ = open_round(session, 2)
        first, second = (lease(session, round_, make_user(session)) for _ in range(2))
        assert first.round_item_id != second.round_item_id
        assert opening.open_next_item(session, round_, make_user(session), now=NOW) is None

    def test_overlap_gives_an_item_to_as_many_people_as_it_has_slots(
        self, session: Session
    ) -> None:
        round_, (item,) = open_round(session, slots=2)
        slots = [lease(session, round_, make_user(session)).slot for _ in range(2)]
        assert slots == [1, 2]
        assert opening.open_next_item(session, round_, make_user(session), now=NOW) is None
        assert state_of(session, item)[1] == 2

    def test_a_person_never_gets_the_same_item_twice(self, session: Session) -> None:
        round_, _ = open_round(session, slots=3)
        user = make_user(session)
        submit(session, lease(session, round_, user), none_fits=True)
        assert opening.open_next_item(session, round_, user, now=NOW) is None

    def test_items_of_high_priority_come_first(self, session: Session) -> None:
        round_, items = open_round(session, 4)
        items[2].priority = 5
        session.flush()
        assert lease(session, round_, make_user(session)).round_item_id == items[2].id

    def test_fewest_first_brings_untouched_items_before_others(self, session: Session) -> None:
        settings = LoopSettings(judging=JudgingSettings(overlap=2, order="fewest_first"))
        round_, items = open_round(session, 3, slots=2, settings=settings)
        seen = [lease(session, round_, make_user(session)).round_item_id for _ in range(3)]
        assert sorted(seen) == sorted(item.id for item in items)

    def test_what_is_not_open_is_not_handed_out(self, session: Session) -> None:
        round_, items = open_round(session, 4)
        items[0].state = RoundItemState.WAITING
        items[1].state = RoundItemState.SET_ASIDE
        items[2].state = RoundItemState.RESTING
        session.flush()
        assert lease(session, round_, make_user(session)).round_item_id == items[3].id
        assert opening.open_next_item(session, round_, make_user(session), now=NOW) is None

    def test_judging_goes_on_while_later_items_are_sampled(self, session: Session) -> None:
        round_, _ = open_round(session)
        round_.status = RoundStatus.GENERATING
        session.flush()
        assert lease(session, round_, make_user(session)).slot == 1

    def test_a_closed_round_says_so(self, session: Session) -> None:
        round_, _ = open_round(session)
        round_.status = RoundStatus.TRAINING
        session.flush()
        with pytest.raises(Conflict, match="closed for judging"):
            opening.open_next_item(session, round_, make_user(session), now=NOW)

    def test_order_differs_between_people_and_never_changes_for_one(self, session: Session) -> None:
        project = make_project(session)
        round_ = make_round(session, project)
        ids = list(range(100, 108))

        def order(user_id: int) -> list[int]:
            return shown_order(round_, item_id=7, user_id=user_id, candidate_ids=ids)

        assert sorted(order(1)) == ids
        assert order(1) == shown_order(round_, item_id=7, user_id=1, candidate_ids=ids[::-1])
        assert len({tuple(order(user_id)) for user_id in range(20)}) > 10
        before = order(1)
        round_.order_key = "of another round"
        assert order(1) != before

    def test_every_position_is_equally_likely(self, session: Session) -> None:
        round_ = make_round(session, make_project(session))
        firsts = [
            shown_order(round_, item_id=item, user_id=user, candidate_ids=[1, 2, 3, 4])[0]
            for item in range(40)
            for user in range(50)
        ]
        counts = [firsts.count(candidate) for candidate in (1, 2, 3, 4)]
        # 2,000 draws of 1/4: three standard deviations are 58.
        assert all(abs(count - 500) < 80 for count in counts), counts


class TestExpiry:
    def test_an_expired_lease_goes_to_the_next_person(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        lost = lease(session, round_, make_user(session))
        taken = lease(session, round_, make_user(session), now=LATER)
        session.refresh(lost)
        assert (lost.status, lost.slot) == (JudgementStatus.RELEASED, None)
        assert taken.round_item_id == item.id
        assert state_of(session, item)[1] == 1

    def test_an_expired_draft_keeps_its_content(self, session: Session) -> None:
        round_, _ = open_round(session)
        draft = lease(session, round_, make_user(session))
        save(session, draft, picked=draft.shown_order[:1], comment="the red one")
        assert leases.free_expired_leases(session, now=LATER) == 1
        session.refresh(draft)
        assert draft.status is JudgementStatus.RELEASED
        assert (draft.picked, draft.comment) == (draft.shown_order[:1], "the red one")

    def test_nothing_is_released_before_its_time(self, session: Session) -> None:
        round_, _ = open_round(session)
        lease(session, round_, make_user(session))
        assert leases.free_expired_leases(session, now=NOW + timedelta(minutes=4)) == 0

    def test_a_heartbeat_keeps_the_item(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        leases.heartbeat(
            session, locked(session, judgement), active_ms=90_000, now=NOW + timedelta(minutes=4)
        )
        session.flush()
        assert leases.free_expired_leases(session, now=NOW + timedelta(minutes=8)) == 0
        assert judgement.active_ms == 90_000

    def test_active_time_cannot_exceed_the_time_that_passed(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        after = NOW + timedelta(minutes=1)
        leases.heartbeat(session, locked(session, judgement), active_ms=10**9, now=after)
        assert judgement.active_ms == 60_000
        leases.heartbeat(session, locked(session, judgement), active_ms=5, now=after)
        assert judgement.active_ms == 60_000

    def test_the_author_comes_back_to_what_was_lost(self, session: Session) -> None:
        round_, _ = open_round(session, 3)
        user = make_user(session)
        draft = lease(session, round_, user)
        save(session, draft, picked=draft.shown_order[:1])
        leases.free_expired_leases(session, now=LATER)
        back = lease(session, round_, user, now=LATER)
        assert back.id == draft.id
        assert (back.status, back.slot) == (JudgementStatus.DRAFT, 1)

    def test_a_late_answer_counts_while_there_is_room(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        leases.free_expired_leases(session, now=LATER)
        submit(session, judgement, none_fits=True, now=LATER)
        assert judgement.status is JudgementStatus.SUBMITTED
        assert state_of(session, item) == (RoundItemState.DONE, 1, 1)

    @pytest.mark.parametrize(
        "act", [judgements.submit, judgements.save_draft], ids=["submit", "draft"]
    )
    def test_a_late_answer_without_room_is_kept_and_its_author_told(
        self, session: Session, act: Callable[..., Stored | Kept]
    ) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        lease(session, round_, make_user(session), now=LATER)
        session.refresh(judgement)
        opinion = Opinion(picked=tuple(judgement.shown_order[:1]))
        outcome = act(session, locked(session, judgement), opinion, version=0, now=LATER)
        assert isinstance(outcome, Kept)
        assert "Your answer is kept" in outcome.sentence
        session.flush()
        session.refresh(judgement)
        assert judgement.status is JudgementStatus.RELEASED
        assert judgement.picked == judgement.shown_order[:1]
        assert state_of(session, item) == (RoundItemState.OPEN, 1, 0)

    def test_an_answer_for_an_item_that_was_taken_out_is_kept(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        exclude_item(session, session.get_one(Item, item.item_id), reason="blurred", actor=None)
        place = locked(session, judgement)
        outcome = judgements.submit(session, place, Opinion(none_fits=True), version=0, now=NOW)
        assert isinstance(outcome, Kept)
        assert "taken out of this round" in outcome.sentence
        session.flush()
        session.refresh(judgement)
        assert judgement.none_fits

    def test_released_by_hand_it_is_free_at_once(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        leases.give_back_item(session, locked(session, lease(session, round_, make_user(session))))
        session.flush()
        assert lease(session, round_, make_user(session)).round_item_id == item.id


class TestDraft:
    def test_each_click_makes_a_version(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        a, b, *_ = judgement.shown_order
        save(session, judgement, picked=[a])
        save(session, judgement, picked=[a, b])
        assert judgement.status is JudgementStatus.DRAFT
        assert (judgement.version, judgement.picked) == (2, sorted([a, b]))

    def test_the_same_click_twice_is_one_version(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        picked = judgement.shown_order[:1]
        save(session, judgement, version=0, picked=picked)
        save(session, judgement, version=0, picked=picked)
        assert judgement.version == 1

    def test_a_stale_tab_overwrites_nothing(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        a, b, *_ = judgement.shown_order
        save(session, judgement, version=0, picked=[a])
        with pytest.raises(StaleVersion, match="another tab"):
            save(session, judgement, version=0, picked=[b])
        with pytest.raises(StaleVersion, match="another tab"):
            submit(session, judgement, version=0, picked=[b])
        assert judgement.picked == [a]

    def test_what_was_not_shown_cannot_be_picked(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        with pytest.raises(InvalidInput, match="does not belong"):
            save(session, judgement, picked=[max(judgement.shown_order) + 1])

    def test_the_three_facts_exclude_each_other(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        picked = judgement.shown_order[:1]
        for facts in (
            {"picked": picked, "none_fits": True},
            {"picked": picked, "answer_is_wrong": True},
            {"none_fits": True, "answer_is_wrong": True},
        ):
            with pytest.raises(InvalidInput, match="only one"):
                save(session, judgement, **facts)

    def test_line_ends_of_browsers_make_no_new_version(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        save(session, judgement, comment="two\nlines")
        save(session, judgement, version=0, comment="two\r\nlines ")
        assert judgement.version == 1


class TestSubmit:
    def test_writes_one_verdict_per_shown_candidate_in_the_order_shown(
        self, session: Session
    ) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        a, b, c = judgement.shown_order
        submit(session, judgement, picked=[c])
        assert verdicts_of(session, judgement) == [(a, False), (b, False), (c, True)]
        assert state_of(session, item) == (RoundItemState.DONE, 1, 1)

    def test_none_fits_says_no_to_all(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        assert [fits for _, fits in verdicts_of(session, judgement)] == [False] * 3

    def test_a_wrong_answer_has_no_verdicts_and_sets_the_item_aside(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, answer_is_wrong=True)
        assert verdicts_of(session, judgement) == []
        assert state_of(session, item)[0] is RoundItemState.SET_ASIDE

    @pytest.mark.parametrize(
        ("wrong", "state"),
        [
            ((True, False, False), RoundItemState.DONE),
            ((True, True, False), RoundItemState.SET_ASIDE),
        ],
    )
    def test_the_majority_decides_about_setting_aside(
        self, session: Session, wrong: tuple[bool, ...], state: RoundItemState
    ) -> None:
        round_, (item,) = open_round(session, slots=3)
        for is_wrong in wrong:
            judgement = lease(session, round_, make_user(session))
            submit(session, judgement, answer_is_wrong=is_wrong, none_fits=not is_wrong)
        assert state_of(session, item)[0] is state

    def test_half_is_no_majority(self, session: Session) -> None:
        round_, (item,) = open_round(session, slots=2)
        submit(session, lease(session, round_, make_user(session)), answer_is_wrong=True)
        submit(session, lease(session, round_, make_user(session)), none_fits=True)
        assert state_of(session, item)[0] is RoundItemState.DONE

    def test_an_item_stays_open_until_all_slots_are_submitted(self, session: Session) -> None:
        round_, (item,) = open_round(session, slots=2)
        submit(session, lease(session, round_, make_user(session)), none_fits=True)
        assert state_of(session, item) == (RoundItemState.OPEN, 1, 1)

    def test_nothing_chosen_is_refused(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        with pytest.raises(InvalidInput, match="Nothing is chosen") as refused:
            submit(session, judgement, comment="a comment alone says nothing about rationales")
        assert refused.value.status_code == 422

    def test_enter_pressed_twice_does_the_same_as_once(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        picked = judgement.shown_order[:1]
        submit(session, judgement, version=0, picked=picked)
        first = (judgement.version, judgement.submitted_at)
        submit(session, judgement, version=0, picked=picked, now=LATER)
        assert (judgement.version, judgement.submitted_at) == first
        n_revisions = session.scalar(
            select(func.count()).where(JudgementRevision.judgement_id == judgement.id)
        )
        assert n_revisions == 1

    def test_another_answer_for_a_submitted_item_is_refused(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        for act in (save, submit):
            with pytest.raises(StaleVersion, match="already submitted"):
                act(session, judgement, picked=judgement.shown_order[:1])

    def test_a_retried_submission_is_acknowledged_after_the_round_was_closed(
        self, session: Session
    ) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        round_.status = RoundStatus.TRAINING
        session.flush()
        submit(session, judgement, version=0, none_fits=True)

    def test_a_closed_round_takes_no_answers(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        round_.status = RoundStatus.TRAINING
        session.flush()
        for act in (save, submit):
            with pytest.raises(Conflict, match="Round 1 is closed for judging"):
                act(session, judgement, none_fits=True)

    def test_leaves_a_revision_and_an_event(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        picked = judgement.shown_order[:2]
        submit(session, judgement, picked=picked, comment="both", is_flagged=True)
        session.flush()
        revision = session.scalars(select(JudgementRevision)).one()
        assert (revision.number, revision.action) == (1, "submit")
        assert revision.content["picked"] == sorted(picked)
        assert revision.content["comment"] == "both"
        assert revision.content["is_flagged"]
        event = session.scalars(select(Event)).one()
        assert (event.tag, event.actor_id) == ("judgement:status:changed", judgement.user_id)
        assert event.details["new"] == "submitted"


class TestTakeBack:
    def test_reopens_the_item_and_keeps_the_slot(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, picked=judgement.shown_order[:1])
        judgements.take_back(session, locked(session, judgement), now=NOW)
        assert (judgement.status, judgement.slot) == (JudgementStatus.DRAFT, 1)
        assert judgement.picked == judgement.shown_order[:1]
        assert verdicts_of(session, judgement) == []
        assert state_of(session, item) == (RoundItemState.OPEN, 1, 0)
        assert opening.open_next_item(session, round_, make_user(session), now=NOW) is None

    def test_is_shown_first_and_can_be_submitted_otherwise(self, session: Session) -> None:
        round_, (_, _) = open_round(session, 2)
        user = make_user(session)
        first = lease(session, round_, user)
        submit(session, first, none_fits=True)
        lease(session, round_, user)
        judgements.take_back(session, locked(session, first), now=NOW + timedelta(seconds=9))
        session.flush()
        assert lease(session, round_, user, now=NOW + timedelta(seconds=9)).id == first.id
        submit(session, first, picked=first.shown_order[:1])
        assert [fits for _, fits in verdicts_of(session, first)].count(True) == 1
        numbers = session.scalars(
            select(JudgementRevision.action)
            .where(JudgementRevision.judgement_id == first.id)
            .order_by(JudgementRevision.number)
        ).all()
        assert numbers == ["submit", "take_back", "submit"]

    def test_twice_does_the_same_as_once(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        judgements.take_back(session, locked(session, judgement), now=NOW)
        version = judgement.version
        judgements.take_back(session, locked(session, judgement), now=NOW)
        assert judgement.version == version

    def test_brings_an_item_back_that_was_set_aside(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, answer_is_wrong=True)
        judgements.take_back(session, locked(session, judgement), now=NOW)
        assert state_of(session, item)[0] is RoundItemState.OPEN

    def test_only_the_last_ten(self, session: Session) -> None:
        round_, _ = open_round(session, 11)
        user = make_user(session)
        done = [
            submit(
                session,
                lease(session, round_, user),
                none_fits=True,
                now=NOW + timedelta(seconds=number),
            )
            for number in range(11)
        ]
        with pytest.raises(Conflict, match="last 10"):
            judgements.take_back(session, locked(session, done[0]), now=NOW)
        judgements.take_back(session, locked(session, done[1]), now=NOW)
        assert done[1].status is JudgementStatus.DRAFT

    def test_not_after_the_round_was_closed(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        round_.status = RoundStatus.TRAINING
        session.flush()
        with pytest.raises(Conflict, match="closed for judging"):
            judgements.take_back(session, locked(session, judgement), now=NOW)

    def test_not_when_an_admin_took_the_item_out(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        exclude_item(session, session.get_one(Item, item.item_id), reason="blurred", actor=None)
        session.flush()
        with pytest.raises(Conflict, match="took this item out"):
            judgements.take_back(session, locked(session, judgement), now=NOW)
        assert state_of(session, item) == (RoundItemState.DONE, 1, 1)


class TestSkip:
    def test_frees_the_slot_for_others_and_does_not_come_back(self, session: Session) -> None:
        round_, (item,) = open_round(session)
        user = make_user(session)
        judgements.skip(
            session, locked(session, lease(session, round_, user)), reason="cannot tell", now=NOW
        )
        session.flush()
        assert opening.open_next_item(session, round_, user, now=NOW) is None
        assert lease(session, round_, make_user(session)).round_item_id == item.id

    def test_needs_a_reason(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        with pytest.raises(InvalidInput, match="Say in a word"):
            judgements.skip(session, locked(session, judgement), reason="  ", now=NOW)

    def test_can_be_taken_up_again_with_what_was_chosen(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        save(session, judgement, picked=judgement.shown_order[:1])
        judgements.skip(session, locked(session, judgement), reason="cannot tell", now=NOW)
        session.flush()
        leases.resume(session, locked(session, judgement), now=NOW)
        assert (judgement.status, judgement.slot) == (JudgementStatus.DRAFT, 1)
        assert judgement.picked == judgement.shown_order[:1]
        assert judgement.skip_reason is None

    def test_a_submitted_item_cannot_be_skipped(self, session: Session) -> None:
        round_, _ = open_round(session)
        judgement = lease(session, round_, make_user(session))
        submit(session, judgement, none_fits=True)
        with pytest.raises(Conflict, match="already submitted"):
            judgements.skip(session, locked(session, judgement), reason="cannot tell", now=NOW)


class TestFigures:
    def test_the_empty_queue_says_why(self, session: Session) -> None:
        round_, items = open_round(session, 5)
        items[0].state = RoundItemState.WAITING
        session.flush()
        user, other = make_user(session), make_user(session)
        judgements.skip(
            session, locked(session, lease(session, round_, user)), reason="cannot tell", now=NOW
        )
        submit(session, lease(session, round_, user), none_fits=True)
        lease(session, round_, other)
        lease(session, round_, make_user(session))
        session.flush()
        figures = get_queue_figures(session, round_.id, user.id)
        assert figures.n_waiting == 1
        assert figures.n_held_by_others + figures.n_skipped >= 2
        assert figures.next_free_at == NOW + timedelta(minutes=5)

    def test_own_counts_leave_others_out(self, session: Session) -> None:
        round_, _ = open_round(session, 3)
        user = make_user(session)
        submit(session, lease(session, round_, user), none_fits=True, now=NOW)
        submit(session, lease(session, round_, user), none_fits=True, now=LATER)
        submit(session, lease(session, round_, make_user(session)), none_fits=True, now=LATER)
        assert count_own(session, round_.id, user.id, since=LATER) == (2, 1)
