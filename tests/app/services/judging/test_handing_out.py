"""Who is handed what: orders, limits, one more annotator on disagreement, skips, leaving."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from sqlalchemy.orm import Session

from app.kit.errors import Conflict
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus
from app.models import Event, Judgement, Round, RoundItem, User
from app.queries.judging import shown_item
from app.queries.judging.empty_queue import get_queue_figures
from app.round_settings import JudgingSettings, LoopSettings
from app.services.dataset.items import exclude_item, include_item
from app.services.judging import judgements, leases, opening
from app.services.judging.ending import end_if_all_judged
from tests.app.services.judging.test_judging import LATER, NOW, lease, state_of, submit
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)
from tests.support.judging import locked


def open_round(
    session: Session, n_items: int = 1, *, n_people: int = 2, auto_advance: bool = False, **judging_
) -> tuple[Round, list[RoundItem], list[User]]:
    """A round in judging with its items and the annotators of its project."""
    settings = LoopSettings(judging=JudgingSettings(**judging_), auto_advance=auto_advance)
    project = make_project(session)
    round_ = make_round(session, project, settings=settings)
    items = [
        make_round_item(
            session,
            round_,
            make_item(session, project),
            slots=settings.judging.overlap,
            max_slots=settings.judging.most_slots,
        )
        for _ in range(n_items)
    ]
    people = [make_user(session) for _ in range(n_people)]
    for user in people:
        make_membership(session, project, user)
    return round_, items, people


def judge(session: Session, round_: Round, user: User, *, picks: int = 0) -> Judgement:
    """The next item, with its first candidates picked, or none fits."""
    judgement = lease(session, round_, user)
    picked = sorted(judgement.shown_order)[:picks]
    return submit(session, judgement, picked=picked, none_fits=not picked)


def upcoming(
    session: Session, judgement: Judgement, max_per_annotator: int | None = None
) -> list[tuple[str, int]]:
    """The images that the page of a judgement has fetched ahead."""
    return shown_item.get_shown_item(
        session, judgement, since=NOW, looks_ahead=True, max_per_annotator=max_per_annotator
    ).upcoming


def skip(session: Session, round_: Round, user: User, reason: str = "cannot tell") -> Judgement:
    skipped = judgements.skip(
        session, locked(session, lease(session, round_, user)), reason=reason, now=NOW
    )
    session.flush()
    return skipped


class TestOrder:
    @pytest.mark.parametrize("order", ["random", "fewest_first", "uncertainty"])
    def test_everybody_goes_once_through_all_items(self, session: Session, order: str) -> None:
        round_, items, people = open_round(session, 7, n_people=3, overlap=3, order=order)
        for user in people:
            seen = [judge(session, round_, user).round_item_id for _ in items]
            assert sorted(seen) == [item.id for item in items]
            assert opening.open_next_item(session, round_, user, now=NOW) is None
        assert {state_of(session, item)[0] for item in items} == {RoundItemState.DONE}

    def test_what_was_passed_and_became_free_is_found_again(self, session: Session) -> None:
        round_, items, (anna, ben) = open_round(session, 4)
        lost = lease(session, round_, anna).round_item_id
        # Ben has gone past it when Anna gives it back.
        seen = [judge(session, round_, ben).round_item_id for _ in range(3)]
        leases.free_expired_leases(session, now=LATER)
        seen.append(judge(session, round_, ben).round_item_id)
        assert seen[-1] == lost
        assert sorted(seen) == [item.id for item in items]

    def test_fewest_first_is_kept_when_a_place_becomes_free(self, session: Session) -> None:
        round_, items, (anna, ben) = open_round(session, 3, overlap=2, order="fewest_first")
        first = lease(session, round_, anna)
        leases.give_back_item(session, locked(session, first))
        session.flush()
        assert {item.priority for item in items if not session.refresh(item)} == {0.0}
        seen = [judge(session, round_, ben).round_item_id for _ in items]
        assert sorted(seen) == [item.id for item in items]
        assert {item.priority for item in items if not session.refresh(item)} == {-1.0}

    def test_most_uncertain_brings_what_people_disagree_about_first(self, session: Session) -> None:
        round_, items, (anna, ben, cleo) = open_round(
            session, 3, n_people=3, overlap=3, order="uncertainty"
        )
        items[0].priority = 0.5  # draws that differ
        session.flush()
        assert lease(session, round_, cleo).round_item_id == items[0].id
        agreed, split = items[1], items[2]
        for user, picks in ((anna, 1), (ben, 2)):
            for _ in items:
                judgement = lease(session, round_, user)
                n = picks if judgement.round_item_id == split.id else 1
                submit(session, judgement, picked=sorted(judgement.shown_order)[:n])
        state_of(session, split)
        state_of(session, agreed)
        assert split.priority > 1
        assert agreed.priority < 0
        judgements.skip(
            session, locked(session, lease(session, round_, cleo)), reason="no", now=NOW
        )
        session.flush()
        assert [judge(session, round_, cleo).round_item_id for _ in range(2)] == [
            split.id,
            agreed.id,
        ]

    def test_the_images_told_ahead_are_those_that_come(self, session: Session) -> None:
        round_, _, (anna, _) = open_round(session, 5, overlap=2)
        judge(session, round_, anna)
        told = upcoming(session, lease(session, round_, anna))
        came = []
        for _ in told:
            submit(session, lease(session, round_, anna), none_fits=True)
            place = session.get_one(RoundItem, lease(session, round_, anna).round_item_id)
            came.append(shown_item.get_item(session, place.id)[1].sha256)
        assert [sha256 for sha256, _ in told] == came
        assert len(came) == 2


class TestLimit:
    def test_nobody_gets_more_than_the_limit_and_is_told(self, session: Session) -> None:
        round_, items, (anna, ben) = open_round(session, 3, max_per_annotator=2)
        done = [judge(session, round_, anna) for _ in range(2)]
        assert opening.open_next_item(session, round_, anna, now=NOW) is None
        figures = get_queue_figures(session, round_.id, anna.id, max_per_annotator=2)
        assert figures.n_limit == 2
        assert upcoming(session, done[-1], max_per_annotator=2) == []
        judge(session, round_, ben)
        assert state_of(session, items[0])[0] is RoundItemState.DONE

    def test_what_was_skipped_cannot_be_taken_up_beyond_it(self, session: Session) -> None:
        round_, _, (anna, _) = open_round(session, 3, max_per_annotator=1)
        skipped = skip(session, round_, anna)
        taken_back = judge(session, round_, anna)
        with pytest.raises(Conflict, match="as many items of this round as one person may"):
            leases.resume(session, locked(session, skipped), now=NOW)
        judgements.take_back(session, locked(session, taken_back), now=NOW)
        assert submit(session, taken_back, none_fits=True).status is JudgementStatus.SUBMITTED


class TestDisagreement:
    @pytest.mark.parametrize(
        ("picks", "slots"),
        [((1, 1), 2), ((0, 1), 3), ((0, 1, 1), 3), ((0, 1, 0), 3)],
    )
    def test_one_more_is_asked_while_over_a_third_disagrees(
        self, session: Session, picks: Sequence[int], slots: int
    ) -> None:
        round_, (item,), people = open_round(session, n_people=5, overlap=2, max_overlap=4)
        for user, n in zip(people, picks, strict=False):
            judge(session, round_, user, picks=n)
        is_asking = len(picks) < slots
        assert (state_of(session, item)[0] is RoundItemState.OPEN) == is_asking
        assert item.slots == slots

    def test_the_limit_ends_it(self, session: Session) -> None:
        round_, (item,), people = open_round(session, n_people=5, overlap=2, max_overlap=2)
        for user, n in zip(people, (0, 1), strict=False):
            judge(session, round_, user, picks=n)
        assert state_of(session, item) == (RoundItemState.DONE, 2, 2)

    def test_nobody_is_waited_for_who_is_not_there(self, session: Session) -> None:
        round_, (item,), (anna, ben) = open_round(session, overlap=2, max_overlap=3)
        judge(session, round_, anna, picks=0)
        judge(session, round_, ben, picks=1)
        assert state_of(session, item) == (RoundItemState.DONE, 2, 2)

    def test_it_is_on_record(self, session: Session) -> None:
        round_, _, (anna, ben, _) = open_round(session, n_people=3, overlap=2, max_overlap=3)
        judge(session, round_, anna, picks=0)
        judge(session, round_, ben, picks=1)
        session.flush()
        tags = [event.tag for event in session.query(Event)]
        assert "item:slot:added" in tags

    def test_whether_the_answer_is_wrong_counts_too(self, session: Session) -> None:
        round_, (item,), people = open_round(session, n_people=3, overlap=2, max_overlap=3)
        submit(session, lease(session, round_, people[0]), answer_is_wrong=True)
        judge(session, round_, people[1], picks=1)
        assert state_of(session, item)[0] is RoundItemState.OPEN
        submit(session, lease(session, round_, people[2]), answer_is_wrong=True)
        assert state_of(session, item) == (RoundItemState.SET_ASIDE, 3, 3)
        assert item.set_aside_reason == "Most of its annotators say that the answer is wrong."


class TestSkips:
    def settle(self, session: Session, round_: Round) -> None:
        end_if_all_judged(session, round_.id)

    def test_what_everybody_skipped_is_set_aside_with_their_reasons(self, session: Session) -> None:
        round_, (item,), people = open_round(session, n_people=3, overlap=2)
        for user, reason in zip(people, ("too dark", "unclear", "too dark"), strict=True):
            skip(session, round_, user, reason)
        self.settle(session, round_)
        assert state_of(session, item)[0] is RoundItemState.SET_ASIDE
        assert item.set_aside_reason == (
            "Everybody who could judge it skipped it: “too dark” (2), “unclear” (1)."
        )

    def test_it_does_not_block_the_round(self, session: Session) -> None:
        round_, _, (anna, ben) = open_round(session, 2, auto_advance=True)
        judge(session, round_, anna)
        skip(session, round_, anna)
        skip(session, round_, ben)
        self.settle(session, round_)
        assert round_.status is RoundStatus.CLOSING

    def test_it_waits_while_anything_else_is_left(self, session: Session) -> None:
        round_, _, (anna, ben) = open_round(session, 2)
        first = skip(session, round_, anna)
        skip(session, round_, ben)
        self.settle(session, round_)
        skipped = session.get_one(RoundItem, first.round_item_id)
        assert state_of(session, skipped)[0] is RoundItemState.OPEN
        # Until then it can be taken up again.
        leases.resume(session, locked(session, first), now=NOW)
        submit(session, first, none_fits=True)
        assert state_of(session, skipped) == (RoundItemState.DONE, 1, 1)

    def test_it_waits_for_somebody_who_has_not_come_yet(self, session: Session) -> None:
        round_, (item,), (anna, _) = open_round(session)
        skip(session, round_, anna)
        self.settle(session, round_)
        assert state_of(session, item)[0] is RoundItemState.OPEN

    def test_one_that_others_judged_is_done_with_the_votes_it_has(self, session: Session) -> None:
        round_, (item,), (anna, ben) = open_round(session, overlap=2)
        judge(session, round_, anna, picks=1)
        skip(session, round_, ben)
        self.settle(session, round_)
        assert state_of(session, item) == (RoundItemState.DONE, 1, 1)
        assert item.slots == 1

    def test_a_limit_of_skips_sets_aside_at_once(self, session: Session) -> None:
        round_, _, people = open_round(session, 2, n_people=4, max_skips=2)
        first = skip(session, round_, people[0])
        item = session.get_one(RoundItem, first.round_item_id)
        assert state_of(session, item)[0] is RoundItemState.OPEN
        skip(session, round_, people[1])
        assert state_of(session, item)[0] is RoundItemState.SET_ASIDE
        assert item.set_aside_reason == "2 people skipped it: “cannot tell” (2)."
        assert lease(session, round_, people[2]).round_item_id != item.id

    def test_an_admin_takes_it_in_again_by_excluding_and_including(self, session: Session) -> None:
        round_, (item,), people = open_round(session, max_skips=1)
        skip(session, round_, people[0])
        content, _ = shown_item.get_item(session, item.id)
        exclude_item(session, content, reason="dark", actor=None)
        include_item(session, content, actor=None)
        session.refresh(item)
        assert (item.state, item.set_aside_reason) == (RoundItemState.DONE, None)


def lease_of(judgement: Judgement) -> datetime:
    """The end of the lease, as the page knows it."""
    assert judgement.lease_until is not None
    return judgement.lease_until


class TestLeaving:
    def test_frees_the_item_after_a_moment(self, session: Session) -> None:
        round_, (item,), (anna, ben) = open_round(session)
        held = lease(session, round_, anna)
        leases.shorten_lease(held, lease=lease_of(held), now=NOW)
        session.flush()
        soon = NOW + timedelta(seconds=30)
        assert lease(session, round_, ben, now=soon).round_item_id == item.id

    def test_a_reload_keeps_it(self, session: Session) -> None:
        round_, _, (anna, _) = open_round(session)
        held = lease(session, round_, anna)
        leases.shorten_lease(held, lease=lease_of(held), now=NOW)
        again = lease(session, round_, anna, now=NOW + timedelta(seconds=2))
        assert again is held
        assert again.lease_until == NOW + timedelta(minutes=5, seconds=2)

    def test_that_arrives_after_a_newer_page_or_heartbeat_changes_nothing(
        self, session: Session
    ) -> None:
        round_, _, (anna, _) = open_round(session)
        held = lease(session, round_, anna)
        old_page = lease_of(held)
        later = NOW + timedelta(seconds=3)
        leases.heartbeat(session, locked(session, held), active_ms=0, now=later)
        leases.shorten_lease(held, lease=old_page, now=later)
        assert held.lease_until == later + timedelta(minutes=5)

    def test_twice_does_not_make_it_longer(self, session: Session) -> None:
        round_, _, (anna, _) = open_round(session)
        held = lease(session, round_, anna)
        page = lease_of(held)
        leases.shorten_lease(held, lease=page, now=NOW)
        leases.shorten_lease(
            locked(session, held).judgement, lease=page, now=NOW + timedelta(seconds=9)
        )
        assert held.lease_until == NOW + timedelta(seconds=20)

    def test_for_good_frees_everything_at_once(self, session: Session) -> None:
        round_, (item,), (anna, ben) = open_round(session)
        held = lease(session, round_, anna)
        assert leases.give_back_all(session, anna.id) == 1
        session.refresh(held)
        assert (held.status, held.slot, held.lease_until) == (JudgementStatus.RELEASED, None, None)
        assert lease(session, round_, ben).round_item_id == item.id
        assert leases.give_back_all(session, anna.id) == 0

    def test_one_project_keeps_what_is_held_in_another(self, session: Session) -> None:
        round_, _, (anna, _) = open_round(session)
        held = lease(session, round_, anna)
        other = make_project(session)
        assert leases.give_back_all(session, anna.id, project_id=other.id) == 0
        assert leases.give_back_all(session, anna.id, project_id=round_.project_id) == 1
        assert held.user_id == anna.id
