"""What `illume loop` makes of a project's settings."""

import pytest

from app.cli.loop.loop import loop_settings, read_strategies
from app.kit.errors import AppError
from app.round_settings import LoopSettings, TrainingSettings


def test_the_upper_line_leaves_corrected_texts_out() -> None:
    project = LoopSettings(training=TrainingSettings(written=True))
    made = {
        control: loop_settings(
            project,
            critic="exact",
            n_rounds=1,
            control=control,
            seed=None,
            dtype=None,
            stop_early=True,
        ).training
        for control in ("none", "gold")
    }
    assert (made["none"].source, made["none"].written) == ("admitted", True)
    assert (made["gold"].source, made["gold"].written) == ("gold", False)


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ([], {}),
        (["monologue"], {"strategy": "monologue", "strategies": []}),
        (["direct", "monologue"], {"strategies": ["direct:1", "monologue:1"]}),
        (["direct:2,monologue"], {"strategies": ["direct:2", "monologue:1"]}),
    ],
)
def test_strategies_are_named_one_by_one_or_with_commas(
    given: list[str], values: dict[str, object]
) -> None:
    assert read_strategies(given) == values


@pytest.mark.parametrize("given", [["telepathy"], ["direct", "telepathy"], ["direct:2"]])
def test_an_odd_strategy_is_refused_before_anything_starts(given: list[str]) -> None:
    with pytest.raises(AppError):
        read_strategies(given)
