"""What a warning about candidates is worth."""

import numpy as np
import pytest

from app.measures import Undefined
from app.metrics.warnings import Warned, measure_warning


def warned(*rows: tuple[int, bool, int, int]) -> Warned:
    """By candidate: its item, whether it is warned of, its verdicts, and those against it."""
    item, is_warned, n_verdicts, n_against = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Warned(item, is_warned.astype(np.bool_), n_verdicts, n_against)


def test_precision_and_recall_are_over_verdicts() -> None:
    """Of six verdicts on what is warned of, four are against it; one more is elsewhere."""
    worth = measure_warning(
        warned((1, True, 3, 3), (1, False, 3, 0), (2, True, 3, 1), (2, False, 3, 1))
    )
    assert worth.precision.value == pytest.approx(4 / 6)
    assert worth.recall.value == pytest.approx(4 / 5)
    assert worth.precision_by_chance == pytest.approx(5 / 12)
    assert worth.recall_by_chance == pytest.approx(1 / 2)
    assert worth.above.value == pytest.approx(4 / 6 - 5 / 12)


def test_a_warning_at_random_is_worth_nothing() -> None:
    random = np.random.default_rng(3)
    rows = [
        (item, bool(random.random() < 0.3), 2, int(random.binomial(2, 0.4)))
        for item in range(400)
        for _ in range(4)
    ]
    worth = measure_warning(warned(*rows))
    assert worth.above.low is not None
    assert worth.above.high is not None
    assert worth.above.low < 0 < worth.above.high
    assert worth.precision.value == pytest.approx(0.4, abs=0.05)
    assert worth.recall.value == pytest.approx(0.3, abs=0.05)


def test_a_warning_that_knows_is_told_from_chance() -> None:
    rows = [(item, bad, 1, int(bad)) for item in range(30) for bad in (True, False)]
    worth = measure_warning(warned(*rows))
    assert (worth.precision.value, worth.recall.value) == (1.0, 1.0)
    assert worth.above.value == pytest.approx(0.5)
    assert worth.above.low == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([], Undefined.NOTHING),
        ([(1, False, 2, 1), (2, False, 2, 0)], Undefined.ALL_SAME),
    ],
)
def test_where_nothing_is_warned_of_there_is_no_precision(
    rows: list[tuple[int, bool, int, int]], why: Undefined
) -> None:
    worth = measure_warning(warned(*rows))
    assert worth.precision.undefined is why
    assert worth.above.undefined is why
