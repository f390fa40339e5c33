"""All arms of the benchmark, by the names that plan.py gives them."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.strategies import hasty, monologue, one_look, second_stage
from benchmarks.strategies.bench import Bench
from benchmarks.support.cells import Config, Result

ARMS: Mapping[str, Callable[[Bench], Result]] = {
    "observer": one_look.measure_observer,
    "single": one_look.measure_single,
    "reasoner": monologue.measure_reasoner,
    "monologue": monologue.measure_monologue,
    "speed": monologue.measure_speed,
    "answers": one_look.measure_answers,
    "facts": one_look.measure_facts,
    "caption": one_look.measure_caption,
    "blind": one_look.measure_blind,
    "forced": one_look.measure_forced,
    "hasty": hasty.measure_hasty,
    "poor": second_stage.measure_poor,
    "more": second_stage.measure_more,
    "rewarded": second_stage.measure_rewarded,
}


def measure(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; `folder` keeps models and pictures from cell to cell."""
    began = time.monotonic()
    result = ARMS[config["arm"]](Bench(config, folder, threads))
    return result | {"cell_seconds": round(time.monotonic() - began, 1)}
