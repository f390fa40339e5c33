"""The draws behind the candidates that people see."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import Session

from app.models import Json, RoundCandidate, Run, Sample


@dataclass(frozen=True, slots=True)
class TracedDraw:
    """A draw that came to a candidate, with its trace."""

    sample_id: int
    candidate_id: int
    trace: Json


def list_traced_draws(
    session: Session, round_id: int, candidate_ids: Sequence[int], *, strategy: str
) -> list[TracedDraw]:
    """Returns the draws of a round that came to these candidates by a strategy, the most probable
    first; those of which no trace was kept are left out.

    The candidates of a check item or an anchor were drawn in another round, and show their traces
    like others.
    """
    is_of_another = exists().where(
        RoundCandidate.round_id == round_id,
        RoundCandidate.candidate_id == Sample.candidate_id,
        RoundCandidate.chosen_by.in_(("check", "anchor")),
    )
    rows = session.execute(
        select(Sample.id, Sample.candidate_id, Sample.trace)
        .join(Run, Run.id == Sample.run_id)
        .where(
            Sample.candidate_id.in_(candidate_ids),
            or_(Run.round_id == round_id, is_of_another),
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
