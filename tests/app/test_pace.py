"""Times kept as counts by steps: right to within 3 %, and rounds add up."""

import random
from collections import Counter
from statistics import median, quantiles

import pytest

from app.pace import Steps, add_up, spread_of, step_of


def steps_of(times_ms: list[float]) -> Steps:
    return tuple(sorted(Counter(map(step_of, times_ms)).items()))


def test_the_middle_and_its_spread_are_right_to_within_3_percent() -> None:
    rng = random.Random(4)
    times = [rng.lognormvariate(9.5, 0.7) for _ in range(501)]
    found = spread_of(steps_of(times))
    assert found is not None
    low, _, high = quantiles(times)
    assert found.n == 501
    assert found.median * 1000 == pytest.approx(median(times), rel=0.03)
    assert found.low * 1000 == pytest.approx(low, rel=0.04)
    assert found.high * 1000 == pytest.approx(high, rel=0.04)


def test_rounds_add_up_to_what_all_their_answers_give() -> None:
    rng = random.Random(5)
    rounds = [[rng.uniform(500, 60_000) for _ in range(n)] for n in (1, 30, 7)]
    together = [one for times in rounds for one in times]
    assert add_up(map(steps_of, rounds)) == steps_of(together)


def test_one_time_has_no_spread_and_none_has_no_middle() -> None:
    one = spread_of(steps_of([20_000]))
    assert one is not None
    assert one.low == one.median == one.high == pytest.approx(20, rel=0.03)
    assert spread_of(()) is None
    assert spread_of(add_up([(), ()])) is None


@pytest.mark.parametrize("ms", [1, 1.4, 7_000_000])
def test_any_time_falls_into_a_step_that_holds_it(ms: float) -> None:
    found = spread_of(((step_of(ms), 1),))
    assert found is not None
    assert found.median * 1000 == pytest.approx(ms, rel=0.03)
