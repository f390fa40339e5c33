from dataclasses import replace
from pathlib import Path

import pytest

from worker.ml.schedule import epoch_batches, learning_rate, steps_per_epoch
from worker.ml.types import TrainConfig, TrainRow

ROWS = [
    TrainRow(Path(f"{n}.png"), "?", "yes", "because" if n % 5 == 0 else None, ", seeing that")
    for n in range(43)
]
CONFIG = TrainConfig(batch_size=4, gradient_accumulation=2, seed=3)


def test_each_row_once_an_epoch_in_an_order_of_the_seed() -> None:
    first, second = (epoch_batches(ROWS, CONFIG, epoch) for epoch in (1, 2))
    for batches in (first, second):
        assert sorted(index for batch in batches for index in batch) == list(range(43))
        assert len(batches) == steps_per_epoch(43, CONFIG) == 6
    assert first != second
    assert first == epoch_batches(ROWS, CONFIG, 1)
    assert first != epoch_batches(ROWS, replace(CONFIG, seed=4), 1)


def test_rows_with_a_rationale_are_spread_over_the_batches() -> None:
    for epoch in range(1, 20):
        for batch in epoch_batches(ROWS, CONFIG, epoch)[:-1]:
            assert 1 <= sum(ROWS[index].rationale is not None for index in batch) <= 2


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_the_learning_rate_rises_then_falls(schedule: str) -> None:
    config = replace(CONFIG, learning_rate=1.0, warmup_share=0.2, schedule=schedule)
    rates = [learning_rate(config, step, 50) for step in range(1, 51)]
    assert rates[:10] == pytest.approx([n / 10 for n in range(1, 11)])
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 0.05
    assert learning_rate(replace(config, warmup_share=0.0), 1, 50) == 1.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"learning_rate": 0.0},
        {"balance": -1.0},
        {"warmup_share": 2.0},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TrainConfig(**wrong)  # type: ignore[arg-type]
