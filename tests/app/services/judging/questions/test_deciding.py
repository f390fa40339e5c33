"""Deciding on questions: kept, edited, dropped, and taken back."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.lifecycle import JudgementStatus, QuestionState, RoundStatus, Split
from app.models import Event, ProjectImage, QuestionReview, RoundItem
from app.opinions import MAX_ANSWER, QuestionChoices, QuestionFault
from app.queries.rounds.questions import list_known_questions
from app.services.dataset.items import correct_item
from app.services.judging.judgements import N_TAKE_BACK
from app.services.judging.questions import deciding, handing_out
from app.services.judging.questions.choices import choices_of
from app.services.judging.questions.tally import count_questions
from app.services.refusals import (
    LeaseLost,
    NothingChosen,
    QuestionUsed,
    SameQuestion,
    TooLateToTakeBack,
)
from tests.support.factories import make_round, make_round_item
from tests.support.rounds.asked_questions import (
    QUESTIONS,
    AskedRound,
    choose,
    open_image,
    submit,
)

SOFA, DOG = "what color is the sofa?", "is the dog asleep?"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def asked(session: Session) -> AskedRound:
    asked = AskedRound(session)
    asked.ask()
    return asked


@pytest.fixture
def review(session: Session, asked: AskedRound) -> QuestionReview:
    return open_image(session, asked.project, asked.add_member())


def take_back(session: Session, review: QuestionReview, *, now: datetime | None = None) -> None:
    deciding.take_back(session, handing_out.hold(session, review), now=now)


class TestKeeping:
    def test_makes_an_item_with_the_models_answer_and_drops_the_others(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        submit(session, review, choose(session, review, keep=[SOFA]))
        (item,) = asked.made_items()
        assert (item.question, item.answer, item.split) == (SOFA, "red", Split.TRAIN)
        assert item.image_sha256 == asked.items[0].image_sha256
        kept, dropped = asked.questions()[SOFA], asked.questions()[DOG]
        assert (kept.state, kept.item_id, kept.kept_answer) == (QuestionState.KEPT, item.id, "red")
        assert kept.decided_by_id == dropped.decided_by_id == review.user_id
        assert (kept.is_about_image, kept.is_worth_asking) == (True, True)
        assert (dropped.state, dropped.item_id) == (QuestionState.DROPPED, None)
        assert (dropped.is_about_image, dropped.is_worth_asking) == (None, None)
        assert kept.edited_text is None

    def test_a_reworded_question_and_a_corrected_answer_are_the_items(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        choices = choose(
            session,
            review,
            keep=[SOFA, DOG],
            edits={SOFA: "  what colour is the\n seat? "},
            answers={DOG: " no "},
        )
        submit(session, review, choices)
        assert [(item.question, item.answer) for item in asked.made_items()] == [
            ("what colour is the seat?", "red"),
            (DOG, "no"),
        ]
        sofa, dog = asked.questions()[SOFA], asked.questions()[DOG]
        assert (sofa.text, sofa.edited_text) == (SOFA, "what colour is the seat?")
        assert (sofa.is_about_image, sofa.is_worth_asking) == (None, None)
        assert (dog.answer, dog.kept_answer) == ("yes", "no")
        assert review.n_typed == 6

    def test_faults_of_what_is_dropped_are_kept_apart(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        faults = {SOFA: (QuestionFault.NOT_IN_IMAGE,), DOG: (QuestionFault.NOT_WORTH_ASKING,)}
        submit(session, review, choose(session, review, drops_all=True, faults=faults))
        sofa, dog = asked.questions()[SOFA], asked.questions()[DOG]
        assert (sofa.is_about_image, sofa.is_worth_asking) == (False, None)
        assert (dog.is_about_image, dog.is_worth_asking) == (None, False)
        assert asked.made_items() == []

    def test_an_item_has_the_split_of_its_image_as_it_is_by_now(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        # Nothing held out is asked about; an image that is held out later takes all along.
        session.execute(delete(RoundItem).where(RoundItem.round_id == asked.round.id))
        image = session.get_one(ProjectImage, (asked.project.id, asked.items[0].image_sha256))
        image.split = Split.TEST
        session.flush()
        session.expire_all()
        submit(session, review, choose(session, review, keep=[SOFA]))
        assert [item.split for item in asked.made_items()] == [Split.TEST]

    def test_the_same_again_changes_nothing_and_other_choices_are_refused(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        choices = choose(session, review, keep=[SOFA])
        for _ in range(2):
            submit(session, review, choices)
        assert len(asked.made_items()) == 1
        with pytest.raises(StaleVersion):
            submit(session, review, choose(session, review, keep=[DOG]))
        events = session.scalars(select(Event).where(Event.tag == "questions:decided")).all()
        assert [event.details for event in events] == [
            {"review_id": review.id, "n_kept": 1, "n_edited": 0, "n_dropped": 1}
        ]

    def test_time_counts_as_it_does_for_judgements(
        self, session: Session, asked: AskedRound
    ) -> None:
        review = open_image(session, asked.project, asked.add_member(), now=NOW)
        later = NOW + timedelta(hours=2)
        handing_out.resume(session, handing_out.hold(session, review), now=later)
        submit(
            session,
            review,
            choose(session, review, keep=[SOFA]),
            active_ms=3_600_000,
            now=later,
        )
        session.flush()
        assert review.n_words == 11
        assert review.n_trace_words == 6
        assert review.counted_ms == 60_000
        counted = select(QuestionReview.counted_ms).where(QuestionReview.id == review.id)
        assert session.scalars(counted).one() == 60_000


class TestRefusals:
    def test_nothing_chosen(self, session: Session, review: QuestionReview) -> None:
        with pytest.raises(NothingChosen):
            submit(session, review, QuestionChoices())

    @pytest.mark.parametrize(
        "says",
        [
            {"keep": [SOFA], "drops_all": True},
            {"keep": [SOFA], "faults": {SOFA: ("not_in_image",)}},
            {"drops_all": True, "faults": {SOFA: ("ugly",)}},
            {"keep": [SOFA], "answers": {SOFA: " "}},
            {"keep": [SOFA], "answers": {SOFA: "r" * (MAX_ANSWER + 1)}},
            {"keep": [SOFA], "edits": {SOFA: "w" * 1001}},
            {"keep": [SOFA], "edits": {SOFA: "?!"}},
            {"keep": [SOFA], "edits": {DOG: "is the cat asleep?"}},
        ],
    )
    def test_what_contradicts_itself_is_empty_or_too_long(
        self, session: Session, asked: AskedRound, review: QuestionReview, says: dict[str, object]
    ) -> None:
        with pytest.raises(InvalidInput):
            submit(session, review, choose(session, review, **says))  # type: ignore[arg-type]
        assert asked.made_items() == []

    def test_questions_of_another_image(self, session: Session, review: QuestionReview) -> None:
        with pytest.raises(InvalidInput):
            submit(session, review, QuestionChoices(kept=(999_999,)))

    def test_what_the_image_has_already_or_twice(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        known = f"Please, {asked.items[0].question}"
        for edits in ({SOFA: known}, {SOFA: "is a dog asleep"}):
            with pytest.raises(SameQuestion):
                submit(session, review, choose(session, review, keep=[SOFA, DOG], edits=edits))
        asked.items[0].question = SOFA
        session.flush()
        with pytest.raises(SameQuestion):
            submit(session, review, choose(session, review, keep=[SOFA]))

    def test_what_another_tab_changed(self, session: Session, review: QuestionReview) -> None:
        held = handing_out.hold(session, review)
        deciding.save_draft(session, held, choose(session, review, keep=[SOFA]), version=0)
        with pytest.raises(StaleVersion):
            deciding.save_draft(session, held, choose(session, review, keep=[DOG]), version=0)
        assert choices_of(review) == choose(session, review, keep=[SOFA])

    def test_an_image_that_went_to_somebody_else(self, session: Session, asked: AskedRound) -> None:
        first = open_image(session, asked.project, asked.add_member(), now=NOW)
        later = NOW + timedelta(hours=1)
        second = open_image(session, asked.project, asked.add_member(), now=later)
        with pytest.raises(LeaseLost):
            submit(session, first, choose(session, first, keep=[SOFA]), now=later)
        submit(session, second, choose(session, second, keep=[DOG]), now=later)
        with pytest.raises(LeaseLost):
            submit(session, first, choose(session, first, keep=[SOFA]), now=later)
        assert [item.question for item in asked.made_items()] == [DOG]


class TestTakingBack:
    def test_removes_the_items_and_shows_the_choices_again(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        choices = choose(session, review, keep=[SOFA], edits={SOFA: "what color is the seat?"})
        submit(session, review, choices)
        for _ in range(2):
            take_back(session, review)
        assert asked.made_items() == []
        assert {one.state for one in asked.questions().values()} == {QuestionState.PROPOSED}
        assert review.status is JudgementStatus.DRAFT
        assert choices_of(review) == choices
        submit(session, review, choices)
        assert len(asked.made_items()) == 1

    def test_says_why_not_once_an_item_was_sampled_or_corrected(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        submit(session, review, choose(session, review, keep=[SOFA, DOG]))
        sofa, _ = asked.made_items()
        corrected = correct_item(
            session, sofa, question=SOFA, answer="crimson", gold_rationales=[], actor=None
        )
        with pytest.raises(QuestionUsed):
            take_back(session, review)
        assert corrected.answer == "crimson"
        corrected.version = 1
        asked.round.status = RoundStatus.CANCELLED
        make_round_item(session, make_round(session, asked.project, number=2), sofa)
        with pytest.raises(QuestionUsed):
            take_back(session, review)
        assert len(asked.made_items()) == 2

    def test_reaches_the_newest_only(self, session: Session) -> None:
        asked = AskedRound(session, n_images=N_TAKE_BACK + 1)
        user = asked.add_member()
        reviews = []
        for place in range(N_TAKE_BACK + 1):
            asked.ask(place)
            reviews.append(open_image(session, asked.project, user))
            submit(session, reviews[-1], choose(session, reviews[-1], drops_all=True))
        with pytest.raises(TooLateToTakeBack):
            take_back(session, reviews[0])
        take_back(session, reviews[1])

    def test_waits_while_somebody_else_has_the_image(
        self, session: Session, asked: AskedRound, review: QuestionReview
    ) -> None:
        submit(session, review, choose(session, review, drops_all=True))
        asked.round.status = RoundStatus.CANCELLED
        later = AskedRound(session, asked.project, number=2)
        later.items[0].image_sha256 = asked.items[0].image_sha256
        session.flush()
        later.ask(questions=[("how old is the dog?", None)])
        open_image(session, asked.project, later.add_member())
        with pytest.raises(Conflict):
            take_back(session, review)


def test_a_place_at_an_image_is_one_persons_by_constraint(
    session: Session, asked: AskedRound, review: QuestionReview
) -> None:
    twin = QuestionReview(
        asked_image_id=review.asked_image_id,
        project_id=review.project_id,
        image_sha256=review.image_sha256,
        user_id=asked.add_member().id,
        lease_until=NOW,
    )
    session.add(twin)
    with pytest.raises(IntegrityError):
        session.flush()


def test_figures_tell_what_people_did_and_how_long_it_took_for_each_kept_question(
    session: Session,
) -> None:
    asked = AskedRound(session, n_images=2)
    user = asked.add_member()
    for place in range(2):
        asked.ask(place, (*QUESTIONS, ("what breed is the dog?", "a poodle")))
    first = open_image(session, asked.project, user, now=NOW)
    later = NOW + timedelta(seconds=50)
    choices = choose(
        session,
        first,
        keep=[SOFA, DOG],
        edits={DOG: "does the dog sleep?"},
        faults={"what breed is the dog?": (QuestionFault.NOT_IN_IMAGE,)},
    )
    submit(session, first, choices, active_ms=30_000, now=later)
    session.flush()
    tally = count_questions(session, asked.round)
    assert tally is not None
    assert (tally.n_images, tally.n_proposed, tally.n_waiting) == (2, 6, 3)
    assert (tally.n_by_people, tally.n_kept_by_people, tally.n_edited) == (3, 2, 1)
    assert (tally.n_not_in_image, tally.n_not_worth) == (1, 0)
    assert (tally.n_reviews, tally.seconds_per_kept) == (1, 15.0)
    # What counts towards the limit of the image: what it has items of, however worded.
    known = list_known_questions(session, asked.project.id, [first.image_sha256])
    own = asked.items[0].question
    assert list(known[first.image_sha256].standing) == [own, SOFA, "does the dog sleep?", SOFA]
    assert list(known[first.image_sha256].former) == [DOG, "what breed is the dog?"]
