import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.measures import mean_interval, paired_interval
from app.metrics import bootstrap_interval, bootstrap_mean_interval, wilson_interval


def test_wilson_interval_matches_the_published_formula() -> None:
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)


def test_without_trials_nothing_is_known() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_more_hits_than_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="3 hits of 2"):
        wilson_interval(3, 2)


@given(st.integers(0, 1000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_interval_holds_the_share(counts: tuple[int, int]) -> None:
    n_hits, n = counts
    low, high = wilson_interval(n_hits, n)
    assert 0 <= low <= high <= 1
    if n:
        assert low <= n_hits / n <= high


def test_bootstrap_interval_of_a_mean_is_about_two_standard_errors_wide() -> None:
    values = np.random.default_rng(3).normal(5, 2, size=400)
    interval = bootstrap_mean_interval(list(values))
    assert interval is not None
    low, high = interval
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * 2 / 20, rel=0.15)


def test_bootstrap_gives_the_same_interval_for_the_same_seed() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0]
    assert bootstrap_mean_interval(values, seed=7) == bootstrap_mean_interval(values, seed=7)


def test_one_value_has_no_interval() -> None:
    assert bootstrap_mean_interval([0.5]) is None
    assert bootstrap_interval(0, lambda _: 0.0) is None


def test_the_interval_of_a_paired_change_is_that_worked_by_hand() -> None:
    # 20 began and 10 ceased of 100: (20.5 - 10.5) / 102, sqrt(31 - 100 / 102) / 102.
    low, high = paired_interval(20, 10, 100)
    assert (low, high) == (pytest.approx(-0.00725, abs=1e-4), pytest.approx(0.20333, abs=1e-4))
    none = paired_interval(0, 0, 0)
    assert none[0] < 0 < none[1]
    with pytest.raises(ValueError, match="3 and 3 of 5"):
        paired_interval(3, 3, 5)


def test_the_interval_of_a_mean_is_the_normal_one() -> None:
    assert mean_interval(0.1, 0.5, 100) == (
        pytest.approx(0.1 - 1.959964 * 0.05),
        pytest.approx(0.1 + 1.959964 * 0.05),
    )
    assert mean_interval(0.1, 0.0, 1) is None
