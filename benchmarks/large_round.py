"""How long an admin waits in a large round: its pages, its evidence, and its closing.

    python -m benchmarks.large_round             # 100,000 items of eight candidates
    python -m benchmarks.large_round --quick     # a small one, in a minute
    python -m benchmarks.large_round --screenshots build/looks

Twenty people have judged all items but the last ones, three each: 2.4 million verdicts. The
statement that counts votes for the policies is timed alone. Then a light worker gathers the
evidence, every page of the round is asked for in turn, and judging is closed while its page is
asked for. Web server, worker and database are real and share the machine's cores.

With --screenshots nothing is measured: the round is filled with pictures of rendered scenes,
scores, check items, a comparison and releases, and each page is photographed wide and narrow, in
the light and in the dark (needs Chromium and Playwright).
"""

import argparse
import json
import os
import sys
from pathlib import Path

from app.embedded.programs import postgres_programs, redis_program
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

AIMS = "aims: each page within 300 ms in 95 % of the cases, votes counted in 2 s"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000, help="items of the round")
    parser.add_argument("--people", type=int, default=20, help="people who judged it")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/large_round.jsonl"))
    parser.add_argument("--quick", action="store_true", help="1,000 items")
    parser.add_argument("--screenshots", type=Path, metavar="DIR", help="photograph the pages")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    postgres_programs(None)  # what is missing is said before anything is measured
    redis_program(None)
    if arguments.cell:
        from benchmarks.support.large_round.cell import measure

        print_result(measure(json.loads(arguments.cell)))
        return
    config: Config = {
        "items": 1_000 if arguments.quick else arguments.items,
        "annotators": arguments.people,
        "overlap": 3,
        "candidates": 8,
        "web": 1,
    }
    if arguments.screenshots:
        from benchmarks.support.large_round.looks import take_pictures

        taken = take_pictures(config, arguments.screenshots)
        sys.stdout.write(f"{len(taken)} pictures of pages in {arguments.screenshots}\n")
        return
    _print(config, Cells("benchmarks.large_round", arguments.out).measure(config))


def _print(config: Config, result: Result) -> None:
    print_table(
        f"pages of a round of {config['items']:,} items, {result['n_verdicts']:,} verdicts, on "
        f"{os.cpu_count()} cores\n{AIMS}",
        ("page", "answer", "median ms", "95 % ms", "KB"),
        [
            (page, str(of["status"]), f"{of['p50']:.0f}", f"{of['p95']:.0f}", f"{of['kb']:.0f}")
            for page, of in result["pages"].items()
        ],
    )
    print_table(
        "what takes longer",
        ("what", "seconds", "peak MB of the worker"),
        [
            ("votes counted for the policies", f"{result['count_seconds']:.2f}", ""),
            ("evidence", f"{result['assess_seconds']:.1f}", f"{result['assess_mb']:.0f}"),
            ("closing", f"{result['closing_seconds']:.1f}", f"{result['closing_mb']:.0f}"),
        ],
    )


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.large_round")
