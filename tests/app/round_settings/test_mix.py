"""Several strategies in one round: how shares are written, and the draws that they come to."""

from typing import Any

import pytest
from pydantic import ValidationError

from app.round_settings import LoopSettings


def settings(*mix: str, **changes: Any) -> LoopSettings:
    return LoopSettings.model_validate({"strategies": list(mix), **changes})


def test_without_a_mix_the_one_strategy_makes_all_draws() -> None:
    alone = LoopSettings()
    assert dict(alone.shares) == {"direct": 1.0}
    assert not alone.is_mixed
    assert alone.draws_of("direct") == alone.sampling.draws_per_item == 25


@pytest.mark.parametrize(
    ("mix", "draws"),
    [
        (("direct", "monologue"), {"direct": 13, "monologue": 12}),
        (("direct:3", "monologue:1"), {"direct": 19, "monologue": 6}),
        (("direct: 0.1", "monologue:0.9"), {"direct": 3, "monologue": 22}),
        (
            ("monologue", "direct", "self_questioning"),
            {"monologue": 9, "direct": 8, "self_questioning": 8},
        ),
    ],
)
def test_shares_are_of_the_draws_of_an_item_and_leave_none_over(
    mix: tuple[str, ...], draws: dict[str, int]
) -> None:
    made = settings(*mix)
    assert {name: made.draws_of(name) for name in made.shares} == draws
    assert sum(draws.values()) == made.sampling.draws_per_item
    assert made.is_mixed
    assert made.strategy == next(iter(draws)), "whatever asks for one gets the first"


def test_what_is_stored_is_read_again_as_it_was() -> None:
    made = settings("direct", "monologue: 2.5")
    assert made.strategies == ("direct:1", "monologue:2.5")
    assert LoopSettings.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("mix", "why"),
    [
        (["direct"], "One strategy alone needs no share"),
        (["direct", "telepathy"], "There is no strategy called “telepathy”"),
        (["direct", "monologue", "direct:2"], "direct is named twice"),
        (["direct", "monologue:0"], "“monologue:0” is no share"),
        (["direct", "monologue:many"], "“monologue:many” is no share"),
        (["direct", "monologue:nan"], "“monologue:nan” is no share"),
        (["direct:1000", "monologue:1"], "none is left for monologue"),
    ],
)
def test_an_odd_mix_is_refused_with_a_sentence(mix: list[str], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        settings(*mix)


def test_what_goes_with_a_strategy_goes_with_a_mix_that_has_it() -> None:
    rewards = {"epochs": 2}
    assert settings("direct", "monologue", reinforcement=rewards).reinforcement.epochs == 2
    with pytest.raises(ValidationError, match="Only the strategy monologue"):
        settings("direct", "self_questioning", reinforcement=rewards)
    with pytest.raises(ValidationError, match="A monologue goes on"):
        settings("direct", "monologue", sampling={"backend": "server"})
