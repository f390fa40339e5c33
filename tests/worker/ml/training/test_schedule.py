from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.models.examples import rationale_of, with_rationale
from worker.ml.inputs.prompts import explained
from worker.ml.training.schedule import (
    cut_by_length,
    deal,
    epoch_batches,
    group_by_item,
    learning_rate,
    steps_per_epoch,
)
from worker.ml.types import TrainConfig

ROWS = [
    explained(Path(f"{n}.png"), "?", "yes", "because" if n % 5 == 0 else None, ", seeing that")
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
            assert 1 <= sum("rationale" in ROWS[index].losses for index in batch) <= 2


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
        {"loss_weights": {"rationale": -1.0}},
        {"warmup_share": 2.0},
    ],
)
def test_senseless_settings_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        TrainConfig(**wrong)


def test_rationales_of_an_item_stay_together() -> None:
    rows = [
        with_rationale(row, f"{rationale_of(row)} {number}")
        for row in ROWS
        if rationale_of(row)
        for number in range(3)
    ]
    torn = 0
    for epoch in (1, 2, 3):
        batches = epoch_batches(rows, CONFIG, epoch)
        assert sorted(index for batch in batches for index in batch) == list(range(len(rows)))
        assert [len(batch) for batch in batches] == [8, 8, 8, 3]
        torn += sum(
            len(group) not in {3} for batch in batches for group in group_by_item(rows, batch)
        )
    assert torn <= 3 * 2 * 3  # only where a batch ends


def test_an_item_is_one_group_whatever_its_rationale() -> None:
    others = with_rationale(ROWS[0], "other"), with_rationale(ROWS[0], None)
    rows = [ROWS[0], ROWS[1], *others]
    assert group_by_item(rows, [3, 2, 1, 0]) == [[3], [2, 0], [1]]


def test_forwards_hold_sequences_of_like_length() -> None:
    lengths = [100, 10, 12, 98, 11, 99]
    assert cut_by_length(lengths, [1] * 6, 8, overhead=20) == [[1, 4, 2], [3, 5, 0]]
    assert cut_by_length(lengths, [1] * 6, 8, overhead=1000) == [[1, 4, 2, 3, 5, 0]]


def test_a_forward_holds_no_more_rows_than_allowed_but_always_a_sequence() -> None:
    cut = cut_by_length([5] * 6, [1, 4, 2, 2, 9, 1], 4, overhead=100)
    n_rows = [sum([1, 4, 2, 2, 9, 1][place] for place in forward) for forward in cut]
    assert sorted(place for forward in cut for place in forward) == list(range(6))
    assert all(rows <= 4 or len(forward) == 1 for rows, forward in zip(n_rows, cut, strict=True))
    assert cut_by_length([], [], 4, overhead=1) == []


def test_hands_are_dealt_evenly() -> None:
    hands = deal([5, 1, 1, 1, 1, 1], 2)
    assert hands == [[0], [1, 2, 3, 4, 5]]
    assert deal([1.0], 3) == [[0], [], []]
    assert deal([3.0, 2.0, 1.0], 1) == [[0, 1, 2]]
