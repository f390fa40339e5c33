"""What each way of sampling brought for the time that it cost, measured when a round is closed."""

from sqlalchemy.orm import Session

from app.evidence import YieldFigures
from app.lifecycle import EvidenceKind
from app.models import Round
from app.queries.quality import yields as queries
from app.queries.quality.evidence import store_evidence
from app.round_settings import LoopSettings


def measure_yields(session: Session, round_: Round) -> YieldFigures:
    """Returns what was admitted by prompt, temperature and strategy, with the time it took."""
    settings = LoopSettings.model_validate(round_.settings)
    return YieldFigures(
        by_people=settings.judging.judges.are_people,
        machine_seconds=queries.sum_sampling_seconds(session, round_.id),
        lines=tuple(queries.list_yields(session, round_)),
    )


def store_yields(session: Session, round_: Round, *, run_id: int, attempt: int) -> None:
    """Measure and store it in a run that is not there to gather evidence."""
    figures = measure_yields(session, round_).dump()
    store_evidence(session, round_.id, EvidenceKind.YIELD, figures, run_id=run_id, attempt=attempt)
