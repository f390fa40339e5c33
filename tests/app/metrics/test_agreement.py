"""Measures of agreement: equal to other people's programs, undefined where those have no value, and
honest about chance."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import astuple
from typing import Any

import krippendorff
import numpy as np
import pytest
from nltk.metrics import masi_distance
from nltk.metrics.agreement import AnnotationTask
from sklearn.metrics import cohen_kappa_score

from app.metrics.agreement import (
    Measured,
    Picks,
    Undefined,
    Verdicts,
    masi_distances,
    measure_people,
    measure_picks,
    measure_verdicts,
    pool_alpha,
    resample_alpha,
)

N_TABLES = 200
FEW = 20
"""Resamples, where a test is about values only."""

Table = np.ndarray[Any, np.dtype[np.float64]]
"""(people, candidates): 1 fits, 0 does not, nan is not judged."""


def tables(*, n_people: int | None = None, with_gaps: bool, seed: int) -> Iterator[Table]:
    """Random tables of up to 6 people and 30 candidates, some of nearly equal verdicts."""
    generator = np.random.default_rng(seed)
    for _ in range(N_TABLES):
        shape = (n_people or generator.integers(2, 7), generator.integers(1, 31))
        table = (generator.random(shape) < generator.choice([0.02, 0.3, 0.5, 0.97])).astype(float)
        if with_gaps:
            table[generator.random(shape) < generator.choice([0.1, 0.5, 0.9])] = np.nan
        yield table


def verdicts_of(table: Table, *, per_item: int = 4) -> Verdicts:
    person, candidate = np.nonzero(~np.isnan(table))
    return Verdicts(candidate // per_item, person, candidate, table[person, candidate] == 1)


def picks_of(answers: Sequence[tuple[int, int, frozenset[int]]]) -> Picks:
    """Of (person, item, picked candidates by their numbers in the item)."""
    person, item, sets = zip(*answers, strict=True)
    bits = [sum(1 << number for number in picked) for picked in sets]
    return Picks(np.array(item), np.array(person), np.array(bits))


def is_same(ours: Measured, theirs: float) -> bool:
    return ours.undefined is None and ours.value == pytest.approx(theirs, abs=1e-9)


class TestReferences:
    def test_alpha_is_that_of_krippendorff(self) -> None:
        """No value there: no two people on a candidate (it raises), or all verdicts alike (nan)."""
        undefined = []
        for table in tables(with_gaps=True, seed=1):
            ours = measure_verdicts(verdicts_of(table), n_resamples=FEW).alpha
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)
                    theirs = krippendorff.alpha(
                        table, value_domain=[0.0, 1.0], level_of_measurement="nominal"
                    )
            except ValueError:
                assert ours.undefined in {
                    Undefined.NOTHING, Undefined.ONE_PERSON, Undefined.NO_OVERLAP,
                }  # fmt: skip
                undefined.append(ours.undefined)
                continue
            if np.isnan(theirs):
                assert (ours.value, ours.undefined) == (None, Undefined.ALL_SAME)
                undefined.append(ours.undefined)
            else:
                assert is_same(ours, theirs)
        assert {Undefined.NO_OVERLAP, Undefined.ALL_SAME} < set(undefined)
        assert len(undefined) < N_TABLES / 2

    def test_fleiss_kappa_is_that_of_nltk(self) -> None:
        """Full tables; nltk calls it 1 where everybody always says the same, which we call
        undefined."""
        n_same = 0
        for table in tables(with_gaps=False, seed=2):
            ours = measure_verdicts(verdicts_of(table), n_resamples=FEW).fleiss
            people, candidates = table.shape
            task = AnnotationTask(
                [(p, c, int(table[p, c])) for p in range(people) for c in range(candidates)]
            )
            theirs = task.pi()
            if len(np.unique(table)) == 1:
                n_same += 1
                assert (theirs, ours.value, ours.undefined) == (1.0, None, Undefined.ALL_SAME)
            else:
                assert is_same(ours, theirs)
        assert 0 < n_same < N_TABLES / 2

    def test_cohens_kappa_is_that_of_scikit_learn(self) -> None:
        """nan there where both always say the same."""
        n_same = 0
        for table in tables(n_people=2, with_gaps=False, seed=3):
            ours = measure_verdicts(verdicts_of(table), n_resamples=FEW).cohen
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = cohen_kappa_score(*table, labels=[0, 1])
            if np.isnan(theirs):
                n_same += 1
                assert (ours.value, ours.undefined) == (None, Undefined.ALL_SAME)
            else:
                assert is_same(ours, theirs)
        assert 0 < n_same < N_TABLES / 2

    def test_masi_alpha_is_that_of_nltk(self) -> None:
        """nltk divides by nothing where two people both pick nothing, and gives 1 where everybody
        picks the same; with the distance mended for the first, the rest is equal."""

        def distance(one: frozenset[int], other: frozenset[int]) -> float:
            return masi_distance(one, other) if one or other else 0.0

        generator = np.random.default_rng(4)
        undefined = []
        for _ in range(N_TABLES):
            people, items = generator.integers(2, 6), generator.integers(1, 9)
            share, kept = generator.choice([0.05, 0.4, 0.8]), generator.choice([0.3, 0.8, 1.0])
            answers = [
                (p, i, frozenset(np.flatnonzero(generator.random(4) < share).tolist()))
                for p in range(people)
                for i in range(items)
                if generator.random() < kept
            ]
            if not answers:
                continue
            ours = measure_picks(picks_of(answers), n_resamples=FEW)
            try:
                theirs = AnnotationTask(answers, distance).alpha()
            except (ValueError, ZeroDivisionError):
                assert ours.undefined in {Undefined.ONE_PERSON, Undefined.NO_OVERLAP}
                undefined.append(ours.undefined)
                continue
            if ours.undefined is not None:
                # One answer everywhere, or on all items that two people share: nltk says 1.
                assert theirs == 1
                undefined.append(ours.undefined)
            else:
                assert is_same(ours, theirs)
        assert {Undefined.NO_OVERLAP, Undefined.ALL_SAME} <= set(undefined)
        assert len(undefined) < N_TABLES / 2

    def test_masi_distances_are_those_of_nltk(self) -> None:
        bits = np.arange(64)
        ours = masi_distances(bits)
        sets = [{number for number in range(6) if bit >> number & 1} for bit in bits]
        for one, first in enumerate(sets):
            for other, second in enumerate(sets):
                if first or second:  # nltk divides by nothing for two empty sets
                    assert ours[one, other] == pytest.approx(masi_distance(first, second))
        assert ours[0, 0] == 0

    def test_of_two_people_each_agrees_with_the_other_as_both_do(self) -> None:
        for table in tables(n_people=2, with_gaps=True, seed=5):
            verdicts = verdicts_of(table)
            together = measure_verdicts(verdicts, n_resamples=FEW).alpha
            for own in measure_people(verdicts, n_resamples=FEW).values():
                assert (own.value is None) == (together.value is None)
                if together.value is not None:
                    assert is_same(own, together.value)


class TestPooled:
    def test_several_rounds_are_as_one_of_all_their_items(self) -> None:
        first, _ = crowd(np.random.default_rng(1), n_items=40, error=0.1)
        second, _ = crowd(np.random.default_rng(2), n_items=60, error=0.3)
        both = Verdicts(
            np.concatenate([first.item, second.item + 40]),
            np.concatenate([first.person, second.person]),
            np.concatenate([first.candidate, second.candidate + 320]),
            np.concatenate([first.fits, second.fits]),
        )
        alone = measure_verdicts(both).alpha
        pooled = pool_alpha([resample_alpha(first, seed=1), resample_alpha(second, seed=2)])
        assert alone.value is not None
        assert is_same(pooled, alone.value)
        assert pooled.low == pytest.approx(alone.low, abs=0.02)
        assert pooled.high == pytest.approx(alone.high, abs=0.02)

    def test_without_overlap_or_variety_there_is_a_reason(self) -> None:
        alone = resample_alpha(verdicts_of(np.array([[1, 0, 1]], dtype=float)), seed=0)
        assert pool_alpha([alone]).undefined is Undefined.NO_OVERLAP
        alike = resample_alpha(verdicts_of(np.ones((2, 3))), seed=0)
        assert pool_alpha([alone, alike]).undefined is Undefined.ALL_SAME


class TestUndefined:
    @pytest.mark.parametrize(
        ("table", "reason"),
        [
            ([[np.nan, np.nan]], Undefined.NOTHING),
            ([[1, 0, 1]], Undefined.ONE_PERSON),
            ([[1, np.nan], [np.nan, 0]], Undefined.NO_OVERLAP),
            ([[1, 1], [1, 1]], Undefined.ALL_SAME),
            ([[0, 0, 1], [0, 0, np.nan]], Undefined.ALL_SAME),
        ],
    )
    def test_a_measure_without_a_value_has_a_reason(
        self, table: list[list[float]], reason: Undefined
    ) -> None:
        found = measure_verdicts(verdicts_of(np.array(table)), n_resamples=FEW)
        for measured in (found.alpha, found.fleiss, found.cohen):
            assert (measured.value, measured.low, measured.undefined) == (None, None, reason)

    def test_cohens_kappa_is_of_two_people(self) -> None:
        table = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 0]], dtype=float)
        assert measure_verdicts(verdicts_of(table)).cohen.undefined is Undefined.NOT_TWO

    def test_somebody_alone_on_their_items_agrees_with_nobody(self) -> None:
        table = np.array([[1, 0, np.nan], [1, 1, np.nan], [np.nan, np.nan, 1]])
        people = measure_people(verdicts_of(table, per_item=1))
        assert people[0].value is not None
        assert (people[2].value, people[2].undefined) == (None, Undefined.NO_OVERLAP)

    def test_picks_need_two_people_on_an_item(self) -> None:
        alone = [(0, 0, frozenset({1})), (0, 1, frozenset())]
        assert measure_picks(picks_of(alone)).undefined is Undefined.ONE_PERSON
        apart = [(0, 0, frozenset({1})), (1, 1, frozenset())]
        assert measure_picks(picks_of(apart)).undefined is Undefined.NO_OVERLAP

    def test_one_item_has_a_value_and_no_interval(self) -> None:
        found = measure_verdicts(verdicts_of(np.array([[1, 0, 1, 0], [1, 0, 0, 0]], dtype=float)))
        assert found.alpha.value is not None
        assert (found.alpha.low, found.alpha.high) == (None, None)


def crowd(
    generator: np.random.Generator, *, n_items: int, error: float | None, overlap: int = 3
) -> tuple[Verdicts, Picks]:
    """What `overlap` of ten people say of items of eight candidates, of which three fit.

    error: how often a verdict is the wrong one; None where people click at random.
    """
    item = np.repeat(np.arange(n_items), overlap)
    person = np.stack([generator.permutation(10)[:overlap] for _ in range(n_items)]).ravel()
    fits = np.argsort(generator.random((n_items, 8)), axis=1) < 3
    said = np.repeat(fits, overlap, axis=0)
    flipped = generator.random(said.shape) < (error or 0)
    said = generator.random(said.shape) < 0.4 if error is None else said ^ flipped
    verdicts = Verdicts(
        np.repeat(item, 8),
        np.repeat(person, 8),
        (item[:, None] * 8 + np.arange(8)).ravel(),
        said.ravel(),
    )
    return verdicts, Picks(item, person, said @ (1 << np.arange(8)))


class TestChance:
    def test_random_clicking_is_no_better_than_chance(self) -> None:
        """Over 40 rounds, alpha is 0 within its interval in 95 of 100, up to luck; the plain share
        of equal verdicts looks like half-way to good all the same."""
        n_inside, masi_inside = 0, 0
        for seed in range(40):
            verdicts, picks = crowd(np.random.default_rng(seed), n_items=60, error=None)
            found = measure_verdicts(verdicts, n_resamples=300)
            masi = measure_picks(picks, n_resamples=300)
            for measured in (found.alpha, masi):
                assert measured.low is not None
                assert measured.high is not None
            n_inside += found.alpha.low <= 0 <= found.alpha.high
            masi_inside += masi.low <= 0 <= masi.high
            assert found.share_same.value == pytest.approx(0.52, abs=0.05)
            assert found.share_by_chance == pytest.approx(0.52, abs=0.05)
        assert n_inside >= 34
        assert masi_inside >= 34

    def test_careful_people_are_far_better_than_chance(self) -> None:
        verdicts, picks = crowd(np.random.default_rng(0), n_items=200, error=0.05)
        alpha = measure_verdicts(verdicts).alpha
        # Two verdicts on a candidate are equal with 0.95² + 0.05² = 0.905.
        assert alpha.value == pytest.approx(0.80, abs=0.05)
        assert alpha.low is not None
        assert alpha.low > 0.7
        masi = measure_picks(picks)
        assert masi.low is not None
        assert masi.low > 0.4

    def test_who_clicks_at_random_stands_out(self) -> None:
        verdicts, _ = crowd(np.random.default_rng(1), n_items=200, error=0.05)
        random = np.random.default_rng(2).random(len(verdicts)) < 0.4
        fits = np.where(verdicts.person == 4, random, verdicts.fits)
        people = measure_people(
            Verdicts(verdicts.item, verdicts.person, verdicts.candidate, fits), n_resamples=300
        )
        others = [own.value for person, own in people.items() if person != 4]
        assert people[4].low is not None
        assert people[4].high is not None
        assert people[4].low < 0.1 < people[4].high + 0.1
        assert all(value is not None and value > people[4].high for value in others)

    def test_the_same_data_gives_the_same_interval(self) -> None:
        verdicts, picks = crowd(np.random.default_rng(3), n_items=30, error=0.2)
        first, again = (measure_verdicts(verdicts, n_resamples=100) for _ in range(2))
        assert astuple(first) == astuple(again)
        assert measure_picks(picks, n_resamples=100) == measure_picks(picks, n_resamples=100)
