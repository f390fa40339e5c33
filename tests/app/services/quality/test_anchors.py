"""Anchors: chosen once, shown again with the same texts, and part of no figure but their own."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.evidence import AnchorFigures
from app.lifecycle import (
    EvidenceKind,
    Job,
    JudgementStatus,
    Purpose,
    RoundItemState,
    RoundStatus,
    ShardStatus,
    Split,
)
from app.models import (
    AnchorItem,
    Item,
    Judgement,
    Project,
    Round,
    RoundCandidate,
    Run,
    RunShard,
    User,
)
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.figures import count_covered
from app.queries.rounds.rounds import has_unjudged_items
from app.services.dataset.items import exclude_item
from app.services.judging.ending import end_judging
from app.services.quality.withdrawing import withdraw_answers
from app.services.rounds.rounds import settings_of
from app.services.rounds.sampling import Drawing, store_samples
from tests.support.factories import make_item
from tests.support.judging import (
    gather_now,
    make_judged_items,
    make_people,
    open_item,
    submit,
)
from tests.support.quality.anchors import (
    anchored_settings,
    complete,
    judge_all,
    make_first_round,
    open_anchors,
    places_of,
    start_next,
)

N_ANCHORS = 2


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 2)


@pytest.fixture
def first(session: Session, people: list[User]) -> Round:
    """A completed round of ten items that two people judged."""
    return make_first_round(session, people, settings=anchored_settings(N_ANCHORS, overlap=2))


def anchors_of(session: Session, round_: Round) -> list[int]:
    return sorted(place.item_id for place in places_of(session, round_, Purpose.ANCHOR))


def shown_of(session: Session, round_: Round, item_id: int) -> list[int]:
    return list(
        session.scalars(
            select(RoundCandidate.candidate_id)
            .where(
                RoundCandidate.round_id == round_.id,
                RoundCandidate.item_id == item_id,
                RoundCandidate.is_shown,
            )
            .order_by(RoundCandidate.rank)
        )
    )


def figures_of(session: Session, round_: Round) -> AnchorFigures:
    stored = list_evidence(session, [round_.id])[round_.id, EvidenceKind.ANCHORS]
    return AnchorFigures.read(stored.figures)


class TestWhichAreChosen:
    def test_a_round_shows_the_same_texts_again_and_samples_none_of_their_items(
        self, session: Session, first: Round
    ) -> None:
        second = start_next(session, first)
        places = places_of(session, second, Purpose.ANCHOR)
        assert len(places) == N_ANCHORS
        for place in places:
            assert (place.state, place.slots, place.max_slots) == (RoundItemState.WAITING, 2, 2)
            assert shown_of(session, second, place.item_id) == shown_of(
                session, first, place.item_id
            )
        sampled = {place.item_id for place in places_of(session, second, Purpose.TRAINING)}
        assert len(sampled) == 10 - N_ANCHORS
        assert not sampled & set(anchors_of(session, second))

    def test_every_later_round_has_the_same_ones(self, session: Session, first: Round) -> None:
        second = start_next(session, first)
        complete(session, second)
        third = start_next(session, first)
        assert anchors_of(session, third) == anchors_of(session, second)
        assert {anchor.round_id for anchor in session.scalars(select(AnchorItem))} == {first.id}

    def test_one_that_is_excluded_is_replaced_from_the_same_round(
        self, session: Session, first: Round
    ) -> None:
        second = start_next(session, first)
        gone, kept = anchors_of(session, second)
        complete(session, second)
        exclude_item(session, session.get_one(Item, gone), reason="blurred", actor=None)
        third = start_next(session, first)
        now = anchors_of(session, third)
        assert len(now) == N_ANCHORS
        assert kept in now
        assert gone not in now

    def test_fewer_can_serve_and_none_where_the_setting_is_off(
        self, session: Session, first: Round
    ) -> None:
        second = start_next(session, first)
        complete(session, second)
        third = start_next(session, first, anchored_settings(1))
        (one,) = anchors_of(session, third)
        assert one in anchors_of(session, second)
        complete(session, third)
        fourth = start_next(session, first, anchored_settings(0))
        assert not anchors_of(session, fourth)
        assert len(places_of(session, fourth, Purpose.TRAINING)) == 10

    def test_at_most_every_fifth_judged_item_becomes_one(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_first_round(session, people, settings=anchored_settings(100, overlap=2))
        assert len(anchors_of(session, start_next(session, first))) == 2

    def test_there_is_none_before_people_have_judged_or_where_a_critic_does(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        assert not places_of(session, first, Purpose.ANCHOR)
        by_critic = anchored_settings(N_ANCHORS, judges="rouge:0.5")
        assert not anchors_of(session, start_next(session, first, by_critic))

    def test_they_spread_over_agreement_as_the_items_of_the_round_do(
        self, session: Session, people: list[User]
    ) -> None:
        """On every second item people disagree about all four texts."""

        def choose(user: User, shown: Sequence[int]) -> Sequence[int]:
            first_id = min(shown)
            if (first_id // 4) % 2 == 0:
                return sorted(shown)[:2]
            return sorted(shown)[:2] if user is people[0] else sorted(shown)[2:]

        settings = anchored_settings(4, overlap=2)
        first = make_first_round(session, people, n_items=40, settings=settings, choose=choose)
        chosen = anchors_of(session, start_next(session, first))
        split = [item_id for item_id in chosen if is_split(session, first, item_id)]
        assert (len(chosen), len(split)) == (4, 2)


def is_split(session: Session, round_: Round, item_id: int) -> bool:
    """Whether two people picked different texts of an item."""
    place = next(
        place for place in places_of(session, round_, Purpose.TRAINING) if place.item_id == item_id
    )
    one, other = session.scalars(select(Judgement).where(Judgement.round_item_id == place.id))
    return set(one.picked) != set(other.picked)


class TestHowTheyAreJudged:
    def test_they_open_as_far_as_sampling_has_come(self, session: Session, first: Round) -> None:
        second = start_next(session, first)
        run = session.scalars(
            select(Run).where(Run.round_id == second.id, Run.job == Job.GENERATE)
        ).one()
        shard = session.scalars(select(RunShard).where(RunShard.run_id == run.id)).one()
        later = RunShard(run_id=run.id, number=2, item_ids=[])
        session.add(later)
        for one in (shard, later):
            one.status, one.attempt = ShardStatus.RUNNING, 1
            session.flush()
            store_samples(
                session,
                run=run,
                shard_id=one.id,
                attempt=1,
                item_ids=[],
                drawings=[Drawing("direct", [])],
                settings=settings_of(second),
                seconds=0.1,
            )
            states = [place.state for place in places_of(session, second, Purpose.ANCHOR)]
            n_open = 1 if one is shard else 2
            assert states.count(RoundItemState.OPEN) == n_open

    def test_the_same_person_judges_one_again_in_a_later_round_and_once_within_it(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        second = start_next(session, first)
        places = open_anchors(session, second)
        judge_all(session, second, people)
        assert {place.state for place in places_of(session, second, Purpose.ANCHOR)} == {
            RoundItemState.DONE
        }
        said = session.scalars(
            select(Judgement).where(Judgement.round_item_id.in_([place.id for place in places]))
        ).all()
        assert sorted(entry.user_id for entry in said) == sorted(
            user.id for user in people for _ in places
        )

    def test_judging_goes_on_until_they_are_judged_and_ends_without_them_where_an_admin_says_so(
        self, session: Session, first: Round
    ) -> None:
        second = start_next(session, first)
        for place in places_of(session, second, Purpose.TRAINING):
            place.state = RoundItemState.DONE
        open_anchors(session, second)
        assert has_unjudged_items(session, second.id)
        second.status = RoundStatus.JUDGING
        end_judging(session, second, actor=None)
        assert second.status is RoundStatus.CLOSING

    def test_who_calls_its_answer_wrong_or_skips_it_sets_nothing_aside(
        self, session: Session, people: list[User]
    ) -> None:
        settings = anchored_settings(1, overlap=2, max_skips=1)
        first = make_first_round(session, people, settings=settings)
        second = start_next(session, first)
        open_anchors(session, second)
        for user in people:
            submit(session, open_item(session, second, user), answer_is_wrong=True)
        (place,) = places_of(session, second, Purpose.ANCHOR)
        assert (place.state, place.set_aside_reason) == (RoundItemState.DONE, None)
        complete(session, second)
        third = start_next(session, first)
        assert anchors_of(session, third) == anchors_of(session, second)

    def test_what_is_set_apart_of_a_person_goes_with_their_other_answers(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        second = start_next(session, first)
        open_anchors(session, second)
        judge_all(session, second, people)
        assert withdraw_answers(session, second, people[0], actor=people[1]) == N_ANCHORS
        states = {place.state for place in places_of(session, second, Purpose.ANCHOR)}
        assert states == {RoundItemState.OPEN}
        statuses = session.scalars(
            select(Judgement.status).where(
                Judgement.round_id == second.id, Judgement.user_id == people[0].id
            )
        )
        assert set(statuses) == {JudgementStatus.WITHDRAWN}

    def test_one_without_a_rationale_does_not_keep_a_project_from_being_covered(
        self, session: Session, first: Round
    ) -> None:
        start_next(session, first)
        assert count_covered(session, first.project_id, round_number=1)[0] == 10
        assert count_covered(session, first.project_id, round_number=2)[0] == 10 - N_ANCHORS

    def test_held_out_items_are_never_among_them(self, session: Session, first: Round) -> None:
        project = session.get_one(Project, first.project_id)
        for _ in range(20):
            make_item(session, project, split=Split.TEST)
        second = start_next(session, first)
        assert {place.split for place in places_of(session, second, Purpose.ANCHOR)} == {
            Split.TRAIN
        }


class TestDrift:
    def test_people_who_pick_more_of_the_same_texts_are_told_from_a_better_model(
        self, session: Session, people: list[User]
    ) -> None:
        """Two of four texts were picked of every item; of the anchors it is three of four now."""
        settings = anchored_settings(4, overlap=2)
        first = make_first_round(session, people, n_items=20, settings=settings)
        second = start_next(session, first)
        open_anchors(session, second)
        judge_all(session, second, people, lambda _user, shown: sorted(shown)[:3])
        make_training_judged(session, second, people)
        gather_now(session, second)
        found = figures_of(session, second)
        assert (found.n_anchors, found.first_number) == (4, 1)
        assert found.first_anchors.value == pytest.approx(0.5)
        assert found.anchors.value == pytest.approx(0.75)
        assert found.change.value == pytest.approx(0.25)
        assert (found.change.low, found.change.high) == (pytest.approx(0.25), pytest.approx(0.25))
        assert found.change.n == 4
        assert found.first_fit == pytest.approx(0.5)
        assert found.fit.value == pytest.approx(1.0)
        assert found.gained == pytest.approx(0.5)

    def test_without_anchors_the_fit_rate_is_kept_for_the_rounds_to_come(
        self, session: Session, people: list[User]
    ) -> None:
        first = make_first_round(session, people, settings=anchored_settings(0, overlap=2))
        gather_now(session, first)
        found = figures_of(session, first)
        assert found.fit.value == pytest.approx(0.5)
        assert found.fit.n == 10
        assert (found.n_anchors, found.first_number, found.change.value) == (0, None, None)

    def test_who_calls_the_answer_wrong_says_nothing_of_the_texts(
        self, session: Session, first: Round, people: list[User]
    ) -> None:
        second = start_next(session, first)
        open_anchors(session, second)
        for _ in range(N_ANCHORS):
            submit(session, open_item(session, second, people[0]), answer_is_wrong=True)
        make_training_judged(session, second, people[:1])
        gather_now(session, second)
        assert figures_of(session, second).change.value is None


def make_training_judged(session: Session, round_: Round, people: Sequence[User]) -> None:
    """Let people pick every text of some new items that the round is about."""
    make_judged_items(session, round_, people, n_items=3, choose=lambda _user, shown: list(shown))
