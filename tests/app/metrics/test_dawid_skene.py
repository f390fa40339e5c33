"""Dawid and Skene's method: the reference package's values, a case by hand, and odd inputs."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from crowdkit.aggregation import DawidSkene

from app.metrics.dawid_skene import Estimate, RightOfAsked, Votes, dawid_skene


def votes_of(*said: tuple[int, int, bool], n_candidates: int = 0, n_people: int = 0) -> Votes:
    """Votes of (candidate, person, fits)."""
    candidate, person, fits = (np.array(column) for column in zip(*said, strict=True))
    return Votes(
        candidate,
        person,
        fits.astype(bool),
        n_candidates or int(candidate.max()) + 1,
        n_people or int(person.max()) + 1,
    )


def crowd(seed: int, *, n_candidates: int = 60, n_people: int = 7) -> Votes:
    """Votes of people who err by different shares, each on some of the candidates."""
    random = np.random.default_rng(seed)
    fits = random.random(n_candidates) < random.uniform(0.1, 0.9)
    right = random.uniform(0.35, 1.0, size=n_people)
    votes = []
    for candidate in range(n_candidates):
        judges = random.permutation(n_people)[: random.integers(1, n_people + 1)]
        for person in judges:
            is_right = random.random() < right[person]
            votes.append((candidate, int(person), bool(fits[candidate]) == is_right))
    return votes_of(*votes, n_candidates=n_candidates, n_people=n_people)


def reference(votes: Votes, n_iterations: int) -> tuple[Any, Any]:
    """Returns crowd-kit's probabilities and its table of what people say."""
    table = pd.DataFrame({"task": votes.candidate, "worker": votes.person, "label": votes.fits * 1})
    with warnings.catch_warnings(action="ignore"):  # its calls of pandas are of an older year
        model = DawidSkene(n_iter=n_iterations, tol=-np.inf).fit(table)
    return model.probas_, model.errors_


@pytest.mark.parametrize("n_iterations", [1, 5, 40])
@pytest.mark.parametrize("seed", range(8))
def test_it_is_equal_to_the_reference_package(seed: int, n_iterations: int) -> None:
    votes = crowd(seed)
    ours = dawid_skene(votes, max_iterations=n_iterations, tolerance=-1)
    theirs, errors = reference(votes, n_iterations)
    assert ours.n_iterations == n_iterations
    expected = theirs.reindex(range(votes.n_candidates))[1].to_numpy()
    np.testing.assert_allclose(ours.probability, expected, rtol=0, atol=1e-9)
    for person in range(votes.n_people):
        if (person, 1) in errors.index:
            assert ours.sensitivity[person] == pytest.approx(errors.loc[person, 1][1], abs=1e-9)
        if (person, 0) in errors.index:
            assert ours.specificity[person] == pytest.approx(errors.loc[person, 0][0], abs=1e-9)


def test_what_is_known_is_counted_beside_the_votes() -> None:
    # Two people, two candidates. Both say that the first fits; of the second only person 0 does.
    votes = votes_of((0, 0, True), (0, 1, True), (1, 0, True), (1, 1, False))
    # Known of everybody: 3 of 4 fitting ones right, 3 of 4 others; 1 of 2 candidates fits.
    found = dawid_skene(
        votes, known=RightOfAsked(3, 4, 3, 4), fitting_known=(1, 2), max_iterations=1
    )
    # By hand. Start: 1 and 1/2. Share (1.5 + 1) / (2 + 2) = 5/8.
    # Person 0 said "fits" of both: sensitivity (1.5 + 3) / (1.5 + 4) = 9/11,
    #   and of the others (0.5 votes): says "fits" (0.5 + 1) / (0.5 + 4) = 1/3.
    # Person 1: fitting 1 of 1.5 said "fits": (1 + 3) / (1.5 + 4) = 8/11; others 1 / 4.5 = 2/9.
    # First: 5/8 · 9/11 · 8/11 against 3/8 · 1/3 · 2/9; second: with 3/11 and 7/9 instead.
    first, first_other = 5 / 8 * 9 / 11 * 8 / 11, 3 / 8 * 1 / 3 * 2 / 9
    second, second_other = 5 / 8 * 9 / 11 * 3 / 11, 3 / 8 * 1 / 3 * 7 / 9
    p = first / (first + first_other), second / (second + second_other)
    assert found.probability == pytest.approx(p)
    # The estimates that follow are made of these probabilities in the same way.
    fitting = p[0] + p[1]
    assert found.sensitivity[0] == pytest.approx((fitting + 3) / (fitting + 4))
    assert found.sensitivity[1] == pytest.approx((p[0] + 3) / (fitting + 4))
    assert found.specificity[1] == pytest.approx((1 - p[1] + 3) / (2 - fitting + 4))
    assert found.share_fitting == pytest.approx((fitting + 1) / 4)


