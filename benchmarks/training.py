"""Training on image, question, answer and several rationales: ours against trl's SFTTrainer.

    python -m benchmarks.training --threads 2

A LLaVA with random weights (benchmarks/support/llava.py: over 100 M parameters, 576 image tokens),
float32, on a CPU, items with 1 to 4 rationales each, lengths spread as people's are. Rows of the
table:

    trl          SFTTrainer at its best settings for this data; a row per rationale
    trl_compact  the same, with a head that skips tokens that are not learned, as on GPUs
    plain        ours, a row per rationale, pixels through the tower every time
    features     plain, with the features of the frozen tower made once per image
    prefixes     plain, with the rationales of an item behind one image, question and answer
    ours         both, as the worker trains

The unit of work is the same for all: a *token* is a token of the rows as they are written (image,
question, answer, opener, rationale: one row per rationale), without padding, so that work which a
method spares counts as done. tokens/CPU s counts processor time, which others on the machine
disturb less. TFLOP/s counts what did pass through the language model. Ratios are to the best of
trl's rows. The first step is left out of the times, for everybody; the first epoch, in which
features are made, is not.
`equal loss`: the greatest difference to trl's (or, without it, to plain's) loss at any step.
`non-padding`: share of what passed through the language model that was no padding.

Each cell runs in a process of its own and is one JSON line, keyed by its configuration, so that a
run that was stopped goes on. Prints a table of what is there. --quick: a smaller model, without the
slower of trl's rows.
On one H200 (the share of the peak is that of dense bfloat16):

    python -m benchmarks.training --model 7b --device cuda --dtype bfloat16 --items 64 \\
        --batches 1 4 20 --peak-tflops 989
"""

import argparse
import json
from pathlib import Path

from app.kit.processes.programs import require_packages, require_worker_packages
from benchmarks.support.cells import (
    DTYPES,
    MODELS_FOLDER_HELP,
    Cells,
    Config,
    Result,
    folder_option,
    print_result,
    print_table,
    run_benchmark,
)

OURS = ("plain", "features", "prefixes", "ours")
METHODS = ("trl", "trl_compact", *OURS)
MODELS = ("llava", "7b")  # of benchmarks/support/llava.py; --quick has its own


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4], help="rows of a forward")
    parser.add_argument("--step", type=int, default=20, help="rows of one optimizer step")
    parser.add_argument("--items", type=int, default=16, help="rows are 2.5 times as many")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", choices=MODELS, default="llava")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--peak-tflops", type=float, help="what the device can do at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/training.jsonl"))
    parser.add_argument("--quick", action="store_true", help="a small model, few steps")
    parser.add_argument("--models-folder", type=Path, help=MODELS_FOLDER_HELP)
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    require_worker_packages("This benchmark")
    if arguments.cell:
        from benchmarks.support.training_cell import Cell, measure

        print_result(measure(Cell(**json.loads(arguments.cell)), arguments.models_folder))
        return
    names = ("model", "step", "items", "epochs", "threads", "device", "dtype", "seed")
    setting: Config = {name: getattr(arguments, name) for name in names}
    batches = arguments.batches
    if arguments.quick:
        setting |= {"model": "small", "items": 8, "epochs": 3}
        batches = [4]
        arguments.methods = [name for name in arguments.methods if name != "trl"]
    if set(arguments.methods) - set(OURS):
        require_packages(
            ("trl",),
            who="The comparison",
            how="pip install -c constraints.txt '.[benchmarks]' (or leave it out: "
            f"--methods {' '.join(OURS)})",
        )
    cells = Cells("benchmarks.training", arguments.out, folder_option(arguments.models_folder))
    entries = [
        config | cells.measure(config)
        for method in METHODS
        if method in arguments.methods
        for config in (setting | {"method": method, "batch": batch} for batch in batches)
    ]
    print_entries(entries, arguments.peak_tflops)


def print_entries(entries: list[Result], peak_tflops: float | None) -> None:
    first = entries[0]
    title = (
        f"{first['parameters'] / 1e6:.0f} M parameters, {first['rows']} rows of "
        f"{first['shortest_row']} to {first['longest_row']} tokens, {first['step']} of a step, "
        f"{first['epochs']} epochs, {first['device']}, {first['dtype']}, "
        f"{first['threads']} threads"
    )
    columns = (
        *("method", "batch", "tokens/s", "x trl", "tokens/CPU s", "x trl", "TFLOP/s"),
        *("peak MB", "over model MB", "last loss", "equal loss", "non-padding", "seconds"),
    )
    of_trl = [entry for entry in entries if entry["method"].startswith("trl")]
    of_plain = [entry for entry in entries if entry["method"] == "plain"]
    reference = (of_trl or of_plain or entries)[0]
    rows = [
        (
            entry["method"],
            str(entry["batch"]),
            f"{entry['tokens_per_s']:.0f}",
            _ratio("tokens_per_s", entry, of_trl),
            f"{entry['tokens_per_cpu_s']:.0f}",
            _ratio("tokens_per_cpu_s", entry, of_trl),
            f"{entry['tflops']:.3g}"
            + (f" ({entry['tflops'] / peak_tflops:.0%})" if peak_tflops else ""),
            str(entry["memory_mb"]),
            str(entry["memory_over_model_mb"]),
            f"{entry['losses'][-1]:.4f}",
            f"{_difference(entry, reference):.5f}",
            f"{entry['non_padding']:.1%}",
            str(entry["seconds"]),
        )
        for entry in entries
    ]
    print_table(title, columns, rows)


def _ratio(name: str, entry: Result, of_trl: list[Result]) -> str:
    """To the best of trl's rows."""
    return f"{entry[name] / max(other[name] for other in of_trl):.2f}" if of_trl else ""


def _difference(entry: Result, reference: Result) -> float:
    pairs = zip(entry["losses"], reference["losses"], strict=True)
    return max(abs(one - other) for one, other in pairs)


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.training")
