"""The tables of self-questioning: a line per arm, the mean over seeds with its interval."""

import statistics
from collections.abc import Callable, Sequence

from app.scenes.grounding import OPEN, PRESUMING
from benchmarks.strategies.intervals import difference, over, plain
from benchmarks.strategies.plan import KINDS
from benchmarks.support.cells import Config, Result, print_table

Measured = tuple[Config, Result]

LINES: tuple[tuple[str, Config], ...] = (
    ("delta 0", {"arm": "dialogues", "delta": 0.0}),
    ("delta 0.5", {"arm": "dialogues", "delta": 0.5}),
    ("delta 0.5, prototypes", {"arm": "dialogues", "delta": 0.5, "in_front": "prototypes"}),
    ("delta 0.5, residual", {"arm": "dialogues", "delta": 0.5, "in_front": "residual"}),
    ("and kept self-asked", {"arm": "more", "source": "self"}),
    ("and as many of the data", {"arm": "more", "source": "data"}),
)

PAIRS = (
    ("delta 0.5", "delta 0"),
    ("delta 0.5, prototypes", "delta 0.5"),
    ("delta 0.5, prototypes", "delta 0.5, residual"),
    ("and kept self-asked", "delta 0.5"),
    ("and kept self-asked", "and as many of the data"),
)
"""Lines whose differences are told, seed by seed."""


def print_self_questioning(measured: Sequence[Measured]) -> None:
    """Prints what was measured of self-questioning."""
    if not measured:
        print("Nothing is measured yet.")  # noqa: T201 - a command line program
        return
    lines = [(name, _of(measured, wanted)) for name, wanted in LINES]
    found = [(name, results) for name, results in lines if results]
    for temperature in ("0.7", "1.2"):
        _print_asked(found, f"asked_{temperature}", temperature)
    _print_kinds(found)
    _print_answers(found)
    _print_others(measured)


def _of(measured: Sequence[Measured], wanted: Config) -> dict[int, Result]:
    names = ("arm", "delta", "in_front", "source")
    return {
        config["seed"]: result
        for config, result in measured
        if all(config.get(name) == wanted.get(name) for name in names)
    }


def _print_asked(
    found: Sequence[tuple[str, dict[int, Result]]], part: str, temperature: str
) -> None:
    asked = [
        (name, [one[part] for one in results.values() if part in one]) for name, results in found
    ]
    rows = [
        [
            name,
            str(len(some)),
            over(some, lambda one: one["well_formed"]),
            over(some, lambda one: one["distinct"]),
            over(some, lambda one: one["grounded_mean"]),
            over(some, lambda one: one["elsewhere_mean"]),
            over(some, _above),
        ]
        for name, some in asked
        if some
    ]
    columns = ("arm", "seeds", "well formed", "distinct", "grounded", "elsewhere", "above it")
    if rows:
        print_table(
            f"what is asked at T {temperature}, mean over kinds that presume", columns, rows
        )


def _above(asked: Result) -> float | None:
    """How much more often questions are grounded in their own scene than in another one."""
    if asked["grounded_mean"] is None:
        return None
    return float(asked["grounded_mean"] - asked["elsewhere_mean"])


def _print_kinds(found: Sequence[tuple[str, dict[int, Result]]]) -> None:
    for name, results in found:
        some = [one["asked_0.7"] for one in results.values() if "asked_0.7" in one]
        some = [one for one in some if one["share"]]
        rows = [
            [kind, *(over(some, _part(part, kind)) for part in ("share", "grounded", "elsewhere"))]
            for kind in (*PRESUMING, *OPEN)
        ]
        if some:
            columns = ("kind", "share of questions", "grounded", "elsewhere")
            print_table(f"{name}, T 0.7, by kind", columns, rows)


def _part(part: str, kind: str) -> Callable[[Result], float | None]:
    return lambda one: one[part].get(kind)


def _print_answers(found: Sequence[tuple[str, dict[int, Result]]]) -> None:
    rows = []
    for name, results in found:
        some = list(results.values())
        by_kind = [over(some, _part("right", kind)) for kind in KINDS]
        whole = [over(some, _whole(part)) for part in ("right", "fits")]
        rows.append([name, str(len(some)), *by_kind, *whole, plain(some, "train_seconds")])
    columns = ("arm", "seeds", *KINDS, "right", "rationales fit", "train s")
    if rows:
        print_table("held-out questions answered rightly, and explained", columns, rows)
    by_name = dict(found)
    differences = []
    for name, other in PAIRS:
        one, base = by_name.get(name, {}), by_name.get(other, {})
        pairs = [(one[seed], base[seed]) for seed in sorted(one.keys() & base)]
        if pairs:
            reads = (_whole("right"), _whole("fits"))
            differences.append(
                [f"{name} minus {other}", str(len(pairs))]
                + [difference(pairs, read) for read in reads]
            )
    if differences:
        print_table("paired by seed", ("arms", "seeds", "right", "rationales fit"), differences)


def _whole(part: str) -> Callable[[Result], float | None]:
    return lambda one: statistics.fmean(one[part].values()) if one.get(part) else None


def _print_others(measured: Sequence[Measured]) -> None:
    probes = list(_of(measured, {"arm": "probe"}).values())
    if probes:
        rows = [
            [
                words,
                str(len(probes)),
                over(probes, lambda one, way=way: one[way]["precision"]),  # type: ignore[misc]
                over(probes, lambda one, way=way: one[way]["recall"]),  # type: ignore[misc]
                plain(probes, "warned"),
                plain(probes, "wrong"),
            ]
            for words, way in (("the probe", "warning"), ("as many by chance", "by_chance"))
        ]
        columns = ("warning", "seeds", "precision", "recall", "warned", "do not fit")
        print_table("the probe against the exact critic", columns, rows)
    wanted = {"arm": "dialogues", "delta": 0.5, "in_front": "prototypes"}
    pure = [one["purity"] for one in _of(measured, wanted).values()]
    if pure:
        names = sorted(pure[0])
        rows = [[name, over(pure, lambda one, name=name: one[name])] for name in names]  # type: ignore[misc]
        print_table("patches that show what most of their centre show", ("of", "share"), rows)
