"""Measures the worth of the loop on the demo: several seeds, and the two controls beside it.

    python -m benchmarks.loop --seeds 0 1 2 --rounds 3 --out benchmarks/results/loop.jsonl

Each (seed, control) is one `illume loop` on a project of its own in one ILLUME_HOME; a line of JSON
each, kept, so that a run that was stopped goes on. Prints a table of what is there.

permuted: the critic's verdicts are shuffled between candidates; it must not improve.
gold: training on all gold rationales of the train items; the upper line.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.kit.processes.programs import require_worker_packages
from benchmarks.support.cells import check_ended, read_entries, run_benchmark

CONTROLS = ("none", "permuted", "gold")
SCORES = (("fit", "test fit"), ("answer_accuracy", "accuracy"), ("rouge_l", "ROUGE-L"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--controls", nargs="+", choices=CONTROLS, default=list(CONTROLS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--scenes", type=int, default=400, help="scenes to train on")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/loop.jsonl"))
    parser.add_argument("--quick", action="store_true", help="one seed, one round, no controls")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.controls, arguments.rounds = [0], ["none"], 1
    require_worker_packages("This benchmark")
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = read_results(arguments.out)
    for seed in arguments.seeds:
        for control in arguments.controls:
            key = (seed, control, arguments.rounds, arguments.scenes)
            if key not in done:
                done[key] = run_loop(*key, n_workers=arguments.workers, out=arguments.out)
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[key]) + "\n")
    wanted = (arguments.rounds, arguments.scenes)
    print_table([entry for key, entry in sorted(done.items()) if key[2:] == wanted])


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def read_results(path: Path) -> dict[tuple[int, str, int, int], dict[str, Any]]:
    """Returns the loops that are done, by seed, control, rounds and scenes."""
    return {
        (entry["seed"], entry["control"], entry["n_rounds"], entry.get("n_scenes", 400)): entry
        for entry in read_entries(path)
    }


def run_loop(
    seed: int, control: str, n_rounds: int, n_scenes: int, *, n_workers: int, out: Path
) -> dict[str, Any]:
    """One `illume loop` on freshly rendered scenes, as a person would start it."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [
            *(sys.executable, "-m", "app.cli", "loop", f"loop-{control}-{seed}-{n_rounds}"),
            *("--demo", "--critic", "exact", "--rounds", str(n_rounds), "--control", control),
            *("--scenes", str(n_scenes)),
            *("--seed", str(seed), "--workers", str(n_workers), "--no-stop-early"),
            *("--json", str(figures)),
        ]
        check_ended(subprocess.run(command, check=False), out)
        entry: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return entry | {"n_rounds": n_rounds, "n_scenes": n_scenes}


def print_table(entries: list[dict[str, Any]]) -> None:
    table = Table("seed", "control", "round", "covered", "fitting draws", title="illume loop, demo")
    for _, title in SCORES:
        table.add_column(title)
    for name in ("CIDEr", "seconds"):
        table.add_column(name)
    for entry in entries:
        for number, round_ in enumerate(entry["rounds"]):
            test = round_["scores"].get("test", {})
            figures = round_.get("figures", {})
            draws = figures.get("critic_draws")
            table.add_row(
                str(entry["seed"]) if number == 0 else "",
                entry["control"] if number == 0 else "",
                "base" if round_["round"] == 0 else str(round_["round"]),
                f"{figures['n_covered']}/{figures['n_items']}" if "n_covered" in figures else "",
                f"{figures['critic_fitting_draws'] / draws:.1%}" if draws else "",
                *(describe(test.get(name)) for name, _ in (*SCORES, ("cider", "CIDEr"))),
                str(entry["seconds"]) if number == 0 else "",
            )
    Console(width=160).print(table)


def describe(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    if score["low"] is None:
        return f"{score['value']:.3f}"
    return f"{score['value']:.3f} ({score['low']:.3f}, {score['high']:.3f})"


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.loop")
