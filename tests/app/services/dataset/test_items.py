"""Excluding and correcting items; judged work is never rewritten."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import Conflict, InvalidInput
from app.lifecycle import JudgementStatus, RoundItemState, RoundStatus, Split
from app.models import Event, Item, Judgement, Project, Round
from app.queries.dataset import items as queries
from app.queries.dataset.items import ItemFilter
from app.queries.rounds.rounds import list_train_item_ids
from app.services.dataset import items
from app.services.judging.opening import open_next_item
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def test_excluded_item_is_not_sampled_again_and_can_come_back(
    session: Session, project: Project
) -> None:
    ada, item = make_user(session), make_item(session, project)
    items.exclude_item(session, item, reason="  blurred\nimage ", actor=ada)
    session.flush()
    assert item.excluded_reason == "blurred image"
    assert list_train_item_ids(session, project.id) == []
    with pytest.raises(Conflict, match="already excluded"):
        items.exclude_item(session, item, reason="again", actor=ada)
    items.include_item(session, item, actor=ada)
    session.flush()
    assert list_train_item_ids(session, project.id) == [item.id]
    with pytest.raises(Conflict, match="not excluded"):
        items.include_item(session, item, actor=ada)
    tags = session.scalars(select(Event.tag).where(Event.actor_id == ada.id).order_by(Event.id))
    assert list(tags) == ["item:excluded", "item:included"]


@pytest.mark.parametrize("reason", ["", " \n", "x" * 501])
def test_exclusion_needs_a_reason(session: Session, project: Project, reason: str) -> None:
    with pytest.raises(InvalidInput):
        items.exclude_item(session, make_item(session, project), reason=reason, actor=None)


def test_excluded_item_leaves_the_queue_and_frees_who_holds_it(
    session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    item = make_item(session, project)
    round_item = make_round_item(session, round_, item)
    ada = make_user(session)
    make_membership(session, project, ada)
    judgement = open_next_item(session, round_, ada)
    assert judgement is not None
    items.exclude_item(session, item, reason="blurred", actor=None)
    session.refresh(round_item)
    session.refresh(judgement)
    assert round_item.state is RoundItemState.RESTING
    assert round_item.n_taken == 0
    assert (judgement.status, judgement.slot) == (JudgementStatus.RELEASED, None)
    assert open_next_item(session, round_, ada) is None


def test_excluding_the_last_open_item_ends_the_judging(database: sessionmaker[Session]) -> None:
    with database.begin() as session:
        project = make_project(session)
        round_ = make_round(session, project)
        first, second = make_item(session, project), make_item(session, project)
        for item in (first, second):
            make_round_item(session, round_, item)
    for item, status in ((first, RoundStatus.JUDGING), (second, RoundStatus.CLOSING)):
        with database.begin() as session:
            items.exclude_item(session, session.get_one(Item, item.id), reason="x", actor=None)
        with database() as session:
            assert session.get_one(Round, round_.id).status is status


def test_what_is_done_in_an_open_round_stays_on_record(session: Session, project: Project) -> None:
    round_ = make_round(session, project)
    item = make_item(session, project)
    round_item = make_round_item(session, round_, item, state=RoundItemState.DONE)
    items.exclude_item(session, item, reason="blurred", actor=None)
    session.refresh(round_item)
    assert round_item.state is RoundItemState.DONE


def test_item_that_nothing_has_used_is_corrected_in_place(
    session: Session, project: Project
) -> None:
    item = make_item(session, project, question="what colour?", answer="red")
    corrected = items.correct_item(
        session, item, question=" what colour?\r\n", answer="blue", actor=None
    )
    assert corrected is item
    assert (item.question, item.answer, item.version) == ("what colour?", "blue", 2)
    assert item.gold_rationales == ["the ball is red"]
    items.correct_item(
        session, item, question=item.question, answer="blue", gold_rationales=["it is blue", " "],
        actor=None,
    )  # fmt: skip
    assert (item.gold_rationales, item.version) == (["it is blue"], 3)


def test_item_that_a_round_used_is_replaced(session: Session, project: Project) -> None:
    item = make_item(session, project, split=Split.TRAIN, external_id="a", facts={"x": 1})
    open_round = make_round(session, project)
    round_item = make_round_item(session, open_round, item, state=RoundItemState.SET_ASIDE)
    corrected = items.correct_item(session, item, question="why?", answer="so", actor=None)
    session.flush()
    assert corrected.id != item.id
    assert (corrected.external_id, corrected.version) == ("a~2", 2)
    assert (corrected.image_sha256, corrected.split) == (item.image_sha256, item.split)
    assert corrected.facts == {"x": 1}
    assert (item.question, item.excluded_reason) == ("what color is the ball?", "Corrected as a~2.")
    session.refresh(round_item)
    assert round_item.state is RoundItemState.SET_ASIDE  # history
    assert list_train_item_ids(session, project.id) == [corrected.id]
    assert queries.count_items(session, project.id, only=ItemFilter.SET_ASIDE) == 0
    make_round_item(session, open_round, corrected)
    again = items.correct_item(session, corrected, question="why?", answer="then", actor=None)
    assert again.external_id == "a~3"


def test_replacement_takes_the_next_free_name(session: Session, project: Project) -> None:
    item = make_item(session, project, external_id="a")
    make_item(session, project, external_id="a~2")
    make_round_item(session, make_round(session, project), item)
    corrected = items.correct_item(session, item, question="why?", answer="so", actor=None)
    assert corrected.external_id == "a~3"


def test_a_correction_must_change_something_valid(session: Session, project: Project) -> None:
    item = make_item(session, project, question="why?", answer="so")
    for question, answer in (("why?", "so"), ("", "so"), ("why?", " "), ("x" * 2001, "so")):
        with pytest.raises(InvalidInput):
            items.correct_item(session, item, question=question, answer=answer, actor=None)
    items.exclude_item(session, item, reason="x", actor=None)
    with pytest.raises(Conflict, match="include it first"):
        items.correct_item(session, item, question="how?", answer="so", actor=None)


def test_judgements_of_a_replaced_item_are_untouched(session: Session, project: Project) -> None:
    round_ = make_round(session, project)
    item = make_item(session, project)
    make_round_item(session, round_, item, slots=2)
    ada = make_user(session)
    judgement = open_next_item(session, round_, ada)
    assert judgement is not None
    before = (judgement.shown_order, judgement.version)
    items.correct_item(session, item, question="why?", answer="so", actor=None)
    stored = session.scalars(select(Judgement)).one()
    session.refresh(stored)
    assert (stored.shown_order, stored.version) == before
    assert stored.status is JudgementStatus.RELEASED
