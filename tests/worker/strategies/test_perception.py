"""Interactive perception as a strategy: what it teaches first, from which texts, and what of."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.round_settings import LoopSettings
from worker.ml.types import ANSWER, POINTING, AdapterSettings, LoraSettings
from worker.strategies import get_procedure
from worker.strategies.contract import Lesson
from worker.strategies.perception.alignment import align
from worker.strategies.perception.naming import find_places, pieces_with_places, the_place

TOP_LEFT = (0.0, 0.0, 1 / 3, 1 / 3)
CENTER = (1 / 3, 1 / 3, 2 / 3, 2 / 3)
BY_PLACE = Lesson(Path("a.png"), "what color is the thing in the top left?", "red", None)
BY_NAME = Lesson(Path("a.png"), "what color is the cone?", "red", "the cone in the center is red")


def settings(**own: object) -> LoopSettings:
    return LoopSettings.model_validate({"strategy": "perception", "perception": own})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("what is in the top left?", ["in the top left"]),
        ("the cube in the center is red", ["in the center"]),
        ("At the upper-right corner.", ["at the upper-right corner"]),
        ("the middle left one and the lower right one", ["middle left", "lower right"]),
        ("in the top left a cube, in the top left a cone", ["in the top left"]),
        ("things in the center row", []),
        ("how many cones are left?", []),
        ("the right answer is at the top", []),
    ],
)
def test_places_are_found_in_the_words_of_people(text: str, words: list[str]) -> None:
    assert [one.words for one in find_places(text)] == words


def test_one_place_is_the_place_and_two_are_none() -> None:
    assert the_place(("what is in the top left?", "in the center")) == TOP_LEFT
    assert the_place(("what color is it?", "the cone in the center is red")) == CENTER
    assert the_place(("the top left or the center?", "in the center")) is None
    assert the_place((None, "")) is None


def test_a_caption_is_cut_into_what_stands_where() -> None:
    found = pieces_with_places("In the top left a red cube and a small cone in the center. Nice.")
    assert [(named.words, said) for named, said in found] == [
        ("in the top left", "a red cube"),
        ("in the center", "a small cone"),
    ]


def test_pointing_leads_to_the_place_that_question_or_rationale_names() -> None:
    lessons = [BY_PLACE, BY_NAME, Lesson(Path("a.png"), "what is it?", "red", None)]
    first, second = align(lessons, settings())
    assert (first.boxes, second.boxes) == ((TOP_LEFT,), (CENTER,))
    assert first.losses == (ANSWER, POINTING)
    drawn = replace(BY_PLACE, boxes=((0.5, 0.5, 1.0, 1.0),))
    assert align([drawn], settings())[0].boxes == drawn.boxes


def test_captions_are_asked_for_piece_by_piece() -> None:
    caption = replace(
        BY_PLACE, description="in the top left a red cube and a cone in the center", is_caption=True
    )
    first, second = align([caption, caption], settings(alignment="captions"))
    assert (first.question, first.parts[0].text) == ("what is in the top left?", "a red cube")
    assert (second.question, second.parts[0].text) == ("what is in the center?", "a cone")
    assert not first.boxes
    told = replace(BY_PLACE, facts={"caption": "a cone in the center"})
    assert [one.question for one in align([told], settings(alignment="captions"))] == [
        "what is in the center?"
    ]
    own = replace(caption, is_caption=False)
    assert not align([own], settings(alignment="captions")), "the model's own words teach nothing"
    assert not align([caption, BY_NAME], settings(alignment="none"))


def test_captions_that_are_pointed_at_lead_the_attention_too() -> None:
    told = replace(BY_PLACE, facts={"caption": "in the top left a red cube, a cone in the center"})
    first, *pieces = align([told], settings(alignment="pointed_captions"))
    assert (first.question, first.boxes) == (BY_PLACE.question, (TOP_LEFT,))
    assert [(one.question, one.boxes) for one in pieces] == [
        ("what is in the top left?", (TOP_LEFT,)),
        ("what is in the center?", (CENTER,)),
    ]
    assert {one.losses for one in pieces} == {(ANSWER, POINTING)}


def test_few_rows_come_again_until_the_steps_are_done() -> None:
    procedure = get_procedure("perception")
    wanted = settings(alignment_steps=100)
    assert wanted.training.batch_size == 32
    assert procedure.first_epochs(wanted, 64) == 50
    assert procedure.first_epochs(wanted, 40) == 50
    assert procedure.first_epochs(wanted, 320_000) == 1


def test_drawn_boxes_count_later_only_where_the_settings_say_so() -> None:
    drawn = replace(BY_PLACE, boxes=(CENTER,))
    procedure = get_procedure("perception")
    assert procedure.teach("model", drawn, settings())[0].boxes == ()
    (example,) = procedure.teach("model", drawn, settings(pointing_weight=0.5))
    assert example.boxes == (CENTER,)
    (example,) = procedure.teach("model", BY_PLACE, settings(pointing_weight=0.5))
    assert example.boxes == (), "a place that words name is of the first stage"


def test_the_base_stays_as_it_is_unless_lora_is_wanted() -> None:
    procedure, lora = get_procedure("perception"), AdapterSettings(LoraSettings())
    frozen = procedure.adapt("model", lora, settings(evidence_tokens=2), lambda: 100)
    assert frozen.lora is None
    assert frozen.modules["perception"].options == {
        "requests": 4, "evidence": 2, "basic": 1, "path": "patches",
    }  # fmt: skip
    assert procedure.adapt("model", lora, settings(lora=True), lambda: 100).lora == LoraSettings()


def test_a_server_is_refused() -> None:
    with pytest.raises(ValueError, match="A server shows a model whole pictures"):
        LoopSettings.model_validate({"strategy": "perception", "sampling": {"backend": "server"}})
