"""What the strategies answer and explain on scenes, beside their controls, over several seeds.

    python -m benchmarks.strategies
    python -m benchmarks.strategies --only monologue
    python -m benchmarks.strategies --only self_questioning
    python -m benchmarks.strategies --only perception

Without `--only`, all strategies are taught the same lessons and stand side by side; with it, one
stands beside its controls. The model is the demo's; held-out questions are of seven kinds, three of
which take two looks. Cells (an arm of a seed) are kept in a file and in a folder of models: what
was stopped goes on, and a cell that is there is not measured again. `--quick` takes one small seed.
`--at-once N` measures N cells at a time, each on its threads; their seconds are then those of a
busy machine, and what compares speeds is measured alone in the end.
What each arm is: plan.py of side_by_side, of self_questioning, of perception, and, of the
monologue, the one beside these folders.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.kit.processes.programs import require_worker_packages
from benchmarks.strategies.perception.plan import plan as plan_perception
from benchmarks.strategies.perception.tables import print_perception
from benchmarks.strategies.plan import plan as plan_monologue
from benchmarks.strategies.self_questioning.plan import plan as plan_self_questioning
from benchmarks.strategies.self_questioning.tables import print_self_questioning
from benchmarks.strategies.side_by_side.plan import NAME as SIDE_BY_SIDE
from benchmarks.strategies.side_by_side.plan import plan as plan_side_by_side
from benchmarks.strategies.side_by_side.tables import print_side_by_side
from benchmarks.strategies.tables import Measured, print_monologue
from benchmarks.support.cells import Cells, Config, Result, print_result, run_benchmark
from benchmarks.support.origin import origin

STRATEGIES = ("monologue", "self_questioning", "perception")
SPEED = "speed"
"""The arm that compares speeds."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=STRATEGIES, help="one, beside its controls")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--arms", nargs="+", help="measure these only")
    parser.add_argument("--threads", type=int, default=1, help="of each cell")
    parser.add_argument("--at-once", type=int, default=1, help="cells to measure at a time")
    parser.add_argument("--quick", action="store_true", help="one seed, small sizes")
    parser.add_argument("--show", action="store_true", help="print what is there, measure nothing")
    parser.add_argument("--out", type=Path, help="docs/figures/NAME.jsonl otherwise")
    parser.add_argument("--models", type=Path, default=Path("benchmarks/results/strategies"))
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    require_worker_packages("This benchmark")
    if arguments.cell:
        config = json.loads(arguments.cell)
        result = _measure_cell(config, arguments.models, arguments.threads)
        print_result(result | origin(arguments.threads))
        return
    scale = "quick" if arguments.quick else "full"
    wanted_plan = arguments.only or SIDE_BY_SIDE
    out = arguments.out or Path(f"docs/figures/{wanted_plan}.jsonl")
    if arguments.quick:
        out = Path("benchmarks/results/strategies-quick.jsonl")
    options = ("--models", str(arguments.models), "--threads", str(arguments.threads))
    cells = Cells("benchmarks.strategies", out, options)
    seeds = arguments.seeds[:1] if arguments.quick else arguments.seeds
    plan, show = _PLANS[wanted_plan]
    wanted = [
        config
        for seed in seeds
        for config in plan(scale, seed)
        if arguments.arms is None or config["arm"] in arguments.arms
    ]
    if arguments.at_once < 1:
        parser.error("--at-once is at least 1")
    if not arguments.show:
        alone = [config for config in wanted if config["arm"] == SPEED]
        cells.measure_all([one for one in wanted if one not in alone], arguments.at_once)
        cells.measure_all(alone)
    found = ((config, cells.find(config)) for config in wanted)
    show([(config, result) for config, result in found if result is not None])


_PLANS: Mapping[
    str, tuple[Callable[[str, int], list[Config]], Callable[[Sequence[Measured]], None]]
]
_PLANS = {
    "monologue": (plan_monologue, print_monologue),
    "self_questioning": (plan_self_questioning, print_self_questioning),
    "perception": (plan_perception, print_perception),
    SIDE_BY_SIDE: (plan_side_by_side, print_side_by_side),
}


def _measure_cell(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; torch is loaded by what measures it."""
    if config.get("strategy") == "self_questioning":
        from benchmarks.strategies.self_questioning.arms import measure as measure_asking

        return measure_asking(config, folder, threads)
    if config.get("strategy") == "perception":
        from benchmarks.strategies.perception.arms import measure as measure_perception

        return measure_perception(config, folder, threads)
    if config.get("strategy") == SIDE_BY_SIDE:
        from benchmarks.strategies.side_by_side.arms import measure as measure_side_by_side

        return measure_side_by_side(config, folder, threads)
    from benchmarks.strategies.arms import measure

    return measure(config, folder, threads)


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.strategies")
