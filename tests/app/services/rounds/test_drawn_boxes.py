"""Where people drew that a model should have looked, as a training reads it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Item, Sample
from app.opinions import Box
from app.queries.rounds.rewards import find_boxes
from tests.support.factories import make_user
from tests.support.judging import open_item, submit
from tests.support.rounds.looks import make_looks, make_perception_round

LEFT = {"left": 0.1, "top": 0.35, "right": 0.4, "bottom": 0.7}
RIGHT = {"left": 0.6, "top": 0.35, "right": 0.9, "bottom": 0.7}


def test_boxes_of_submitted_judgements_are_those_of_their_item(session: Session) -> None:
    round_ = make_perception_round(session)
    item = session.get_one(Item, make_looks(session, round_, slots=3).item_id)
    drawn = session.scalars(select(Sample).where(Sample.log_probability == -1.0))
    one, two = (one.id for one in sorted(drawn, key=lambda one: len((one.trace or {})["looks"])))
    for name, boxes in (
        ("Noor", {one: {1: LEFT}, two: {2: RIGHT}}),
        ("Ada", {one: {1: LEFT}}),
        ("Lea", {}),
    ):
        judgement = open_item(session, round_, make_user(session, name=name))
        submit(session, judgement, none_fits=True, boxes=boxes)
    found = find_boxes(session, [item.id, item.id + 1])
    assert found == {item.id: (Box.model_validate(LEFT), Box.model_validate(RIGHT))}
