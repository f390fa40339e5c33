"""Every strategy is declared, done and offered under one name, and any can be taught any lesson."""

from pathlib import Path
from typing import get_args

import pytest

from app.kit.errors import InvalidInput
from app.models import Image, Item
from app.round_settings import LoopSettings
from app.strategies import STRATEGIES, get_strategy
from worker.ml.types import ANSWER, RATIONALE, Draw, Failed, SampleConfig, Sampled
from worker.strategies import PROCEDURES, get_procedure
from worker.strategies.contract import Asked, Lesson
from worker.strategies.direct import plan_draws

SETTINGS = LoopSettings.model_validate(
    {"sampling": {"temperatures": [0.1, 0.9], "n_samples": 2}, "seed": 7}
)
LESSON = Lesson(Path("ball.png"), "what color is it?", "red", "it is a tomato", 0.5)


def item(number: int) -> tuple[Item, Image]:
    digest = str(number) * 64
    row = Item(
        id=number, external_id=f"item-{number}", question=f"what is {number}?", answer="a ball"
    )
    return row, Image(sha256=digest, media_type="image/png")


class Speaker:
    """A model that says the seed of each draw, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Draw] = []

    def __call__(self, draws: list[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        self.asked += draws
        return [
            Sampled(f"it has the number {draw.seed}", config.max_new_tokens, -1.0, is_cut=False)
            for draw in draws
        ]


def test_what_is_declared_is_done_and_offered_in_the_settings() -> None:
    offered = get_args(LoopSettings.model_fields["strategy"].annotation)
    assert list(STRATEGIES) == list(PROCEDURES) == list(offered)
    assert all(name == strategy.name for name, strategy in STRATEGIES.items())
    assert LoopSettings().strategy == "direct"


def test_a_strategy_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidInput, match="no strategy called “hearsay”; there are: direct"):
        get_strategy("hearsay")


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("rationale", [LESSON.rationale, None])
def test_every_strategy_learns_from_every_lesson(name: str, rationale: str | None) -> None:
    lesson = Lesson(LESSON.image, LESSON.question, LESSON.answer, rationale)
    taught = [
        example
        for role in STRATEGIES[name].roles
        for example in get_procedure(name).teach(role, lesson, SETTINGS)
    ]
    assert taught


def test_direct_learns_the_answer_and_then_the_rationale() -> None:
    (example,) = get_procedure("direct").teach("model", LESSON, SETTINGS)
    assert (example.image, example.question, example.weight) == (LESSON.image, LESSON.question, 0.5)
    assert [(part.text, part.loss) for part in example.parts] == [
        ("red", ANSWER),
        (", seeing that", None),
        (" it is a tomato", RATIONALE),
    ]
    assert not get_procedure("direct").teach("observer", LESSON, SETTINGS)


def test_the_seeds_of_direct_are_those_of_the_item_wherever_it_stands() -> None:
    alone = plan_draws([item(2)], SETTINGS, 1)
    among = plan_draws([item(1), item(2)], SETTINGS, 1)
    assert among[4:] == alone
    assert [place.seed for place, _ in alone] == [
        8707041384588196282, 4444507790321007971, 6738133269238110797, 7107087049742942849,
    ]  # fmt: skip
    later = plan_draws([item(2)], SETTINGS, 2)
    assert not {place.seed for place, _ in alone} & {place.seed for place, _ in later}


def test_direct_proposes_a_text_for_each_draw_of_the_items_answer() -> None:
    speaker = Speaker()
    proposed = get_procedure("direct").propose(
        {"model": speaker}, [item(1), item(2)], SETTINGS, round_number=1
    )
    assert [draw.item_id for draw in proposed.drawn] == [1] * 4 + [2] * 4
    assert {draw.prompt.answer for draw in speaker.asked} == {"a ball"}
    assert [draw.text for draw in proposed.drawn] == [
        f"it has the number {draw.seed}" for draw in proposed.drawn
    ]
    assert not proposed.failures


def test_direct_explains_its_own_answer_of_a_held_out_item() -> None:
    speaker = Speaker()
    answered = get_procedure("direct").answer(
        {"model": speaker}, [Asked(item(1)[0], Path("1.png"))], SETTINGS
    )
    first, second = speaker.asked
    assert first.prompt.answer is None, "the answer of the data is not told"
    assert second.prompt.answer == answered.said[1].answer == f"it has the number {first.seed}"
    assert answered.said[1].rationale == f"it has the number {second.seed}"
