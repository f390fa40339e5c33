"""The score on check items: its value, its interval, and where there is none."""

import pytest

from app.check_score import CheckCounts, score_checks


def test_who_says_what_is_expected_has_one_and_who_says_all_the_same_has_zero() -> None:
    right = score_checks(CheckCounts(6, 20, 20, 28, 28))
    everything = score_checks(CheckCounts(6, 20, 20, 0, 28))
    nothing = score_checks(CheckCounts(6, 0, 20, 28, 28))
    contrary = score_checks(CheckCounts(6, 0, 20, 0, 28))
    assert [one.value for one in (right, everything, nothing, contrary) if one] == [1, 0, 0, -1]


def test_the_interval_is_newcombes() -> None:
    """Newcombe (1998), table II, case (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339."""
    score = score_checks(CheckCounts(10, 56, 70, 32, 80))
    assert score is not None
    assert score.value == pytest.approx(0.2)
    assert score.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_without_candidates_of_both_kinds_there_is_no_score() -> None:
    assert score_checks(CheckCounts(1, 0, 0, 3, 3)) is None
    assert score_checks(CheckCounts(1, 3, 3, 0, 0)) is None
    assert score_checks(CheckCounts(0, 0, 0, 0, 0)) is None


def test_only_who_is_surely_below_a_floor_is_below_it() -> None:
    few = score_checks(CheckCounts(1, 1, 2, 1, 2))
    many = score_checks(CheckCounts(8, 16, 32, 16, 32))
    assert few is not None
    assert not few.is_surely_below(0.5)
    assert many is not None
    assert many.is_surely_below(0.5)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="no counts"):
        CheckCounts(1, 3, 2, 0, 2)
