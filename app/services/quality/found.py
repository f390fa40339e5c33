"""Measures how many rationales each strategy of a round brought, and at what cost."""

import math
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from app.evidence import Figure, StrategyFind, StrategyFinds
from app.lifecycle import EvidenceKind
from app.measures import mean_interval
from app.models import Round
from app.queries.quality import found as queries
from app.queries.quality.evidence import store_evidence
from app.round_settings import LoopSettings

MS_PER_MINUTE = 60_000


def measure_found(session: Session, round_: Round) -> StrategyFinds:
    """Returns what each strategy found and cost. Of one strategy alone, all items are its own."""
    settings = LoopSettings.model_validate(round_.settings)
    by_people = settings.judging.judges.are_people
    queries.begin_counting(session, round_.id)
    seconds = {row["strategy"]: row for row in queries.sum_seconds(session)}
    n_items, n_shared = queries.count_shared_items(session)
    finds = {
        row["strategy"]: _find(row, seconds.get(row["strategy"]), by_people=by_people)
        for row in queries.sum_strategies(session)
    }
    return StrategyFinds(
        by_people=by_people,
        n_items=n_items,
        n_shared=n_shared,
        strategies=tuple(finds.get(name, StrategyFind(strategy=name)) for name in settings.shares),
    )


def store_found(session: Session, round_: Round, *, run_id: int, attempt: int) -> None:
    """Measure and store it in a run that is not there to gather evidence."""
    figures = measure_found(session, round_).dump()
    kind = EvidenceKind.FOUND
    store_evidence(session, round_.id, kind, figures, run_id=run_id, attempt=attempt)


def _find(
    row: Mapping[str, Any], seconds: Mapping[str, Any] | None, *, by_people: bool
) -> StrategyFind:
    return StrategyFind(
        strategy=row["strategy"],
        n_draws=int(row["n_draws"]),
        n_texts=int(row["n_texts"]),
        n_shown=int(row["n_shown"]),
        n_admitted=int(row["n_admitted"]),
        n_admitted_alone=int(row["n_alone"]),
        n_only=int(row["n_only"]),
        fit_rate=_mean(row["fit_mean"], float(row["fit_deviation"]), int(row["n_fit"]), most=1.0),
        words=_mean_of_sums(float(row["words"]), float(row["square_words"]), int(row["n_shown"])),
        tokens=_ratio(row, "tokens"),
        seconds=Figure() if seconds is None else _ratio(seconds, "seconds"),
        minutes=_ratio(row, "ms", per=MS_PER_MINUTE) if by_people else Figure(),
    )


def _mean(mean: Any, deviation: float, n: int, *, most: float = math.inf) -> Figure:
    if mean is None:
        return Figure()
    value = float(mean)
    low, high = mean_interval(value, deviation, n) or (0.0, most)
    return Figure(value=value, low=max(0.0, low), high=_finite(min(most, high)), n=n)


def _mean_of_sums(total: float, squares: float, n: int) -> Figure:
    if not n:
        return Figure()
    mean = total / n
    variance = max(0.0, squares - n * mean * mean) / max(1, n - 1)
    return _mean(mean, math.sqrt(variance), n)


def _ratio(sums: Mapping[str, Any], cost: str, *, per: float = 1.0) -> Figure:
    """Returns what an admitted rationale cost, with the interval of a ratio of two sums over items
    or shards (linearised)."""
    admitted, n = float(sums["admitted"]), int(sums["n"])
    if not admitted:
        return Figure(n=n)
    ratio = float(sums[cost]) / admitted
    spread = (
        float(sums[f"{cost}_square"])
        - 2 * ratio * float(sums[f"{cost}_product"])
        + ratio * ratio * float(sums["admitted_square"])
    )
    low = high = None
    if n > 1:
        # As the mean of n values whose deviation is that of the residuals, per admitted rationale.
        deviation = math.sqrt(max(0.0, spread) / (n - 1)) * n / admitted
        found = mean_interval(ratio, deviation, n)
        if found is not None:
            low, high = max(0.0, found[0]) / per, found[1] / per
    return Figure(value=ratio / per, low=low, high=high, n=n)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
