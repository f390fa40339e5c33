"""Whom check items find in a simulated crowd, by their share and by how much good people err.

    python -m benchmarks.checks

Eleven people are handed 40 items each: eight are good, two click at random, one picks only the
first (benchmarks/support/crowd.py). When a check item is due follows from the round's key, as for
people. Each has eight candidates, of which at least two fit and two do not.

The rule, written down before the seeds were run: who is found is whose whole 95 % interval lies
below a score of 0.5. A seed is right where the three are found, and nobody else.
"""

import argparse
import random

from app.check_score import CheckCounts, score_checks
from app.models import Round
from app.services.judging.checks import count_due
from benchmarks.support.cells import print_table, run_benchmark
from benchmarks.support.crowd import GOOD, N_PEOPLE, draw_items, say

FLOOR = 0.5
N_ITEMS = 40
SHARES = (0.05, 0.1, 0.15)
NOISES = (0.05, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="so many crowds, from seed 0 on")
    n_seeds = parser.parse_args().seeds
    rows = []
    for noise in NOISES:
        for share in SHARES:
            found = [find_bad(seed, share, noise) for seed in range(n_seeds)]
            n_right = sum(one == set(range(len(GOOD), N_PEOPLE)) for one in found)
            n_bad = sum(len(one - set(GOOD)) for one in found)
            n_good = sum(len(one & set(GOOD)) for one in found)
            rows.append(
                (
                    f"{share:.2f}",
                    f"{noise:.0%}",
                    f"{n_right} of {n_seeds}",
                    f"{n_bad} of {n_seeds * (N_PEOPLE - len(GOOD))}",
                    f"{n_good} of {n_seeds * len(GOOD)}",
                )
            )
    print_table(
        f"{N_ITEMS} items each; found is who is surely below {FLOOR}",
        ("share", "good people err", "seeds that are right", "bad found", "good accused"),
        rows,
    )


def find_bad(seed: int, share: float, noise: float) -> set[int]:
    """Returns the people of a crowd whose score is surely below the floor."""
    rng = random.Random(seed)
    round_ = Round(order_key=f"crowd {seed}", settings={})
    pool = draw_items(rng, 12, is_mixed=True)
    found = set()
    for person in range(N_PEOPLE):
        n_checks = count_due(round_, person, N_ITEMS - 1, share)
        counts = [0, 0, 0, 0]
        for truth in rng.sample(pool, n_checks):
            for fits, says in zip(truth, say(person, truth, noise, rng), strict=True):
                counts[0] += fits and says
                counts[1] += fits
                counts[2] += not fits and not says
                counts[3] += not fits
        score = score_checks(CheckCounts(n_checks, *counts))
        if score is not None and score.is_surely_below(FLOOR):
            found.add(person)
    return found


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.checks")