def test_who_failed_the_checks_counts_for_less() -> None:
    votes = votes_of((0, 0, True), (0, 1, False), (1, 0, False), (1, 1, True))
    trusted = RightOfAsked(
        np.array([20.0, 10.0]), np.array([20.0, 20.0]), np.array([20.0, 10.0]), np.array([20.0] * 2)
    )
    found = dawid_skene(votes, known=trusted)
    assert found.probability[0] > 0.9
    assert found.probability[1] < 0.1


def test_one_who_says_the_opposite_of_all_others_is_found() -> None:
    random = np.random.default_rng(0)
    fits = random.random(200) < 0.4
    said = [
        (candidate, person, bool(fits[candidate]) != (person == 3))
        for candidate in range(200)
        for person in range(4)
    ]
    found = dawid_skene(votes_of(*said))
    assert found.sensitivity == pytest.approx([1, 1, 1, 0], abs=1e-6)
    assert ((found.probability > 0.5) == fits).all()


class TestOddInputs:
    def test_nobody_voted(self) -> None:
        nothing = np.array([], dtype=np.int64)
        found = dawid_skene(Votes(nothing, nothing, nothing.astype(bool), 2, 1))
        assert found.probability == pytest.approx([0.5, 0.5])
        assert np.isnan(found.sensitivity).all()
        assert found.log_likelihood == 0

    def test_a_candidate_without_votes_has_the_share_of_the_others(self) -> None:
        found = dawid_skene(votes_of((0, 0, True), (1, 0, False), n_candidates=3, n_people=2))
        assert found.probability[2] == found.share_fitting == pytest.approx(0.5)
        assert np.isnan(found.specificity[1])

    def test_one_person_is_believed(self) -> None:
        found = dawid_skene(votes_of((0, 0, True), (1, 0, False), (2, 0, True)))
        assert found.probability == pytest.approx([1, 0, 1], abs=1e-6)

    @pytest.mark.parametrize("fits", [True, False])
    def test_everybody_says_the_same(self, fits: bool) -> None:
        found = dawid_skene(votes_of(*((c, p, fits) for c in range(4) for p in range(3))))
        assert found.probability == pytest.approx([1.0 if fits else 0.0] * 4, abs=1e-6)
        assert_is_sound(found)

    def test_numbers_that_are_not_there_are_refused(self) -> None:
        with pytest.raises(ValueError, match="person that is not among the 1"):
            dawid_skene(votes_of((0, 1, True), n_people=1))
        with pytest.raises(ValueError, match="no more can be right"):
            dawid_skene(votes_of((0, 0, True)), known=RightOfAsked(3, 2))


@pytest.mark.parametrize("seed", range(5))
def test_it_ends_by_itself_and_stays_within_bounds(seed: int) -> None:
    found = dawid_skene(crowd(seed), known=RightOfAsked(8, 10, 8, 10), max_iterations=1000)
    assert found.n_iterations < 1000
    assert_is_sound(found)


def assert_is_sound(found: Estimate) -> None:
    for shares in (found.probability, found.sensitivity, found.specificity):
        known = shares[~np.isnan(shares)]
        assert ((known >= 0) & (known <= 1)).all()
    assert found.log_likelihood <= 0
