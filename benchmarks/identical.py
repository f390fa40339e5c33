"""Whether a text depends on what it is decoded with: the same draws at several batch sizes.

    python -m benchmarks.identical --draws 50000

Draws rationales of the demo model (float32, CPU) for scenes that its recipe never shows, at five
temperatures, once per number of rows decoded together, and prints the share of draws whose text is
the same at all sizes. Floating point is the only thing that may differ; aim: 99.99 %.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from app.kit.processes.programs import require_worker_packages
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

BATCH_ROWS = (256, 100, 33)
TEMPERATURES = (0.01, 0.1, 0.3, 0.6, 0.9)
N_SAMPLES = 5


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=50_000)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(BATCH_ROWS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/identical.jsonl"))
    parser.add_argument("--quick", action="store_true", help="2,500 draws")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    require_worker_packages("This benchmark")
    if arguments.cell:
        print_result(measure(json.loads(arguments.cell)))
        return
    config: Config = {
        "n_draws": 2_500 if arguments.quick else arguments.draws,
        "sizes": arguments.sizes,
        "threads": arguments.threads,
    }
    result = Cells("benchmarks.identical", arguments.out).measure(config)
    rows = [
        (
            f"{result['n_draws']:,}",
            ", ".join(str(size) for size in config["sizes"]),
            f"{result['n_distinct']:,}",
            str(result["n_different"]),
            f"{1 - result['n_different'] / result['n_draws']:.4%}",
            f"{result['seconds']:.0f}",
        )
    ]
    columns = ("draws", "rows together", "distinct texts", "differ", "identical", "seconds")
    print_table("texts of the same draws, float32 on a CPU", columns, rows)


def measure(config: Config) -> Result:
    import torch

    from benchmarks.sampling import demo_items
    from worker.host.models import DEMO_CHECKPOINT
    from worker.ml.model.loading import load_vlm
    from worker.ml.sampling.generate import sample
    from worker.ml.types import Draw, Prompt, SampleConfig

    torch.set_num_threads(config["threads"])
    per_item = len(TEMPERATURES) * N_SAMPLES
    n_items = -(-config["n_draws"] // per_item)
    vlm = load_vlm(str(DEMO_CHECKPOINT), device="cpu", dtype="float32")
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        images, texts = demo_items(Path(name), n_items, is_held_out=True)
        draws = [
            Draw(Prompt(image, question, answer, ", seeing that"), temperature, seed=number)
            for image, (question, answer) in zip(images, texts, strict=True)
            for temperature in TEMPERATURES
            for number in range(N_SAMPLES)
        ]
        found = [
            [s.text for s in sample(vlm, draws, SampleConfig(max_new_tokens=64, batch_rows=size))]
            for size in config["sizes"]
        ]
    return {
        "n_draws": len(draws),
        "n_distinct": len(set(found[0])),
        "n_different": sum(len(set(same)) > 1 for same in zip(*found, strict=True)),
        "seconds": time.perf_counter() - started,
    }


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.identical")
