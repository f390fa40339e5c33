"""The tables of interactive perception: a line per arm, the mean over seeds with its interval."""

from collections.abc import Sequence

from benchmarks.strategies.intervals import over, plain
from benchmarks.strategies.plan import KINDS
from benchmarks.support.cells import Config, Result, print_table

Measured = tuple[Config, Result]

_OWN: Config = {"arm": "perception", "k": 2}
LINES: tuple[tuple[str, Config], ...] = (
    ("(a) answers alone, k 2", _OWN | {"alignment": "none"}),
    ("(b) captions first, k 2", _OWN | {"alignment": "captions"}),
    ("(c) pointing first, k 2", _OWN | {"alignment": "pointing"}),
    ("(c) pointing first, k 3", _OWN | {"alignment": "pointing", "k": 3}),
    ("(c) pointing first, k 4", _OWN | {"alignment": "pointing", "k": 4}),
    ("(d) answers alone and LoRA, k 2", _OWN | {"alignment": "none", "lora": True}),
    ("pooled path, k 2", _OWN | {"alignment": "none", "path": "pooled"}),
    ("static, k 2", {"arm": "static", "k": 2, "times": 1}),
    ("static, k 4", {"arm": "static", "k": 4, "times": 1}),
    ("static, k 4, three times the steps", {"arm": "static", "k": 4, "times": 3}),
)
_NAMES = ("arm", "k", "alignment", "path", "lora", "times")
HIGH, LOW = 0.95, 0.8


def print_perception(measured: Sequence[Measured]) -> None:
    """Prints what was measured of interactive perception."""
    if not measured:
        print("Nothing is measured yet.")  # noqa: T201 - a command line program
        return
    base = _of(measured, {"arm": "base"})
    if base:
        columns = ("whole picture", "another picture", "its mean alone", "seeds")
        numbers = [over(base, lambda one, n=n: one[n]) for n in ("right", "other_picture", "mean")]  # type: ignore[misc]
        print_table("the base, attributes by place", columns, [[*numbers, str(len(base))]])
    found = [(name, some) for name, wanted in LINES if (some := _of(measured, wanted))]
    _print_right(found)
    _print_controls([(name, some) for name, some in found if "zero" in some[0]])
    _print_others([("base", base), *found] if base else found)


def _of(measured: Sequence[Measured], wanted: Config) -> list[Result]:
    return [
        result
        for config, result in measured
        if all(config.get(name) == wanted.get(name) for name in _NAMES)
    ]


def _print_right(found: Sequence[tuple[str, list[Result]]]) -> None:
    rows = [
        [
            name,
            str(len(some)),
            over(some, lambda one: one["right"]),
            f"{sum(one['right'] > HIGH for one in some)} of {len(some)}",
            f"{sum(one['right'] > LOW for one in some)} of {len(some)}",
            plain(some, "parameters"),
            plain(some, "train_seconds"),
        ]
        for name, some in found
    ]
    columns = ("arm", "seeds", "right", f"over {HIGH}", f"over {LOW}", "trained", "train s")
    if rows:
        print_table("held-out attributes by place", columns, rows)


def _print_controls(found: Sequence[tuple[str, list[Result]]]) -> None:
    requests = ("right", "zero", "swapped", "none")
    rows = [
        [name, *(over(some, lambda one, part=part: one[part]) for part in requests)]  # type: ignore[misc]
        for name, some in found
    ]
    if rows:
        columns = ("arm", "own request", "zeroed", "another's", "none")
        print_table("what the request does", columns, rows)
    looked = ("right", "asked_hidden", "other_hidden", "map_peak", "attention_peak")
    rows = [
        [
            name,
            *(over(some, lambda one, part=part: one.get(part)) for part in looked),  # type: ignore[misc]
            plain(some, "map_seconds"),
        ]
        for name, some in found
        if "map_peak" in some[0]
    ]
    if rows:
        columns = (
            *("arm", "nothing hidden", "asked place hidden", "another hidden"),
            *("map peaks there", "attention peaks there", "s per map"),
        )
        print_table("where it looks (chance: 0.111)", columns, rows)


def _print_others(found: Sequence[tuple[str, list[Result]]]) -> None:
    rows = [
        [name, *(over(some, lambda one, kind=kind: one["others"].get(kind)) for kind in KINDS)]  # type: ignore[misc]
        for name, some in found
    ]
    columns = ("arm", "attribute by name", *KINDS[1:])
    print_table("other kinds, with the same adapter", columns, rows)
