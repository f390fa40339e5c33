"""Fast and always the same: people who click are found, and people who read fast are not.

The crowd is simulated; its rule was fixed before the seeds were run. A round has 12 people, of whom
three judge each of 240 items of eight candidates (12 words each, and 12 of question and answer).

- Careful: they read every word, at 300 to 450 words a minute, after a second at the picture, take
  0.3 s for a pick, and vary by a quarter; one verdict in twenty is flipped.
- Skimming: the same, but they read only half of the words, at 450 to 600 a minute.
- A clicker needs one second, gives or takes a half, and says always the same: the first place, all,
  or nothing. One who does so now and then is careful but for a third of the round, in a piece.

Of the candidates 30 % fit, or 2 %: then nothing fits on most items.
"""

from dataclasses import replace

import numpy as np
import pytest

from app.metrics.same_answers import ALL, NONE, Answers, Run, find_runs
from app.reading_time import SHORTEST_MS_PER_WORD

N_PEOPLE, N_ITEMS, OVERLAP, N_SHOWN, N_WORDS = 12, 240, 3, 8, 108
EVERYTHING = (1 << N_SHOWN) - 1
N_ROUNDS = 100
CLICKER = 0
SAYS = {"first": 1, "all": EVERYTHING, "none": 0}


def simulate(
    seed: int,
    *,
    fit_share: float,
    is_skimming: bool = False,
    says: str | None = None,
    is_now_and_then: bool = False,
) -> Answers:
    rng = np.random.default_rng(seed)
    fits = rng.random((N_ITEMS, N_SHOWN)) < fit_share
    item = np.repeat(np.arange(N_ITEMS), OVERLAP)
    person = np.concatenate(
        [rng.choice(N_PEOPLE, OVERLAP, replace=False) for _ in range(N_ITEMS)]
    ).astype(np.int64)
    n = len(item)
    said = fits[item] != (rng.random((n, N_SHOWN)) < 0.05)
    said = rng.permuted(said, axis=1)
    words_per_minute = rng.uniform(*((450, 600) if is_skimming else (300, 450)), N_PEOPLE)[person]
    read = N_WORDS / 2 if is_skimming else N_WORDS
    seconds = 1 + read / words_per_minute * 60 + 0.3 * said.sum(axis=1)
    seconds *= np.exp(rng.normal(0, 0.25, n))
    picked = (said * (1 << np.arange(N_SHOWN))).sum(axis=1)
    at = rng.permutation(n).astype(float)
    if says is not None:
        own = np.flatnonzero(person == CLICKER)
        if is_now_and_then:
            own = own[np.argsort(at[own])][: len(own) // 3]
        picked[own] = SAYS[says]
        seconds[own] = rng.uniform(0.5, 1.5, len(own))
    return Answers(
        person=person,
        item=item,
        at=at,
        n_shown=np.full(n, N_SHOWN),
        picked=picked,
        is_fast=seconds * 1000 < N_WORDS * SHORTEST_MS_PER_WORD,
    )


def named(runs: list[Run]) -> set[int]:
    return {run.person for run in runs}


@pytest.mark.parametrize("fit_share", [0.3, 0.02])
@pytest.mark.parametrize("is_skimming", [False, True])
def test_nobody_who_reads_is_named(fit_share: float, is_skimming: bool) -> None:
    crowds = [
        simulate(seed, fit_share=fit_share, is_skimming=is_skimming) for seed in range(N_ROUNDS)
    ]
    n_named = sum(len(named(find_runs(crowd))) for crowd in crowds)
    share_fast = np.mean([crowd.is_fast.mean() for crowd in crowds])
    how = "skim half of the words" if is_skimming else "read every word"
    print(  # noqa: T201 - the figures of docs/evidence.md
        f"{fit_share:.0%} fit, people {how}: {share_fast:.1%} of answers are fast, {n_named} of "
        f"{N_ROUNDS * N_PEOPLE:,} people named"
    )
    assert n_named == 0


@pytest.mark.parametrize("is_now_and_then", [False, True])
@pytest.mark.parametrize("says", SAYS)
def test_who_clicks_always_the_same_is_named(says: str, is_now_and_then: bool) -> None:
    found = [
        named(find_runs(simulate(seed, fit_share=0.3, says=says, is_now_and_then=is_now_and_then)))
        for seed in range(N_ROUNDS)
    ]
    n_found = sum(CLICKER in people for people in found)
    n_others = sum(len(people - {CLICKER}) for people in found)
    when = "for a third of the round" if is_now_and_then else "always"
    print(  # noqa: T201 - the figures of docs/evidence.md
        f"clicks “{says}” {when}: found in {n_found} of {N_ROUNDS} rounds, others named {n_others}"
    )
    assert n_found >= 95
    assert n_others == 0


def test_who_says_none_where_nearly_nothing_fits_is_not_told_apart() -> None:
    """Others say so of the same items, so nothing is said of answers that are likely right."""
    n_found = sum(bool(find_runs(simulate(seed, fit_share=0.0, says="none"))) for seed in range(20))
    assert n_found == 0


def test_a_run_tells_its_answers_in_order_and_its_pattern() -> None:
    crowd = simulate(0, fit_share=0.3, says="first")
    (run, *_) = find_runs(crowd)
    assert (run.person, run.pattern) == (CLICKER, 1)
    assert run.by_chance < 0.001
    assert (np.diff(crowd.at[run.answers]) > 0).all()
    assert (crowd.picked[run.answers] == 1).all()


def test_the_same_answers_are_no_run_where_they_took_their_time() -> None:
    crowd = simulate(0, fit_share=0.3, says="first")
    slow = replace(crowd, is_fast=np.zeros(len(crowd.item), dtype=bool))
    assert find_runs(slow) == []


@pytest.mark.parametrize(("n", "is_named"), [(7, False), (8, True)])
def test_a_short_run_is_no_run(n: int, is_named: bool) -> None:
    runs = find_runs(alone(picked=1, n=n))
    assert [run.pattern for run in runs] == ([1] if is_named else [])


@pytest.mark.parametrize(("picked", "pattern"), [(0, NONE), (EVERYTHING, ALL)])
def test_alone_all_or_none_needs_a_longer_run(picked: int, pattern: int) -> None:
    """Nobody else says how often that is right: a half is taken, which is a lot."""
    assert find_runs(alone(picked=picked, n=12)) == []
    (run,) = find_runs(alone(picked=picked, n=30))
    assert run.pattern == pattern


def test_two_candidates_of_which_one_is_picked_need_a_longer_run() -> None:
    few = alone(picked=1, n=12)
    assert find_runs(replace(few, n_shown=np.full(12, 2))) == []
    many = alone(picked=1, n=30)
    assert len(find_runs(replace(many, n_shown=np.full(30, 2)))) == 1


def test_nothing_judged_is_no_run() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    none = Answers(
        nothing, nothing, nothing.astype(float), nothing, nothing, nothing.astype(np.bool_)
    )
    assert find_runs(none) == []


def alone(*, picked: int, n: int) -> Answers:
    """Answers of one person, all of them fast and the same."""
    return Answers(
        person=np.zeros(n, dtype=np.int64),
        item=np.arange(n),
        at=np.arange(n).astype(float),
        n_shown=np.full(n, N_SHOWN),
        picked=np.full(n, picked),
        is_fast=np.ones(n, dtype=bool),
    )
