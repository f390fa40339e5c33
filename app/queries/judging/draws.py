"""The draws behind the candidates that people see."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import Session

from app.models import Json, RoundCandidate, Run, Sample


@dataclass(frozen=True, slots=True)
class TracedDraw:
    """A draw that came to a candidate, with its trace."""

    sample_id: int
    candidate_id: int
    trace: Json


def count_draws_by_strategy(
    session: Session, round_id: int, candidate_ids: Sequence[int]
) -> dict[int, list[tuple[str, int]]]:
    """Returns, by candidate, the strategies that drew it in a round, each with how often, the most
    first. Those of a check item or an anchor were drawn in another round, and are counted there."""
    rows = session.execute(
        select(Sample.candidate_id, Sample.strategy, func.count().label("n"))
        .join(Run, Run.id == Sample.run_id)
        .where(
            Sample.candidate_id.in_(candidate_ids),
            or_(Run.round_id == round_id, _is_of_another(round_id)),
        )
        .group_by(Sample.candidate_id, Sample.strategy)
        .order_by(Sample.candidate_id, func.count().desc(), Sample.strategy)
    )
    found: dict[int, list[tuple[str, int]]] = {}
    for candidate_id, strategy, n in rows:
        if candidate_id is not None:
            found.setdefault(candidate_id, []).append((strategy, n))
    return found


def _is_of_another(round_id: int) -> ColumnElement[bool]:
    return exists().where(
        RoundCandidate.round_id == round_id,
        RoundCandidate.candidate_id == Sample.candidate_id,
        RoundCandidate.chosen_by.in_(("check", "anchor")),
    )


def list_traced_draws(
    session: Session, round_id: int, candidate_ids: Sequence[int], *, strategy: str
) -> list[TracedDraw]:
    """Returns the draws of a round that came to these candidates by a strategy, the most probable
    first; those of which no trace was kept are left out.

    The candidates of a check item or an anchor were drawn in another round, and show their traces
    like others.
    """
    rows = session.execute(
        select(Sample.id, Sample.candidate_id, Sample.trace)
        .join(Run, Run.id == Sample.run_id)
        .where(
            Sample.candidate_id.in_(candidate_ids),
            or_(Run.round_id == round_id, _is_of_another(round_id)),
            Sample.strategy == strategy,
            Sample.trace.is_not(None),
        )
        .order_by(Sample.log_probability.desc().nulls_last(), Sample.id)
    )
    return [
        TracedDraw(sample_id, candidate_id, trace)
        for sample_id, candidate_id, trace in rows
        if candidate_id is not None and trace is not None  # so the statement has it
    ]
