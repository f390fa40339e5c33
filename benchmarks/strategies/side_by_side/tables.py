"""The tables that compare all strategies: a line per strategy, the mean over seeds with its
interval."""

from collections.abc import Callable, Sequence
from functools import partial

from app.strategies import STRATEGIES
from benchmarks.strategies.intervals import Read, difference, over, plain
from benchmarks.strategies.plan import KINDS
from benchmarks.strategies.side_by_side.plan import BASE
from benchmarks.support.cells import Config, Result, print_table

Measured = tuple[Config, Result]
Found = dict[str, dict[int, Result]]


def print_side_by_side(measured: Sequence[Measured]) -> None:
    """Prints what was measured of all strategies."""
    if not measured:
        print("Nothing is measured yet.")  # noqa: T201 - a command line program
        return
    found: Found = {arm: {} for arm in (BASE, *STRATEGIES)}
    for config, result in measured:
        found.setdefault(config["arm"], {})[config["seed"]] = result
    found = {arm: results for arm, results in found.items() if results}
    _print_training(found)
    for part, title in (("right", "answered rightly"), ("fits", "and explained so that it fits")):
        _print_answered(found, part, title)
    _print_differences(found)
    _print_drawn(found)
    _print_read(found)


def _print_training(found: Found) -> None:
    columns = ("strategy", "seeds", "parameters", "tokens learned", "train s")
    names = ("n_parameters", "n_supervised", "train_seconds")
    rows = [
        [arm, str(len(results)), *(plain(list(results.values()), name) for name in names)]
        for arm, results in found.items()
    ]
    print_table("what was trained", columns, rows)


def _print_answered(found: Found, part: str, title: str) -> None:
    columns = ("strategy", *KINDS, "all kinds", "tokens/item", "s/item")
    rows = []
    for arm, results in found.items():
        answered = [result["answered"] for result in results.values()]
        by_kind = [over(answered, partial(_of_kind, part=part, kind=kind)) for kind in KINDS]
        rows.append(
            [
                arm,
                *by_kind,
                over(answered, partial(_mean, part=part)),
                plain(answered, "tokens_per_item"),
                plain(answered, "seconds_per_item"),
            ]
        )
    print_table(f"share of held-out questions {title}: mean, 95 % interval", columns, rows)


def _print_differences(found: Found) -> None:
    """Prints the shares of each strategy less those of `direct`, seed by seed."""
    direct = found.get("direct", {})
    rows = []
    for arm, results in found.items():
        seeds = sorted(results.keys() & direct.keys())
        if arm == "direct" or not seeds:
            continue
        answered = [(results[seed]["answered"], direct[seed]["answered"]) for seed in seeds]
        pairs = [(results[seed]["drawn"], direct[seed]["drawn"]) for seed in seeds]
        rows.append(
            [
                f"{arm} minus direct",
                str(len(seeds)),
                difference(answered, partial(_mean, part="right")),
                difference(answered, partial(_mean, part="fits")),
                difference(pairs, _fit_rate),
                difference(pairs, _coverage),
            ]
        )
    columns = ("paired by seed", "seeds", "answered", "explained", "draws that fit", "covered")
    if rows:
        print_table("differences: mean, 95 % interval", columns, rows)


def _print_drawn(found: Found) -> None:
    reads: tuple[tuple[str, Read], ...] = (
        ("draws that fit", _fit_rate),
        ("items covered", _coverage),
        ("tokens/admitted", _per_admitted("n_tokens")),
        ("s/admitted", _per_admitted("seconds")),
    )
    rows = []
    for arm, results in found.items():
        drawn = [result["drawn"] for result in results.values()]
        rows.append([arm, *(over(drawn, read) for _, read in reads), _only(found, arm)])
    columns = ("strategy", *(name for name, _ in reads), "covered by it alone")
    print_table("what is drawn for questions with their answers", columns, rows)


def _only(found: Found, arm: str) -> str:
    """The share of items for which this strategy alone, of those trained, has a text that fits."""
    others = [name for name in found if name not in {arm, BASE}]
    if arm == BASE or not others:
        return "–"
    results = []
    for seed, result in found[arm].items():
        rivals = [found[name][seed] for name in others if seed in found[name]]
        if len(rivals) == len(others):
            own = result["drawn"]["covered"]
            alone = [
                is_own and not any(rival["drawn"]["covered"][place] for rival in rivals)
                for place, is_own in enumerate(own)
            ]
            results.append({"alone": sum(alone) / len(alone)})
    return over(results, lambda one: float(one["alone"]))


def _print_read(found: Found) -> None:
    reads = ("n_candidates", "n_words", "n_turns", "n_keys")
    rows = []
    for arm, results in found.items():
        drawn = [result["drawn"] for result in results.values()]
        per = (over(drawn, _per_admitted(name)) for name in reads)
        rows.append([arm, *per, plain(drawn, "words_per_text")])
    columns = ("strategy", "candidates", "words", "turns", "keys", "words per text")
    print_table("what a person reads and presses per admitted rationale", columns, rows)


def _of_kind(answered: Result, part: str, kind: str) -> float | None:
    return answered[part].get(kind)


def _mean(answered: Result, part: str) -> float:
    return sum(answered[part].values()) / len(answered[part])


def _fit_rate(drawn: Result) -> float:
    return float(drawn["n_fitting"] / max(1, drawn["n_draws"]))


def _coverage(drawn: Result) -> float:
    return sum(drawn["covered"]) / len(drawn["covered"])


def _per_admitted(name: str) -> Callable[[Result], float | None]:
    def read(drawn: Result) -> float | None:
        return drawn[name] / drawn["n_admitted"] if drawn["n_admitted"] else None

    return read
