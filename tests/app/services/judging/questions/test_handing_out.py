"""Handing out images with questions: to one person at a time, and to no stranger of the queue."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import JudgementStatus, RoundStatus
from app.models import Project, User
from app.round_settings import LoopSettings
from app.services.accounts.erasure import erase_person
from app.services.judging.leases import give_back_all
from app.services.judging.questions import deciding, handing_out
from app.services.judging.questions.choices import choices_of
from app.services.refusals import LeaseLost, ProjectArchived
from tests.support.factories import make_user
from tests.support.rounds.asked_questions import AskedRound, choose, open_image, submit

SOFA = "what color is the sofa?"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_each_person_gets_an_image_of_their_own_and_then_none(session: Session) -> None:
    asked = AskedRound(session, n_images=2)
    images = [asked.ask(place).id for place in range(2)]
    anna, ben, cleo = (asked.add_member() for _ in range(3))
    first = open_image(session, asked.project, anna)
    second = open_image(session, asked.project, ben)
    assert [first.asked_image_id, second.asked_image_id] == images
    assert handing_out.open_next(session, asked.project, cleo) is None
    assert open_image(session, asked.project, anna) is first, "a reload shows the same"


def test_an_image_is_one_persons_over_all_rounds(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    asked.round.status = RoundStatus.CANCELLED
    again = AskedRound(session, asked.project, number=2)
    again.items[0].image_sha256 = asked.items[0].image_sha256
    session.flush()
    again.ask(questions=[("how old is the dog?", None)])
    anna, ben = asked.add_member(), asked.add_member()
    review = open_image(session, asked.project, anna)
    assert handing_out.open_next(session, asked.project, ben) is None
    submit(session, review, choose(session, review, drops_all=True))
    assert open_image(session, asked.project, ben).asked_image_id != review.asked_image_id


def test_what_a_critic_will_decide_is_not_handed_out_before_it_has(session: Session) -> None:
    asked = AskedRound(
        session, settings=LoopSettings.model_validate({"judging": {"judges": "exact"}})
    )
    asked.ask()
    user = asked.add_member()
    assert handing_out.open_next(session, asked.project, user) is None
    asked.round.status = RoundStatus.CLOSING
    session.flush()
    open_image(session, asked.project, user)


def test_skipped_ones_are_left_to_others_and_can_be_taken_up_again(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    anna, ben = asked.add_member(), asked.add_member()
    review = open_image(session, asked.project, anna)
    handing_out.skip(handing_out.hold(session, review))
    assert handing_out.open_next(session, asked.project, anna) is None
    handing_out.resume(session, handing_out.hold(session, review))
    assert review.status is JudgementStatus.LEASED
    handing_out.skip(handing_out.hold(session, review))
    session.flush()
    taken = open_image(session, asked.project, ben)
    with pytest.raises(LeaseLost):
        handing_out.resume(session, handing_out.hold(session, review))
    submit(session, taken, choose(session, taken, drops_all=True))
    with pytest.raises(LeaseLost):
        handing_out.resume(session, handing_out.hold(session, review))


def test_a_lease_that_ran_out_keeps_its_choices_for_who_comes_back(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    anna = asked.add_member()
    review = open_image(session, asked.project, anna, now=NOW)
    choices = choose(session, review, keep=[SOFA])
    held = handing_out.hold(session, review)
    deciding.save_draft(session, held, choices, version=0, now=NOW)
    later = NOW + timedelta(hours=1)
    session.flush()
    assert handing_out.free_expired(session, now=later) == 1
    session.refresh(review)
    assert review.status is JudgementStatus.RELEASED
    again = open_image(session, asked.project, anna, now=later)
    assert again is review
    assert (again.status, choices_of(again)) == (JudgementStatus.DRAFT, choices)


def test_a_heartbeat_renews_and_who_leaves_gives_all_back(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    anna = asked.add_member()
    review = open_image(session, asked.project, anna, now=NOW)
    later = NOW + timedelta(minutes=2)
    held = handing_out.hold(session, review)
    handing_out.heartbeat(session, held, active_ms=9_000, now=later)
    assert (review.active_ms, review.lease_until) == (9_000, later + timedelta(minutes=5))
    session.flush()
    assert give_back_all(session, anna.id, project_id=asked.project.id) == 1
    session.refresh(review)
    assert review.status is JudgementStatus.RELEASED


def test_an_archived_project_hands_out_nothing(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    user = asked.add_member()
    asked.project.archived_at = NOW
    with pytest.raises(ProjectArchived):
        handing_out.open_next(session, asked.project, user)


def test_an_erased_person_leaves_the_items_and_no_other_words(session: Session) -> None:
    asked = AskedRound(session)
    asked.ask()
    anna, admin = asked.add_member(), make_user(session, is_admin=True)
    review = open_image(session, asked.project, anna)
    choices = choose(session, review, keep=[SOFA], edits={SOFA: "what color is the seat?"})
    submit(session, review, choices)
    session.flush()
    erase_person(session, anna, typed_name=anna.name, actor=admin)
    session.refresh(review)
    assert review.choices == {}
    assert [item.question for item in asked.made_items()] == ["what color is the seat?"]
    assert asked.questions()[SOFA].decided_by_id == anna.id


def test_people_who_ask_at_once_get_different_images(database: sessionmaker[Session]) -> None:
    n_people = 6
    with database.begin() as session:
        asked = AskedRound(session, n_images=n_people - 1)
        for place in range(n_people - 1):
            asked.ask(place)
        users = [asked.add_member().id for _ in range(n_people)]
        project_id = asked.project.id

    def come(user_id: int) -> int | None:
        with database.begin() as session:
            project = session.get_one(Project, project_id)
            review = handing_out.open_next(session, project, session.get_one(User, user_id))
            return review.asked_image_id if review else None

    with ThreadPoolExecutor(n_people) as pool:
        got = list(pool.map(come, users))
    images = [image for image in got if image is not None]
    assert len(images) == len(set(images))
    assert len(images) == n_people - 1
