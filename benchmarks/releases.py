"""Releases: how many rows a second are made and written, and how much memory that takes.

    python -m benchmarks.releases                       # 250,000 and 1,000,000 verdicts
    python -m benchmarks.releases --verdicts 1000000    # one size
    python -m benchmarks.releases --quick               # a small one, in a minute

A round in which three of twenty people judged each item of eight candidates, on 1,000 pictures, is
made into a release and written to zips, each step in the same process. Memory is the most that the
process held during a step, Python and its libraries included (Linux tells it).
"""

import argparse
import json
import os
from pathlib import Path

from app.embedded.programs import postgres_programs, redis_program
from benchmarks.support.cells import Cells, Result, print_result, print_table, run_benchmark

SIZES = (250_000, 1_000_000)
FILES = ("jsonl", "huggingface", "parquet", "llava", "preference-policy", "kto-policy")


def main() -> None:
    """Measures what is not measured yet, and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--verdicts", type=int, nargs="+", default=SIZES, help="of the round")
    parser.add_argument("--files", nargs="+", default=FILES, help="what is written")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/releases.jsonl"))
    parser.add_argument("--quick", action="store_true", help="one small cell")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    postgres_programs(None)  # what is missing is said before anything is measured
    redis_program(None)
    if arguments.cell:
        from benchmarks.support.release_cell import measure

        print_result(measure(json.loads(arguments.cell)))
        return
    cells = Cells("benchmarks.releases", arguments.out)
    sizes = (5_000,) if arguments.quick else arguments.verdicts
    rows = []
    for size in sizes:
        result = cells.measure({"verdicts": size, "files": list(arguments.files)})
        rows += [_row(result, name) for name in result["steps"]]
    columns = ("verdicts", "rows", "step", "seconds", "rows/s", "peak MB", "file MB")
    print_table(f"releases, {os.cpu_count()} cores", columns, rows)


def _row(result: Result, name: str) -> tuple[str, ...]:
    step = result["steps"][name]
    return (
        f"{result['verdicts']:,}",
        f"{result['rows']:,}",
        name,
        f"{step['seconds']:.1f}",
        f"{result['rows'] / step['seconds']:,.0f}",
        f"{step['peak_mb']:.0f}",
        f"{step['mb']:.1f}" if "mb" in step else "–",
    )


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.releases")
