"""Where a look should have been: kept with the draft, a row once submitted, gone if taken back."""

from typing import Any

import pytest
from sqlalchemy import delete, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.models import DrawnBox, Judgement, JudgementRevision, Round, Sample, TurnMark, User
from app.opinions import Opinion
from app.round_settings import LoopSettings
from app.services.accounts.erasure import erase_person
from app.services.judging import judgements, traces
from app.services.judging.opinions import opinion_of
from app.services.judging.ways import Way, find_ways
from tests.support.factories import make_project, make_round, make_user
from tests.support.judging import locked, make_episodes, make_monologue_round, open_item, submit
from tests.support.rounds.looks import make_looks, make_perception_round

BOX = {"left": 0.1, "top": 0.35, "right": 0.4, "bottom": 0.7}


@pytest.fixture
def round_(session: Session) -> Round:
    round_ = make_perception_round(session)
    make_looks(session, round_)
    return round_


@pytest.fixture
def judgement(session: Session, round_: Round) -> Judgement:
    return open_item(session, round_, make_user(session, name="Noor"))


@pytest.fixture
def ways(session: Session, round_: Round, judgement: Judgement) -> dict[int, Way]:
    """By the number of looks."""
    found = find_ways(session, round_, judgement).values()
    return {len(way.trace.observed): way for (way,) in found}


def boxes(session: Session) -> list[tuple[int, int, tuple[float, ...]]]:
    rows = session.scalars(select(DrawnBox).order_by(DrawnBox.sample_id, DrawnBox.turn))
    return [(row.sample_id, row.turn, (row.left, row.top, row.right, row.bottom)) for row in rows]


def test_boxes_and_marks_are_kept_with_the_draft_and_are_rows_once_submitted(
    session: Session, judgement: Judgement, ways: dict[int, Way]
) -> None:
    one, two = ways[1].sample_id, ways[2].sample_id
    says = {
        "marks": {one: {1: {"place": "wrong"}}, two: {2: {"place": "partly"}}},
        "boxes": {one: {1: BOX}, two: {2: {**BOX, "right": 1.0}}},
    }
    draft = Opinion.model_validate(says)
    judgements.save_draft(session, locked(session, judgement), draft, version=0)
    assert opinion_of(judgement) == draft
    assert boxes(session) == []
    submit(session, judgement, none_fits=True, **says)
    session.expire_all()
    assert opinion_of(judgement) == Opinion.model_validate({**says, "none_fits": True})
    assert boxes(session) == sorted(
        [(one, 1, (0.1, 0.35, 0.4, 0.7)), (two, 2, (0.1, 0.35, 1.0, 0.7))]
    )
    marks = session.execute(select(TurnMark.turn, TurnMark.of, TurnMark.value))
    assert {tuple(row) for row in marks} == {(1, "place", "wrong"), (2, "place", "partly")}
    (revision,) = session.scalars(select(JudgementRevision))
    assert revision.content["boxes"][str(one)] == {"1": BOX}
    back = judgements.take_back(session, locked(session, judgement))
    assert boxes(session) == []
    assert opinion_of(back).boxes == draft.boxes


def test_the_same_box_drawn_again_changes_nothing(
    session: Session, judgement: Judgement, ways: dict[int, Way]
) -> None:
    draw = ways[1].sample_id
    for left in (0.1, 0.10000001):
        opinion = Opinion.model_validate({"boxes": {draw: {1: {**BOX, "left": left}}}})
        judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    assert judgement.version == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"left": -0.01}, "lies on the picture"),
        ({"right": 1.01}, "lies on the picture"),
        ({"left": 0.5}, "lies on the picture"),
        ({"bottom": 0.35}, "lies on the picture"),
        ({"right": 0.115}, "at least 2 %"),
    ],
)
def test_a_box_beside_the_picture_or_of_no_size_is_refused(
    session: Session,
    judgement: Judgement,
    ways: dict[int, Way],
    change: dict[str, float],
    said: str,
) -> None:
    says = {"boxes": {ways[1].sample_id: {1: {**BOX, **change}}}}
    with pytest.raises(InvalidInput, match=said):
        submit(session, judgement, none_fits=True, **says)
    assert judgement.version == 0


def test_a_box_belongs_to_a_look_of_the_item(
    session: Session, judgement: Judgement, ways: dict[int, Way]
) -> None:
    draw = ways[1].sample_id
    for says in ({draw: {2: BOX}}, {draw: {0: BOX}}, {draw + 100: {1: BOX}}):
        with pytest.raises(InvalidInput, match="does not belong"):
            submit(session, judgement, none_fits=True, boxes=says)
    submit(session, judgement, none_fits=True, boxes={draw: {1: BOX}})
    for change in ({"turn": 2}, {"turn": 2, "sample_id": 1}, {"bottom": 0.1}, {"left": -0.5}):
        row = {"judgement_id": judgement.id, "sample_id": draw, "turn": 1, **BOX, **change}
        with pytest.raises(IntegrityError), session.begin_nested():
            draw_directly(session, row)
    with pytest.raises(IntegrityError, match="append-only"), session.begin_nested():
        session.execute(text("UPDATE drawn_box SET bottom = 1"))


def draw_directly(session: Session, row: dict[str, Any]) -> None:
    session.execute(delete(DrawnBox))
    session.add(DrawnBox(**row))
    session.flush()


def test_looks_have_places_and_no_words_to_correct_and_monologues_the_other_way_round(
    session: Session, judgement: Judgement, ways: dict[int, Way]
) -> None:
    with pytest.raises(InvalidInput, match="no words"):
        submit(session, judgement, corrections={ways[1].sample_id: {1: "a cone"}})
    told = make_monologue_round(session)
    make_episodes(session, told, {"it is so": [[("what is it?", "a cone")]]})
    other = open_item(session, told, make_user(session))
    ((way,),) = find_ways(session, told, other).values()
    with pytest.raises(InvalidInput, match="no place on the picture"):
        submit(session, other, none_fits=True, boxes={way.sample_id: {1: BOX}})


def test_boxes_stay_as_marks_do_when_their_author_is_erased(
    session: Session, judgement: Judgement, ways: dict[int, Way]
) -> None:
    submit(session, judgement, none_fits=True, boxes={ways[1].sample_id: {1: BOX}})
    author = session.get_one(User, judgement.user_id)
    admin = make_user(session, is_admin=True)
    erase_person(session, author, typed_name=author.name, actor=admin)
    assert len(boxes(session)) == 1


def test_in_a_round_that_is_judged_blind_boxes_are_drawn_once_the_traces_are_open(
    session: Session,
) -> None:
    settings = LoopSettings(strategies=("perception:1", "direct:1"), auto_advance=False)
    blind = make_round(session, make_project(session), settings=settings)
    make_looks(session, blind)
    judgement = open_item(session, blind, make_user(session))
    draw = session.scalars(select(Sample.id).where(Sample.log_probability == -1.0)).first()
    assert draw is not None
    with pytest.raises(InvalidInput, match="once it is judged and opened"):
        submit(session, judgement, none_fits=True, boxes={draw: {1: BOX}})
    submit(session, judgement, none_fits=True)
    traces.open_traces(session, locked(session, judgement))
    said = Opinion.model_validate({"boxes": {draw: {1: BOX}}})
    traces.mark_traces(session, locked(session, judgement), said, version=judgement.version)
    assert boxes(session) == [(draw, 1, (0.1, 0.35, 0.4, 0.7))]
    assert opinion_of(judgement).none_fits
    traces.mark_traces(session, locked(session, judgement), Opinion(), version=judgement.version)
    assert boxes(session) == []
