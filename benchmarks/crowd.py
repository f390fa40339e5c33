"""What each admission policy lets through of a simulated crowd: precision and recall.

    python -m benchmarks.crowd                     # seeds 0 to 4
    python -m benchmarks.crowd --noise 0.1 --overlap 5
    python -m benchmarks.crowd --quick             # one seed, a few items

Eleven people judge rendered scenes: eight are good and err now and then, two click at random, one
picks the first. What is right, the exact critic says; how the crowd behaves is written in
benchmarks/support/crowd.py. Precision: of what is admitted, the share that fits. Recall: of what
fits, the share that is admitted. Dawid–Skene from a probability of 0.5 and of 0.9 on, with what the
votes say alone and with the results of check items.
"""

import argparse
import json
from pathlib import Path

from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

COUNTED = ("any", "majority", "unanimous")
WEIGHED = {
    f"Dawid–Skene at {probability}{', checks' if is_checked else ''}": (probability, is_checked)
    for probability in (0.5, 0.9)
    for is_checked in (False, True)
}
"""By their names here: from which probability on, and whether check items are known."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--items", type=int, default=150)
    parser.add_argument("--overlap", type=int, default=3, help="people per item")
    parser.add_argument("--noise", type=float, default=0.05, help="flipped verdicts of good people")
    parser.add_argument("--checks", type=int, default=6, help="check items that everybody answers")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/crowd.jsonl"))
    parser.add_argument("--quick", action="store_true", help="one seed, 20 items")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    if arguments.cell:
        print_result(measure(json.loads(arguments.cell)))
        return
    if arguments.quick:
        arguments.seeds, arguments.items = [0], 20
    cells = Cells("benchmarks.crowd", arguments.out)
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
    """Returns, for each policy, the counts of what fits, what is admitted, and both."""
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
