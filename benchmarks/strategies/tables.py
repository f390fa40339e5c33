"""The tables of the strategies: a line per arm, the mean over seeds with its interval."""

import statistics
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

from benchmarks.strategies.intervals import difference, in_words, over, plain
from benchmarks.strategies.plan import KINDS, TWO_LOOKS
from benchmarks.support.cells import Config, Result, print_table

Measured = tuple[Config, Result]

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

HASTY: tuple[tuple[str, Config], ...] = (
    ("hasty episodes left out", {"arm": "hasty", "needs_a_look": True}),
    ("hasty episodes learned", {"arm": "hasty", "needs_a_look": False}),
)

STAGES: tuple[tuple[str, Config], ...] = (
    ("stage 1, poor prior", {"arm": "poor"}),
    ("as many more steps of it", {"arm": "more"}),
    ("stage 2, right answers", {"arm": "rewarded", "question_reward": 0.0}),
    ("stage 2, and a critic's marks", {"arm": "rewarded", "question_reward": 0.5}),
)


def print_monologue(measured: Sequence[Measured]) -> None:
    """Prints what was measured of the monologue."""
    if not measured:
        print("Nothing is measured yet.")  # noqa: T201 - a command line program
        return
    columns = ("arm", "seeds", *KINDS, "two looks", "tokens learned", "train s", "tokens/item")
    rows = [_answers(name, found) for name, found in _by_line(measured)]
    if rows:
        title = "share of held-out questions answered rightly: mean over seeds, 95 % interval"
        print_table(title, columns, rows)
    _print_differences(measured)
    _print_turns(measured)
    _print_observers(measured)
    _print_speed(measured)
    _print_hasty(measured)
    _print_stages(measured)


def _by_line(measured: Sequence[Measured]) -> list[tuple[str, list[Result]]]:
    lines = (
        (name, [result for config, result in measured if _belongs(config, wanted)])
        for name, wanted in LINES
    )
    return [(name, found) for name, found in lines if found]


def _belongs(config: Config, wanted: Config) -> bool:
    """Whether a cell is of a line: of its arm, and with what sets the line apart."""
    names = ("arm", "noise", "shuffled", "times", "question_reward", "needs_a_look")
    return all(config.get(name) == wanted.get(name) for name in names)


def _answers(name: str, found: Sequence[Result]) -> list[str]:
    by_kind = [over(found, partial(_part_of_kind, part="right", kind=kind)) for kind in KINDS]
    return [
        name,
        str(len(found)),
        *by_kind,
        over(found, two_looks),
        plain(found, "n_supervised"),
        plain(found, "train_seconds"),
        plain(found, "tokens_per_item"),
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
        by_kind = [
            difference(pairs, partial(_part_of_kind, part="right", kind=kind)) for kind in KINDS
        ]
        rows.append([name, str(len(pairs)), *by_kind, difference(pairs, two_looks)])
    columns = ("monologue minus", "seeds", *KINDS, "two looks")
    if rows:
        print_table("differences, paired by seed: mean, 95 % interval", columns, rows)


def _part_of_kind(result: Result, part: str, kind: str) -> float | None:
    return result[part].get(kind)


def _whole(result: Result, part: str) -> float | None:
    """The mean over all kinds of questions."""
    return statistics.fmean(result[part].values()) if result.get(part) else None


def _print_turns(measured: Sequence[Measured]) -> None:
    rows = [
        [
            name,
            str(len(found)),
            *(over(found, partial(_whole, part=part)) for part in ("useful", "true", "fits")),
            plain(found, "turns_per_item"),
            plain(found, "repeated"),
            plain(found, "seconds_per_item"),
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
            *(over(found, partial(_part_of_kind, part="observed", kind=kind)) for kind in kinds),
            plain(found, "train_seconds"),
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
        for played in result.get("ways", ()):
            best = by_way[played["way"]].get(config["seed"])
            if best is None or played["episodes_per_s"] > best["episodes_per_s"]:
                by_way[played["way"]][config["seed"]] = played
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
            in_words([one[rate] / other[rate] for one, other in pairs])
            for rate in ("episodes_per_s", "episodes_per_cpu_s")
        )
        results = list(found.values())
        rows.append(
            [
                name,
                str(len(found)),
                plain(results, "n_episodes"),
                plain(results, "episodes_per_s"),
                *ratios,
                plain(results, "tokens_per_item"),
                plain(results, "turns_per_item"),
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


def _print_hasty(measured: Sequence[Measured]) -> None:
    """Prints what a reasoner comes to that learns from episodes without a look, or does not."""
    out, learned = (
        {config["seed"]: result for config, result in measured if _belongs(config, wanted)}
        for _, wanted in HASTY
    )
    reads = [*(partial(_part_of_kind, part="right", kind=kind) for kind in KINDS), two_looks]
    rows = [
        [
            name,
            str(len(found)),
            *(over(list(found.values()), read) for read in reads),
            plain(list(found.values()), "turns_per_item"),
        ]
        for (name, _), found in zip(HASTY, (out, learned), strict=True)
        if found
    ]
    pairs = [(out[seed], learned[seed]) for seed in sorted(out.keys() & learned.keys())]
    if pairs:
        rows.append(["left out minus learned", str(len(pairs))])
        rows[-1] += [difference(pairs, read) for read in (*reads, _turns)]
    columns = ("prior, every third without a look", "seeds", *KINDS, "two looks", "turns/item")
    if rows:
        print_table("an observer that is never wrong: answered rightly", columns, rows)


def _turns(result: Result) -> float | None:
    return float(result["turns_per_item"])


def _print_stages(measured: Sequence[Measured]) -> None:
    """Prints what rewards add to a poor prior, beside as many more steps of the first stage."""
    by_line = {
        name: {config["seed"]: result for config, result in measured if _belongs(config, wanted)}
        for name, wanted in STAGES
    }
    columns = ("reasoner", "seeds", *KINDS, "all kinds")
    for part, title in (("right", "answered rightly"), ("useful", "questions that help")):
        reads = [
            *(partial(_part_of_kind, part=part, kind=kind) for kind in KINDS),
            partial(_whole, part=part),
        ]
        rows = [
            [name, str(len(results)), *(over(list(results.values()), read) for read in reads)]
            for name, results in by_line.items()
            if results
        ]
        for name, results in by_line.items():
            for other in ("stage 1, poor prior", "as many more steps of it"):
                seeds = sorted(results.keys() & by_line[other].keys())
                if name.startswith("stage 2") and seeds:
                    pairs = [(results[seed], by_line[other][seed]) for seed in seeds]
                    rows.append(
                        [f"{name} minus {other}", str(len(pairs))]
                        + [difference(pairs, read) for read in reads]
                    )
        if rows:
            print_table(f"second stage, an observer that is never wrong: {title}", columns, rows)
