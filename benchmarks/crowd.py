"""What each admission policy lets through of a simulated crowd: precision and recall.

    python -m benchmarks.crowd                     # seeds 0 to 4
    python -m benchmarks.crowd --train             # and what the loop makes of it: an hour or more
    python -m benchmarks.crowd --noise 0.1 --overlap 5
    python -m benchmarks.crowd --quick             # one seed, a few items

Eleven people judge rendered scenes: eight are good and err now and then, two click at random, one
picks the first. What is right, the exact critic says; how the crowd behaves is written in
benchmarks/support/crowd.py. Precision: of what is admitted, the share that fits. Recall: of what
fits, the share that is admitted. Dawid–Skene from a probability of 0.5 and of 0.9 on, with what the
votes say alone and with the results of check items.

With --train the crowd judges rounds of the demo's loop, and the policy decides what is trained on:
test fit after each round, by the rule in benchmarks/support/crowd_loop.py. One thread, a quarter of
an hour per seed.
"""

import argparse
import json
import statistics
from pathlib import Path

from app.kit.processes.programs import require_worker_packages
from benchmarks.strategies.intervals import Read, difference, over
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

COUNTED = ("any", "majority", "unanimous")
WEIGHED = {
    f"Dawid–Skene at {probability}{', checks' if is_checked else ''}": (probability, is_checked)
    for probability in (0.5, 0.9)
    for is_checked in (False, True)
}
"""By their names here: from which probability on, and whether check items are known."""
TRAINED = ("majority", "Dawid–Skene at 0.9", "Dawid–Skene at 0.5")
"""Policies whose loops are compared, the first with each of the others."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--items", type=int, default=150)
    parser.add_argument("--overlap", type=int, default=3, help="people per item")
    parser.add_argument("--noise", type=float, default=0.05, help="flipped verdicts of good people")
    parser.add_argument("--checks", type=int, default=6, help="check items that everybody answers")
    parser.add_argument("--train", action="store_true", help="train on what is admitted")
    parser.add_argument("--rounds", type=int, default=3, help="with --train")
    parser.add_argument("--scenes", type=int, default=200, help="with --train: to learn from")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/crowd.jsonl"))
    parser.add_argument("--quick", action="store_true", help="one seed, few items, one round")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    if arguments.cell:
        print_result(measure(json.loads(arguments.cell)))
        return
    if arguments.quick:
        arguments.seeds, arguments.items = [0], 20
        arguments.rounds, arguments.scenes = 1, 24
    cells = Cells("benchmarks.crowd", arguments.out)
    if arguments.train:
        require_worker_packages("Training on what a crowd said")
        print_trained(cells, arguments)
        return
    base = {
        "items": arguments.items, "overlap": arguments.overlap, "noise": arguments.noise,
        "checks": arguments.checks,
    }  # fmt: skip
    found = [cells.measure(base | {"seed": seed}) for seed in arguments.seeds]
    print_table(
        f"{arguments.items} items of 8 candidates, {arguments.overlap} of 11 people each, "
        f"{arguments.noise:.0%} of good people's verdicts flipped, {arguments.checks} check items\n"
        f"mean (least to most) of {len(found)} seeds",
        ("policy", "admitted", "that fit", "precision", "recall"),
        [_row(policy, [result[policy] for result in found]) for policy in (*COUNTED, *WEIGHED)],
    )


def measure(config: Config) -> Result:
    """Returns, for each policy, the counts of what fits, what is admitted, and both; of a cell with
    rounds, what its loop brought."""
    if "rounds" in config:
        from benchmarks.support.crowd_loop import run_loop

        return run_loop(config)
    import numpy as np

    from app.round_settings import AdmissionSettings
    from app.services.admission.policies import decide
    from benchmarks.support.crowd import simulate

    crowd = simulate(
        config["seed"], items=config["items"], overlap=config["overlap"], noise=config["noise"],
        checks=config["checks"],
    )  # fmt: skip
    policies = {name: ({"policy": name}, False) for name in COUNTED} | {
        name: ({"policy": "dawid_skene", "probability": probability}, is_checked)
        for name, (probability, is_checked) in WEIGHED.items()
    }
    result: Result = {}
    for name, (values, is_checked) in policies.items():
        settings = AdmissionSettings.model_validate(values)
        checked = crowd.checked if is_checked else None
        is_admitted = decide(crowd.matrix, settings, checked=checked).is_admitted
        result[name] = {
            "n_fitting": int(np.count_nonzero(crowd.fits)),
            "n_admitted": int(np.count_nonzero(is_admitted)),
            "n_both": int(np.count_nonzero(is_admitted & crowd.fits)),
        }
    return result


def print_trained(cells: Cells, arguments: argparse.Namespace) -> None:
    """Train with each policy on each seed, and print what the rounds brought."""
    base = {
        "rounds": arguments.rounds, "scenes": arguments.scenes, "overlap": arguments.overlap,
        "noise": arguments.noise,
    }  # fmt: skip
    found: dict[str, list[Result]] = {policy: [] for policy in TRAINED}
    for seed in arguments.seeds:
        for policy in TRAINED:
            found[policy].append(cells.measure(base | {"seed": seed, "policy": policy}))
    first = found[TRAINED[0]]
    rounds = range(1, arguments.rounds + 1)
    print_table(
        f"{arguments.scenes} scenes to learn from, {arguments.overlap} of 11 people each, "
        f"{arguments.noise:.0%} of good people's verdicts flipped\n"
        f"test fit by the exact critic on {first[0]['n_test']} items, mean of {len(first)} seeds ± "
        "half the interval of 95 %",
        ("policy", "base", *(f"round {number}" for number in rounds), "against majority"),
        [(policy, *_fit_row(results, first)) for policy, results in found.items()],
    )
    print_table(
        "what was admitted, all rounds together; accuracy of answers after the last",
        ("policy", "admitted", "precision", "recall", "accuracy"),
        [(policy, *_admitted_row(results)) for policy, results in found.items()],
    )


def _fit_row(results: list[Result], first: list[Result]) -> list[str]:
    """Returns test fit of the base and after each round, and the difference after the last."""
    by_round = [over(results, _fit_after(number)) for number in range(len(first[0]["fit"]))]
    pairs = list(zip(results, first, strict=True))
    return [*by_round, "" if results is first else difference(pairs, _fit_after(-1))]


def _fit_after(number: int) -> Read:
    return lambda result: float(result["fit"][number])


def _admitted_row(results: list[Result]) -> list[str]:
    return [
        f"{statistics.fmean(_total(result, 'n_admitted') for result in results):,.0f}",
        over(results, lambda result: _share(result, "n_admitted")),
        over(results, lambda result: _share(result, "n_fitting")),
        over(results, lambda result: float(result["accuracy"][-1])),
    ]


def _total(result: Result, name: str) -> int:
    return sum(int(entry[name]) for entry in result["admitted"])


def _share(result: Result, of: str) -> float:
    return _total(result, "n_both") / max(_total(result, of), 1)


def _row(policy: str, found: list[dict[str, int]]) -> tuple[str, ...]:
    precisions = [entry["n_both"] / max(entry["n_admitted"], 1) for entry in found]
    recalls = [entry["n_both"] / max(entry["n_fitting"], 1) for entry in found]
    admitted = sum(entry["n_admitted"] for entry in found) / len(found)
    fitting = sum(entry["n_fitting"] for entry in found) / len(found)
    return (
        policy, f"{admitted:,.0f}", f"{fitting:,.0f}", _spread(precisions), _spread(recalls),
    )  # fmt: skip


def _spread(shares: list[float]) -> str:
    mean = sum(shares) / len(shares)
    return f"{mean:.1%} ({min(shares):.1%} to {max(shares):.1%})"


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.crowd")
