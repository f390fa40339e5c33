"""Closing a round: how long the last people wait, and how long and how much memory the job takes.

    python -m benchmarks.closing                   # 10,000 and 100,000 items
    python -m benchmarks.closing --items 100000    # one size
    python -m benchmarks.closing --quick           # a small one, in a minute

A round whose items are all judged but for the last ones (overlap 1, three candidates each) is
judged to its end over HTTP by several people at once. Then people answer in another project's
round while a light worker closes this one. Web server, worker, database and people are real and
share the machine's cores. In cells with a death the worker's process is killed in the middle.

Each cell ends with a count in the database: what fits is admitted, once, and the round trains.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path

from app.embedded.programs import postgres_programs, redis_program
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

SIZES = (10_000, 100_000)
AIMS = (
    "aims at 100,000 items: 95 % of the last answers, and of those meanwhile, within 300 ms; "
    "the page within 500 ms; closed within 60 s; memory as with 10,000"
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, nargs="+", default=SIZES, help="items of the round")
    parser.add_argument("--people", type=int, default=8, help="annotators at once")
    parser.add_argument("--web", type=int, default=2, help="web processes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/closing.jsonl"))
    parser.add_argument("--quick", action="store_true", help="one small cell")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    postgres_programs(None)  # what is missing is said before anything is measured
    redis_program(None)
    if arguments.cell:
        from benchmarks.support.closing_cell import measure

        print_result(measure(json.loads(arguments.cell)))
        return
    cells = Cells("benchmarks.closing", arguments.out)
    sizes = (1_000,) if arguments.quick else arguments.items
    rows = [
        _row(config, cells.measure(config))
        for config in configs(sizes, arguments.people, arguments.web, arguments.quick)
    ]
    columns = (
        "items", "worker", "last answers ms", "answers meanwhile ms", "closing page ms",
        "closed in s", "peak MB", "steps seen", "admitted", "rows to train on",
    )  # fmt: skip
    title = (
        f"closing, {arguments.people} people, {arguments.web} web processes, a light worker and "
        f"the load on {os.cpu_count()} cores\ntimes: median / 95 % / 99 %; page: median / longest\n"
        f"{AIMS}"
    )
    print_table(title, columns, rows)


def configs(sizes: tuple[int, ...], people: int, web: int, is_quick: bool) -> Iterator[Config]:
    """Yields a cell per size, and one with a death for the largest."""
    base = {"annotators": people, "web": web, "drafts": 0, "way": "script"}
    for items in sizes:
        yield base | {"items": items, "kill": False}
    if not is_quick:
        yield base | {"items": max(sizes), "kill": True}


def _row(config: Config, result: Result) -> tuple[str, ...]:
    death = result["after_death_seconds"]
    closed = f"{result['closing_seconds']:.1f}" if death is None else f"{death:.1f} after the death"
    page = result["page_ms"]
    return (
        f"{config['items']:,}",
        "killed once" if config["kill"] else "lives",
        _times(result["last_ms"]),
        _times(result["meanwhile_ms"]),
        f"{page['median']:.0f} / {page['max']:.0f}",
        closed,
        f"{result['peak_mb']:.0f}",
        str(result["n_steps_seen"]),
        f"{result['n_admitted']:,}",
        f"{result['n_rows']:,}",
    )


def _times(times: dict[str, float] | None) -> str:
    if times is None:
        return "–"
    return f"{times['p50']:.0f} / {times['p95']:.0f} / {times['p99']:.0f}"


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.closing")
