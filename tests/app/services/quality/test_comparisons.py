"""The adapter of a round beside the one before it: sampled, judged blind, and told apart."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.evidence import ComparisonFigures
from app.kit.errors import Conflict, InvalidInput, LostRun
from app.lifecycle import (
    EvidenceKind,
    Purpose,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
)
from app.models import (
    Comparison,
    ComparisonCandidate,
    ComparisonItem,
    Item,
    Project,
    Round,
    RoundCandidate,
    RoundItem,
    Run,
    RunShard,
    User,
)
from app.queries.quality.comparisons import find_comparison, list_judged_texts
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.round_items import open_mixed_in
from app.services.judging.ending import end_judging
from app.services.projects.removal import archive_project
from app.services.quality.comparisons import (
    cancel_comparison,
    count_free,
    request_comparison,
    retry_comparison,
)
from app.services.refusals import NothingToCompare
from app.services.rounds.compared import Sides, store_compared
from app.services.rounds.rounds import settings_of
from app.services.runs.runs import fail_run
from tests.support.factories import make_project, make_round
from tests.support.judging import gather_now, make_people, open_item, submit
from tests.support.quality.anchors import anchored_settings, complete, places_of, start_next
from tests.support.quality.comparisons import (
    OLD,
    Drew,
    judge_for_the_new,
    make_compared_round,
    make_mixed,
    make_sampled,
    new_ids,
    sample_comparison,
)


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 2)


@pytest.fixture
def first(session: Session, people: list[User]) -> Round:
    return make_compared_round(session, people)


def figures_of(session: Session, round_: Round) -> ComparisonFigures:
    stored = list_evidence(session, [round_.id])[round_.id, EvidenceKind.COMPARISON]
    return ComparisonFigures.read(stored.figures)


def items_of(session: Session, comparison: Comparison) -> list[ComparisonItem]:
    found = select(ComparisonItem).where(ComparisonItem.comparison_id == comparison.id)
    return list(session.scalars(found.order_by(ComparisonItem.item_id)))


def next_with_open_items(session: Session, first: Round) -> Round:
    """The next round, as if all of it had been sampled."""
    second = start_next(session, first)
    open_mixed_in(session, second.id, 1.0)
    return second


class TestAsking:
    def test_items_are_drawn_from_the_test_split_and_each_one_once(
        self, session: Session, first: Round
    ) -> None:
        comparison = make_sampled(session, first, n_items=4)
        chosen = {entry.item_id for entry in items_of(session, comparison)}
        assert len(chosen) == 4
        assert {entry.split for entry in items_of(session, comparison)} == {Split.TEST}
        cancel_comparison(session, first, actor=None)
        again = request_comparison(session, first, n_items=100, actor=None)
        left = {entry.item_id for entry in items_of(session, again)}
        assert len(left) == 2, "as many as there are left"
        assert not left & chosen
        sample_comparison(session, again)
        cancel_comparison(session, first, actor=None)
        with pytest.raises(Conflict, match="each one is compared once"):
            request_comparison(session, first, n_items=1, actor=None)

    def test_what_was_not_sampled_before_the_cancelling_is_free_again(
        self, session: Session, first: Round
    ) -> None:
        comparison = request_comparison(session, first, n_items=6, actor=None)
        cancel_comparison(session, first, actor=None)
        run = session.get_one(Run, comparison.run_id)
        assert run.status is RunStatus.CANCELLED
        assert (
            len(items_of(session, request_comparison(session, first, n_items=6, actor=None))) == 6
        )

    @pytest.mark.parametrize("n_items", [0, -1, 501])
    def test_an_odd_number_is_refused(self, session: Session, first: Round, n_items: int) -> None:
        with pytest.raises(InvalidInput, match="from 1 to 500"):
            request_comparison(session, first, n_items=n_items, actor=None)

    def test_of_several_strategies_one_is_compared_the_first_unless_it_is_said(
        self, session: Session, first: Round
    ) -> None:
        make_mixed(session, first)
        for wanted, compared in ((None, "direct"), ("monologue", "monologue")):
            comparison = request_comparison(session, first, n_items=2, strategy=wanted, actor=None)
            assert session.get_one(Run, comparison.run_id).strategy == compared
            cancel_comparison(session, first, actor=None)
        with pytest.raises(Conflict, match="perception made no adapter in round 1; those that"):
            request_comparison(session, first, n_items=2, strategy="perception", actor=None)
        for odd in ("self_questioning", "telepathy"):
            with pytest.raises(InvalidInput, match=f"“{odd}” took no part.*: direct, monologue"):
                request_comparison(session, first, n_items=2, strategy=odd, actor=None)

    def test_a_round_has_one_comparison(self, session: Session, first: Round) -> None:
        request_comparison(session, first, n_items=1, actor=None)
        with pytest.raises(Conflict, match="has a comparison already"):
            request_comparison(session, first, n_items=1, actor=None)

    def test_an_open_round_or_one_without_an_adapter_has_nothing_to_compare(
        self, session: Session, first: Round
    ) -> None:
        for status in (RoundStatus.JUDGING, RoundStatus.CANCELLED):
            other = make_round(session, make_project(session), status=status)
            with pytest.raises(Conflict, match="has made no adapter"):
                request_comparison(session, other, n_items=1, actor=None)
        for act in (cancel_comparison, retry_comparison):
            with pytest.raises(Conflict, match="has no comparison"):
                act(session, first, actor=None)

    def test_an_archived_project_compares_nothing(self, session: Session, first: Round) -> None:
        archive_project(session, session.get_one(Project, first.project_id), actor=None)
        with pytest.raises(Conflict, match="archived"):
            request_comparison(session, first, n_items=1, actor=None)


class TestSampling:
    def test_a_text_that_both_drew_is_one_candidate_of_both(
        self, session: Session, first: Round
    ) -> None:
        comparison = make_sampled(session, first, n_items=1)
        rows = session.scalars(
            select(ComparisonCandidate).where(ComparisonCandidate.comparison_id == comparison.id)
        ).all()
        assert sorted((row.n_old, row.n_new) for row in rows) == [
            (0, 1), (0, 1), (1, 0), (1, 0), (1, 1),
        ]  # fmt: skip
        assert {row.fits for row in rows} == {None}, "people are asked"

    def test_each_adapter_shows_half_of_what_a_round_shows(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_compared_round(session, people, max_shown=4)
        many = {
            item.id: Drew(
                [f"old text number {n}" for n in "abcdefgh"], [f"new text {n}" for n in "abcdefgh"]
            )
            for item in held_out(session, first)
        }
        comparison = make_sampled(session, first, n_items=3, drew=many)
        shown = session.execute(
            select(
                func.count().filter(ComparisonCandidate.n_old > 0),
                func.count().filter(ComparisonCandidate.n_new > 0),
            )
            .where(ComparisonCandidate.comparison_id == comparison.id, ComparisonCandidate.is_shown)
            .group_by(ComparisonCandidate.item_id)
        ).all()
        assert [tuple(row) for row in shown] == [(2, 2)] * 3

    def test_numbers_of_candidates_do_not_tell_which_adapter_drew_them(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_compared_round(session, people, n_test=20)
        drew = {
            item.id: Drew([f"old text {item.id}"], [f"new text {item.id}"])
            for item in held_out(session, first)
        }
        comparison = make_sampled(session, first, n_items=20, drew=drew)
        is_new = func.max(ComparisonCandidate.candidate_id).filter(ComparisonCandidate.n_new > 0)
        is_old = func.max(ComparisonCandidate.candidate_id).filter(ComparisonCandidate.n_old > 0)
        later = session.scalars(
            select(is_new > is_old)
            .where(ComparisonCandidate.comparison_id == comparison.id)
            .group_by(ComparisonCandidate.item_id)
        ).all()
        assert 3 <= sum(later) <= 17
        ranks = session.execute(
            select(ComparisonCandidate.n_old > 0, RoundCandidate.rank)
            .join(
                RoundCandidate,
                (RoundCandidate.candidate_id == ComparisonCandidate.candidate_id)
                & (RoundCandidate.round_id == start_next(session, first).id),
            )
            .where(ComparisonCandidate.comparison_id == comparison.id)
        ).all()
        old = [rank for is_old, rank in ranks if is_old]
        new = [rank for is_old, rank in ranks if not is_old]
        assert min(old) == min(new) == 1
        assert max(old) == max(new) == 2

    def test_a_worker_that_was_overtaken_writes_nothing(
        self, session: Session, first: Round
    ) -> None:
        comparison = request_comparison(session, first, n_items=1, actor=None)
        run = session.get_one(Run, comparison.run_id)
        shard = session.scalars(select(RunShard).where(RunShard.run_id == run.id)).one()
        shard.status, shard.attempt = ShardStatus.RUNNING, 2
        session.flush()
        with pytest.raises(LostRun):
            store_compared(
                session,
                run=run,
                shard_id=shard.id,
                attempt=1,
                sides=Sides([], []),
                settings=settings_of(first),
                seconds=0.1,
            )

    def test_a_sampling_that_failed_goes_on_from_its_shards(
        self, session: Session, first: Round
    ) -> None:
        comparison = request_comparison(session, first, n_items=3, actor=None)
        with pytest.raises(Conflict, match="Only a failed run"):
            retry_comparison(session, first, actor=None)
        old = session.get_one(Run, comparison.run_id)
        old.status, old.attempt = RunStatus.RUNNING, 1
        session.flush()
        fail_run(session, old.id, attempt=1, error="no memory")
        session.flush()
        run = retry_comparison(session, first, actor=None)
        assert (run.retry_of_id, comparison.run_id) == (old.id, run.id)
        sample_comparison(session, comparison)
        assert len(places_of(session, start_next(session, first), Purpose.COMPARISON)) == 3


def held_out(session: Session, round_: Round) -> list[Item]:
    return list(
        session.scalars(
            select(Item).where(Item.project_id == round_.project_id, Item.split == Split.TEST)
        )
    )


class TestJudging:
    def test_they_are_mixed_into_the_next_round_that_people_judge(
        self, session: Session, first: Round
    ) -> None:
        comparison = make_sampled(session, first)
        second = start_next(session, first)
        places = places_of(session, second, Purpose.COMPARISON)
        assert len(places) == 4
        assert {(place.state, place.split, place.slots) for place in places} == {
            (RoundItemState.WAITING, Split.TEST, 2)
        }
        assert {entry.round_id for entry in items_of(session, comparison)} == {second.id}

    def test_a_round_that_is_being_judged_gets_them_at_once(
        self, session: Session, first: Round
    ) -> None:
        second = start_next(session, first)
        second.status = RoundStatus.JUDGING
        make_sampled(session, first)
        states = [place.state for place in places_of(session, second, Purpose.COMPARISON)]
        assert states == [RoundItemState.OPEN] * 4

    def test_what_nobody_judged_in_a_closed_round_goes_into_the_next_one(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        comparison = make_sampled(session, first)
        second = start_next(session, first)
        for place in places_of(session, second, Purpose.TRAINING):
            place.state = RoundItemState.DONE
        open_mixed_in(session, second.id, 1.0)
        judgement = open_item(session, second, people[0])
        submit(session, judgement, picked=judgement.shown_order[:1])
        second.status = RoundStatus.JUDGING
        end_judging(session, second, actor=None)
        assert second.status is RoundStatus.CLOSING
        complete(session, second)
        third = start_next(session, first)
        assert len(places_of(session, third, Purpose.COMPARISON)) == 3
        assert sorted(e.round_id for e in items_of(session, comparison)) == [
            second.id, third.id, third.id, third.id,
        ]  # fmt: skip

    def test_cancelling_stops_handing_out_and_leaves_what_is_in_front_of_somebody(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        make_sampled(session, first)
        second = next_with_open_items(session, first)
        for place in places_of(session, second, Purpose.TRAINING):
            place.state = RoundItemState.DONE
        held = open_item(session, second, people[0])
        cancel_comparison(session, first, actor=None)
        states = [place.state for place in places_of(session, second, Purpose.COMPARISON)]
        assert sorted(states) == [RoundItemState.DONE] * 3 + [RoundItemState.OPEN]
        submit(session, held, picked=held.shown_order[:1])
        states = [place.state for place in places_of(session, second, Purpose.COMPARISON)]
        assert states == [RoundItemState.DONE] * 4
        assert find_comparison(session, first.id) is None

    def test_a_round_that_a_critic_judges_gets_none(self, session: Session, first: Round) -> None:
        make_sampled(session, first)
        by_critic = settings_of(first).model_copy(deep=True)
        by_critic.judging.__dict__["judges"] = "rouge:0.5"
        second = start_next(session, first, by_critic)
        assert not places_of(session, second, Purpose.COMPARISON)


class TestTheResult:
    def test_the_win_rate_is_that_of_the_items_that_one_of_the_two_won(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        items = [item.id for item in held_out(session, first)]
        same = {items[0]: Drew(OLD, OLD)}
        comparison = make_sampled(session, first, n_items=6, drew=same)
        second = next_with_open_items(session, first)
        judge_for_the_new(session, second, people, comparison)
        gather_now(session, second)
        found = figures_of(session, first)
        assert (found.n_items, found.n_judged, found.n_judgements, found.n_people) == (6, 6, 12, 2)
        assert (found.n_wins, found.n_losses, found.n_ties, found.n_identical) == (5, 0, 1, 1)
        assert (found.win.value, found.win.n) == (1.0, 5)
        assert found.win.low == pytest.approx(0.566, abs=0.001)
        # Of three texts of the new one two fit: what both drew is the third.
        assert found.new.value == pytest.approx(5 * (2 / 3) / 6)
        assert found.old.value == 0
        assert found.change.value == pytest.approx(found.new.value)
        assert found.judged_by == "people"

    def test_it_is_measured_with_the_evidence_of_either_round_and_anew(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        comparison = make_sampled(session, first, n_items=2)
        second = next_with_open_items(session, first)
        gather_now(session, first)
        assert (first.id, EvidenceKind.COMPARISON) not in list_evidence(session, [first.id])
        judge_for_the_new(session, second, people[:1], comparison)
        gather_now(session, first)
        assert figures_of(session, first).n_judgements == 2
        judge_for_the_new(session, second, people[1:], comparison)
        session.expire_all()
        gather_now(session, second)
        assert figures_of(session, first).n_judgements == 4

    def test_who_calls_the_answer_wrong_says_nothing(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        make_sampled(session, first, n_items=1)
        second = next_with_open_items(session, first)
        submit(session, open_item(session, second, people[0]), answer_is_wrong=True)
        gather_now(session, first)
        assert (first.id, EvidenceKind.COMPARISON) not in list_evidence(session, [first.id])

    def test_a_critic_judges_while_the_texts_are_stored(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_compared_round(session, people, judges="rouge:0.9")
        comparison = request_comparison(session, first, n_items=2, actor=None)
        drew = {
            entry.item_id: Drew(["there is a dog"], ["the ball is red"])
            for entry in items_of(session, comparison)
        }
        sample_comparison(session, comparison, drew)
        fits = session.execute(select(ComparisonCandidate.n_new, ComparisonCandidate.fits)).all()
        assert sorted(tuple(row) for row in fits) == [(0, False)] * 2 + [(1, True)] * 2
        assert not session.scalars(
            select(RoundItem.id).where(RoundItem.purpose == Purpose.COMPARISON)
        ).all()

    def test_a_critic_is_given_test_items_that_it_can_judge(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_compared_round(session, people, judges="rouge:0.9")
        bare, *others = held_out(session, first)
        bare.gold_rationales = []
        session.flush()
        assert count_free(session, first) == len(others)
        comparison = request_comparison(session, first, n_items=6, actor=None)
        assert {entry.item_id for entry in items_of(session, comparison)} == {
            item.id for item in others
        }
        for item in others:
            item.gold_rationales = []
        cancel_comparison(session, first, actor=None)
        with pytest.raises(NothingToCompare, match="can judge those alone that have a gold"):
            request_comparison(session, first, n_items=6, actor=None)

    def test_what_a_critic_cannot_judge_after_all_is_no_part_of_the_result(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_compared_round(session, people, judges="rouge:0.9")
        comparison = request_comparison(session, first, n_items=2, actor=None)
        one, other = items_of(session, comparison)
        session.get_one(Item, other.item_id).gold_rationales = []
        session.flush()
        drew = Drew(["there is a dog"], ["the ball is red"])
        sample_comparison(session, comparison, {one.item_id: drew, other.item_id: drew})
        assert {text.item_id for text in list_judged_texts(session, comparison.id)} == {one.item_id}
        # Nor do people judge it: figures of both never mix.
        second = start_next(session, first, anchored_settings(0))
        assert not places_of(session, second, Purpose.COMPARISON)

    def test_a_round_that_shows_nothing_else_can_be_measured(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        comparison = make_sampled(session, first, n_items=2)
        second = next_with_open_items(session, first)
        assert new_ids(session, comparison)
        judge_for_the_new(session, second, people, comparison)
        gather_now(session, second)
        assert figures_of(session, first).n_wins == 2
