"""The tables of the strategies: a line per arm, the mean over seeds with its interval."""

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks.strategies.plan import KINDS, TWO_LOOKS
from benchmarks.support.cells import Config, Result, print_table

Measured = tuple[Config, Result]

_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t for an interval of 95 %, with one degree of freedom, two, and so on."""

LINES: tuple[tuple[str, Config], ...] = (
    ("single-shot, untrained", {"arm": "single"}),
    ("monologue", {"arm": "monologue"}),
    ("  observer never wrong", {"arm": "reasoner"}),
    ("(a) answers, same items", {"arm": "answers", "times": 1}),
    ("(b) answers, 3 x items", {"arm": "answers", "times": 3}),
    ("(c) facts, then answer", {"arm": "facts"}),
    ("(d) three things told", {"arm": "caption"}),
    ("(e) observer noise 10 %", {"arm": "monologue", "noise": 0.1}),
    ("(e) observer noise 20 %", {"arm": "monologue", "noise": 0.2}),
    ("(f) no look allowed", {"arm": "forced"}),
    ("(f) looks elsewhere", {"arm": "monologue", "shuffled": True}),
    ("(f) never told anything", {"arm": "blind"}),
)


def print_monologue(measured: Sequence[Measured]) -> None:
    """Prints what was measured of the monologue."""
    if not measured:
        print("Nothing is measured yet.")  # noqa: T201 - a command line program
        return
    columns = ("arm", "seeds", *KINDS, "two looks", "tokens learned", "train s", "tokens/item")
    print_table(
        "share of held-out questions answered rightly: mean over seeds, 95 % interval",
        columns,
        [_answers(name, found) for name, found in _by_line(measured)],
    )
    _print_differences(measured)
    _print_turns(measured)
    _print_observers(measured)
    _print_speed(measured)


def _by_line(measured: Sequence[Measured]) -> list[tuple[str, list[Result]]]:
    lines = (
        (name, [result for config, result in measured if _belongs(config, wanted)])
        for name, wanted in LINES
    )
    return [(name, found) for name, found in lines if found]


def _belongs(config: Config, wanted: Config) -> bool:
    """Whether a cell is of a line: of its arm, and with what sets the line apart."""
    names = ("arm", "noise", "shuffled", "times")
    return all(config.get(name) == wanted.get(name) for name in names)


def _answers(name: str, found: Sequence[Result]) -> list[str]:
    by_kind = [_over(found, partial(_right, kind=kind)) for kind in KINDS]
    return [
        name,
        str(len(found)),
        *by_kind,
        _over(found, two_looks),
        _plain(found, "n_supervised"),
        _plain(found, "train_seconds"),
        _plain(found, "tokens_per_item"),
    ]


def two_looks(result: Result) -> float | None:
    """Returns the share of right answers over the kinds that take two looks, each as important."""
    right = [result["right"][kind] for kind in TWO_LOOKS if kind in result["right"]]
    return statistics.fmean(right) if len(right) == len(TWO_LOOKS) else None


def _print_differences(measured: Sequence[Measured]) -> None:
    """Prints the monologue's shares less those of each other arm, seed by seed."""
    by_line = {
        name: {config["seed"]: result for config, result in measured if _belongs(config, wanted)}
        for name, wanted in LINES
    }
    ours = by_line.pop("monologue")
    rows = []
    for name, results in by_line.items():
        pairs = [(ours[seed], result) for seed, result in results.items() if seed in ours]
        if not pairs:
            continue
        by_kind = [_difference(pairs, partial(_right, kind=kind)) for kind in KINDS]
        rows.append([name, str(len(pairs)), *by_kind, _difference(pairs, two_looks)])
    columns = ("monologue minus", "seeds", *KINDS, "two looks")
    if rows:
        print_table("differences, paired by seed: mean, 95 % interval", columns, rows)


def _right(result: Result, kind: str) -> float | None:
    return result["right"].get(kind)


def _observed(result: Result, kind: str) -> float | None:
    return result["observed"].get(kind)


def _whole(result: Result, part: str) -> float | None:
    """The mean over all kinds of questions."""
    return statistics.fmean(result[part].values()) if result.get(part) else None


