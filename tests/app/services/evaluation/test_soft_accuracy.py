"""How far an answer agrees with those of several people, worked by hand."""

import pytest

from app.lifecycle import Split
from app.round_settings import LoopSettings
from app.services.evaluation.predictions import measure_outcomes
from app.services.evaluation.soft_accuracy import soft_accuracy
from app.services.evaluation.text_scores import Outcome, ScoredItem

BATTING = ["batting"] * 3 + ["swinging"] * 2 + ["baseball"] * 5


@pytest.mark.parametrize(
    ("given", "answers", "expected"),
    [
        # Three others where one of the seven is left out, two where one of the three is.
        ("batting", BATTING, (7 * 1 + 3 * 2 / 3) / 10),
        ("swinging", BATTING, (8 * 2 / 3 + 2 * 1 / 3) / 10),
        ("baseball", BATTING, 1.0),
        ("running", BATTING, 0.0),
        ("yes", ["yes"] + ["no"] * 9, 9 * 1 / 3 / 10),
        ("no", ["yes"] + ["no"] * 9, 1.0),
        ("yes", ["yes"] * 4, 1.0),
        ("yes", ["yes"] * 3 + ["no"], (1 * 1 + 3 * 2 / 3) / 4),
    ],
)
def test_the_value_is_that_of_the_formula(given: str, answers: list[str], expected: float) -> None:
    value = soft_accuracy(given, answers)
    assert value == pytest.approx(expected, abs=1e-12)
    left_out = [
        min(1, [*answers[:place], *answers[place + 1 :]].count(given) / 3)
        for place in range(len(answers))
    ]
    assert value == pytest.approx(sum(left_out) / len(left_out), abs=1e-12)


def test_answers_are_equal_whatever_they_are_spelled_like() -> None:
    spelled = ["2", "Two.", "two", "the two", "2", "3", "3", "3", "3", "3"]
    assert soft_accuracy("two", spelled) == 1.0
    assert soft_accuracy("A red T-shirt", ["the red t shirt."] * 4) == 1.0
    # A symbol that means something is kept.
    assert soft_accuracy("50", ["50%"] * 10) == 0.0
    assert soft_accuracy("", ["red"] * 10) == 0.0


@pytest.mark.parametrize("answers", [[], ["red"], ["red"] * 3])
def test_with_fewer_than_four_answers_there_is_no_value(answers: list[str]) -> None:
    assert soft_accuracy("red", answers) is None


def scored(soft: float | None, blank: float | None = None) -> ScoredItem:
    return ScoredItem(
        references=("it is red",),
        seen=Outcome("it is red", answer_is_right=True, fits=True, soft_accuracy=soft),
        blank=Outcome("it is", answer_is_right=False, fits=False, soft_accuracy=blank),
    )


def test_items_without_several_answers_are_left_out_and_counted() -> None:
    items = [scored(0.9, 0.0), scored(0.3, 0.3), scored(None), scored(0.6, 0.0)]
    measured = measure_outcomes({Split.TEST: items}, LoopSettings())
    figures = {figure.name: figure for figure in measured.figures[Split.TEST]}
    soft = figures["soft_accuracy"]
    assert (soft.value, soft.n) == (pytest.approx(0.6), 3)
    assert soft.interval is not None
    assert 0.3 <= soft.interval[0] < 0.6 < soft.interval[1] <= 0.9
    assert figures["blank_soft_accuracy"].value == pytest.approx(0.1)
    # Exact match stands beside it, over all items.
    assert (figures["answer_accuracy"].value, figures["answer_accuracy"].n) == (1.0, 4)


def test_without_any_there_is_no_such_score() -> None:
    measured = measure_outcomes({Split.TEST: [scored(None)]}, LoopSettings())
    assert not any("soft" in figure.name for figure in measured.figures[Split.TEST])
