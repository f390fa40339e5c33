"""Judging: how many judgements a second the server takes, how long people wait, and what it costs.

    python -m benchmarks.judging              # all cells
    python -m benchmarks.judging --quick      # a few, in less than five minutes

Simulated annotators answer as fast as they are asked (think time 0), over HTTP, against the web
processes that `illume up` would start, on the embedded PostgreSQL with fsync and synchronous
commits. Server, database and annotators share the machine's cores, so CPU time per judgement says
more than latency where anything else runs there.

Ways of going on:

script   as browsers with scripts do: the answer to a submission is the next item.
page     as browsers without: a submission is answered with a redirect, and the next item comes as
         a page of its own, rendered in full. The aims are for this one.

In both, `--drafts` drafts may be saved before each submission. `drain` works a queue off until it
is empty. `scale` is one annotator, three slots per item, and ever more open items.

Each cell ends with a count in the database: every acknowledged submission is there, no item has
more than its slots, the counters are those of the rows. A cell that finds anything else fails.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.embedded.programs import postgres_programs, redis_program
from benchmarks.support.cells import Cells, Config, Result, print_result, print_table, run_benchmark

ORDERS = ("random", "fewest_first", "uncertainty")
SIZES = (1_000, 10_000, 100_000, 1_000_000)
AIMS = "aims: 150 judgements/s and 95 % within 150 ms at 32; 15 ms at 1; 8 ms server CPU; 1 fsync"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--web", type=int, default=2, help="web processes")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/judging.jsonl"))
    parser.add_argument("--only", choices=["load", "scale"], help="one of the two tables")
    parser.add_argument("--quick", action="store_true", help="few cells, short ones")
    parser.add_argument("--people", type=int, nargs="+", default=[1, 8, 32], help="annotators")
    parser.add_argument("--seconds", type=int, help="length of a cell; default: 30, or 8 if quick")
    parser.add_argument("--cell", help="measure one configuration and print it (used by itself)")
    arguments = parser.parse_args()
    postgres_programs(None)  # what is missing is said before anything is measured
    redis_program(None)
    if arguments.cell:
        from benchmarks.support.judging_cell import measure

        print_result(measure(json.loads(arguments.cell)))
        return
    cells = Cells("benchmarks.judging", arguments.out)
    if arguments.only != "scale":
        load = list(
            load_configs(arguments.web, arguments.quick, arguments.people, arguments.seconds)
        )
        results = [cells.measure(config) for config in load]
        _print_load(load, results)
    if arguments.only != "load":
        scale = list(scale_configs(arguments.web, arguments.quick, arguments.seconds))
        _print_scale(cells, scale)


def load_configs(
    web: int, is_quick: bool, people: Sequence[int], seconds: int | None
) -> Iterator[Config]:
    base = {"kind": "load", "items": 2_000 if is_quick else 20_000, "order": "random", "web": web}
    seconds = seconds or (8 if is_quick else 30)
    for drafts in (0,) if is_quick else (0, 2):
        for overlap in (1,) if is_quick else (1, 3):
            for annotators in people:
                for way in ("script", "page"):
                    yield base | {
                        "annotators": annotators,
                        "overlap": overlap,
                        "drafts": drafts,
                        "way": way,
                        "seconds": seconds,
                    }
    yield base | {
        "kind": "drain",
        "items": 100 if is_quick else 500,
        "annotators": max(people),
        "overlap": min(3, max(people)),  # each item wants another person
        "drafts": 0,
        "way": "script",
        "seconds": 300,
    }


def scale_configs(web: int, is_quick: bool, seconds: int | None) -> Iterator[Config]:
    for order in ORDERS[:1] if is_quick else ORDERS:
        for items in SIZES[:2] if is_quick else SIZES:
            yield {
                "kind": "scale",
                "items": items,
                "order": order,
                "web": web,
                "annotators": 1,
                "overlap": 3,
                "drafts": 0,
                "way": "script",
                "seconds": seconds or (5 if is_quick else 15),
            }


def _print_load(configs: Sequence[Config], results: Sequence[Result]) -> None:
    columns = (
        "way", "people", "slots", "drafts", "judgements/s", "submit ms", "next ms", "draft ms",
        "web CPU ms", "database CPU ms", "load CPU ms", "fsyncs", "commits", "stored",
    )  # fmt: skip
    rows = [
        (
            config["way"] + (" (drain)" if config["kind"] == "drain" else ""),
            str(config["annotators"]),
            str(config["overlap"]),
            str(config["drafts"]),
            f"{result['per_second']:.0f}",
            _times(result["submit_ms"]),
            _times(result["next_ms"]),
            _times(result["draft_ms"]),
            *_costs(result),
            f"{result['fsyncs']:.2f}",
            f"{result['commits']:.2f}",
            f"{result['n_stored']:,} of {result['n_acknowledged']:,}",
        )
        for config, result in zip(configs, results, strict=True)
    ]
    settings = ", ".join(f"{name} {value}" for name, value in results[0]["settings"].items())
    title = (
        f"judging, {configs[0]['items']:,} items, {configs[0]['web']} web processes and the load "
        f"on {os.cpu_count()} cores; {settings}\ntimes: median / 95 % / 99 %; costs per judgement\n"
        f"{AIMS}"
    )
    print_table(title, columns, rows)


def _print_scale(cells: Cells, configs: Sequence[Config]) -> None:
    rows = []
    for config in configs:
        result = cells.measure(config)
        first = cells.measure(config | {"items": SIZES[0]})
        # So few judgements that the clock of the processes did not move cannot be compared.
        ratio = f"{_total(result) / _total(first):.2f}" if _total(first) else ""
        rows.append(
            (
                config["order"],
                f"{config['items']:,}",
                _times(result["submit_ms"]),
                *_costs(result),
                f"{_total(result):.2f}",
                ratio,
            )
        )
    columns = (
        "order", "open items", "submit + next ms", "web CPU ms", "database CPU ms", "load CPU ms",
        "web + database", f"of that at {SIZES[0]:,}",
    )  # fmt: skip
    print_table("cost of a judgement by the length of the queue (aim: within 20 %)", columns, rows)


def _times(times: dict[str, float] | None) -> str:
    return " / ".join(f"{value:.1f}" for value in times.values()) if times else ""


def _costs(result: Result) -> tuple[str, str, str]:
    return (
        f"{result['web_cpu_ms']:.2f}",
        f"{result['database_cpu_ms']:.2f}",
        f"{result['load_cpu_ms']:.2f}",
    )


def _total(result: Result) -> float:
    return float(result["web_cpu_ms"] + result["database_cpu_ms"])


if __name__ == "__main__":
    run_benchmark(main, "benchmarks.judging")