def _print_turns(measured: Sequence[Measured]) -> None:
    rows = [
        [
            name,
            str(len(found)),
            *(_over(found, partial(_whole, part=part)) for part in ("useful", "true", "fits")),
            _plain(found, "turns_per_item"),
            _plain(found, "repeated"),
            _plain(found, "seconds_per_item"),
        ]
        for name, found in _by_line(measured)
        if "useful" in found[0]
    ]
    columns = (
        *("arm", "seeds", "useful questions", "true observations", "rationales that fit"),
        *("turns/item", "repeated", "s/item"),
    )
    if rows:
        print_table("what was asked and seen, over all kinds", columns, rows)


def _print_observers(measured: Sequence[Measured]) -> None:
    by_size: dict[int, list[Result]] = defaultdict(list)
    for config, result in measured:
        if config["arm"] == "observer":
            by_size[config["n"]].append(result)
    kinds = sorted({kind for found in by_size.values() for r in found for kind in r["observed"]})
    rows = [
        [
            f"{size:,}",
            str(len(found)),
            *(_over(found, partial(_observed, kind=kind)) for kind in kinds),
            _plain(found, "train_seconds"),
        ]
        for size, found in sorted(by_size.items())
    ]
    columns = ("observations", "seeds", *kinds, "train s")
    if rows:
        print_table("how often the observer is right", columns, rows)


def _print_speed(measured: Sequence[Measured]) -> None:
    """Prints how many times as many episodes are played as with `generate`, paired by seed; of the
    batches that were tried the fastest counts."""
    by_way: dict[str, dict[int, Result]] = defaultdict(dict)
    for config, result in measured:
        if config["arm"] != "speed":
            continue
        best = by_way[config["way"]].get(config["seed"])
        if best is None or result["episodes_per_s"] > best["episodes_per_s"]:
            by_way[config["way"]][config["seed"]] = result
    ours = by_way.get("ours", {})
    rows = []
    for way, name in (
        ("ours", "ours"),
        ("one", "one generate per turn"),
        ("batched", "best batched generate per turn"),
    ):
        found = by_way.get(way, {})
        if not found:
            continue
        pairs = [(ours[seed], result) for seed, result in found.items() if seed in ours]
        ratios = (
            _in_words([one[rate] / other[rate] for one, other in pairs])
            for rate in ("episodes_per_s", "episodes_per_cpu_s")
        )
        results = list(found.values())
        rows.append(
            [
                name,
                str(len(found)),
                _plain(results, "n_episodes"),
                _plain(results, "episodes_per_s"),
                *ratios,
                _plain(results, "tokens_per_item"),
                _plain(results, "turns_per_item"),
            ]
        )
    columns = (
        "way",
        "seeds",
        "episodes",
        "episodes/s",
        "ours is",
        "by CPU time",
        "tokens",
        "turns",
    )
    if rows:
        print_table("playing monologues, 25 draws per item", columns, rows)


def _over(found: Sequence[Result], read: Callable[[Result], float | None]) -> str:
    values = [value for result in found if (value := read(result)) is not None]
    return _in_words(values)


def _difference(
    pairs: Sequence[tuple[Result, Result]], read: Callable[[Result], float | None]
) -> str:
    values = []
    for one, other in pairs:
        first, second = read(one), read(other)
        if first is not None and second is not None:
            values.append(first - second)
    return _in_words(values, sign="+")


def _in_words(values: Sequence[float], sign: str = "") -> str:
    """The mean, with half the width of Student's interval where there are several."""
    if not values:
        return "–"
    mean = statistics.fmean(values)
    if len(values) == 1:
        return f"{mean:{sign}.3f}"
    spread = statistics.stdev(values) / math.sqrt(len(values))
    half = _STUDENT[min(len(values) - 1, len(_STUDENT)) - 1] * spread
    return f"{mean:{sign}.3f} ± {half:.3f}"


def _plain(found: Sequence[Result], name: str) -> str:
    values = [result[name] for result in found if result.get(name) is not None]
    if not values:
        return "–"
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean >= 100 else f"{mean:.3g}"
