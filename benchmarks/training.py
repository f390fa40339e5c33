"""Training on image, question, answer and several rationales: ours against trl's SFTTrainer.

    python -m benchmarks.training --threads 1 --batches 1 2 4

A LLaVA with random weights (over 100 M parameters, 576 image tokens, float32, CPU), items with 1 to
4 rationales each, lengths spread as people's are. Rows of the table:

    trl        SFTTrainer at its best settings for this data; a row per rationale
    plain      ours, a row per rationale, pixels through the tower every time
    features   plain, with the features of the frozen tower made once per image
    prefixes   plain, with the rationales of an item behind one image, question and answer
    ours       both, as the worker trains

The unit of work is the same for all: a *token* is a token of the rows as they are written (image,
question, answer, opener, rationale: one row per rationale), without padding, so that work which a
method spares counts as done. rows/s says the same without the unit; tokens/CPU s counts processor
time, which others on the machine disturb less. Ratios are to the best of trl's batches. The first
step is left out of the times, for everybody; the first epoch, in which features are made, is not.
`equal loss`: the greatest difference to trl's (or, without it, to plain's) loss at any step.
`non-padding`: share of what passed through the language model that was no padding.

Each cell runs in a process of its own and is one JSON line, keyed by its configuration, so that a
run that was stopped goes on. Prints a table of what is there. --quick: a smaller model, 5 minutes.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.training_cell import METHODS, Cell

Result = dict[str, Any]  # {"cell": …, "figures": …}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--batches", type=int, nargs="+", default=[4], help="rows of one forward")
    parser.add_argument("--step", type=int, default=20, help="rows of one optimizer step")
    parser.add_argument("--items", type=int, default=16, help="rows are 2.5 times as many")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=768, help="of the language model")
    parser.add_argument("--layers", type=int, default=10, help="of the language model")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.jsonl"))
    parser.add_argument("--quick", action="store_true", help="a small model, few steps")
    arguments = parser.parse_args()
    names = ("step", "items", "epochs", "threads", "width", "layers", "seed")
    cell = Cell(method="", batch=0, **{name: getattr(arguments, name) for name in names})
    if arguments.quick:
        cell = replace(cell, width=256, layers=3, items=8, epochs=3)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    done = read_results(arguments.out)
    for batch in arguments.batches:
        for method in arguments.methods:
            wanted = replace(cell, method=method, batch=batch)
            if not any(entry["cell"] == asdict(wanted) for entry in done):
                done.append({"cell": asdict(wanted), "figures": run_cell(wanted)})
                with arguments.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(done[-1]) + "\n")
    print_tables(done)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


def read_results(path: Path) -> list[Result]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_cell(cell: Cell) -> Result:
    """The figures of one cell, by a process that does nothing else."""
    sys.stderr.write(f"{cell.method} …\n")
    command = [sys.executable, "-m", "benchmarks.training_cell", json.dumps(asdict(cell))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"The cell {cell} failed:\n{ended.stderr[-4000:]}")
    figures: Result = json.loads(ended.stdout.splitlines()[-1])
    return figures


def print_tables(results: list[Result]) -> None:
    """One table per configuration, its methods and batches as rows."""
    by_setting: dict[str, list[Result]] = {}
    for entry in results:
        setting = {n: value for n, value in entry["cell"].items() if n not in {"method", "batch"}}
        by_setting.setdefault(json.dumps(setting), []).append(entry)
    for entries in by_setting.values():
        entries.sort(key=lambda e: (METHODS.index(e["cell"]["method"]), e["cell"]["batch"]))
        Console(width=160).print(make_table(entries))


def make_table(entries: list[Result]) -> Table:
    cell, figures = entries[0]["cell"], entries[0]["figures"]
    title = (
        f"{figures['parameters'] / 1e6:.0f} M parameters, {figures['rows']} rows of "
        f"{figures['shortest_row']} to {figures['longest_row']} tokens, {cell['step']} of a step, "
        f"{cell['epochs']} epochs, {cell['threads']} threads"
    )
    table = Table(
        *("method", "batch", "tokens/s", "× trl", "tokens/CPU s", "× trl", "rows/s"),
        *("peak MB", "over model MB", "last loss", "equal loss", "non-padding", "seconds"),
        title=title,
    )
    of_trl = [entry["figures"] for entry in entries if entry["cell"]["method"] == "trl"]
    of_plain = [entry["figures"] for entry in entries if entry["cell"]["method"] == "plain"]
    for entry in entries:
        found = entry["figures"]
        table.add_row(
            entry["cell"]["method"],
            str(entry["cell"]["batch"]),
            f"{found['tokens_per_s']:.0f}",
            _ratio("tokens_per_s", found, of_trl),
            f"{found['tokens_per_cpu_s']:.0f}",
            _ratio("tokens_per_cpu_s", found, of_trl),
            f"{found['rows_per_s']:.3f}",
            str(found["memory_mb"]),
            str(found["memory_over_model_mb"]),
            f"{found['losses'][-1]:.4f}",
            f"{_difference(found, (of_trl or of_plain or [found])[0]):.5f}",
            f"{found['non_padding']:.1%}",
            str(found["seconds"]),
        )
    return table


def _ratio(name: str, found: Result, of_trl: list[Result]) -> str:
    """To the best of trl's batches."""
    return f"{found[name] / max(other[name] for other in of_trl):.2f}" if of_trl else ""


def _difference(found: Result, reference: Result) -> float:
    pairs = zip(found["losses"], reference["losses"], strict=True)
    return max(abs(one - other) for one, other in pairs)


if __name__ == "__main__":
    main()
