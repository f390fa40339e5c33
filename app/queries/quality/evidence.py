"""The evidence that is stored about rounds, and whether there is anything to measure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.lifecycle import EvidenceKind, UserKind
from app.models import Json, RoundEvidence
from app.queries.counted import counted_judgements


def has_judgements(session: Session, round_id: int) -> bool:
    """Whether any judgement of a person counts in the round."""
    judged = select(counted_judgements.id).where(
        counted_judgements.round_id == round_id, counted_judgements.user_kind == UserKind.PERSON
    )
    return session.scalar(select(judged.exists())) or False


@dataclass(frozen=True)
class StoredEvidence:
    """Figures of one kind about a round, and when they were measured."""

    figures: Json
    at: datetime


def store_evidence(
    session: Session,
    round_id: int,
    kind: EvidenceKind,
    figures: Json,
    *,
    run_id: int,
    attempt: int,
) -> None:
    """Store figures in the place of older ones of their kind."""
    values = {"figures": figures, "run_id": run_id, "run_attempt": attempt, "at": func.now()}
    statement = insert(RoundEvidence).values(round_id=round_id, kind=kind, **values)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[RoundEvidence.round_id, RoundEvidence.kind], set_=values
        )
    )


def list_evidence(
    session: Session,
    round_ids: Sequence[int],
    kinds: Collection[EvidenceKind] = tuple(EvidenceKind),
) -> Mapping[tuple[int, str], StoredEvidence]:
    """Returns what is stored about rounds, by round and kind."""
    rows = session.scalars(
        select(RoundEvidence).where(
            RoundEvidence.round_id.in_(round_ids), RoundEvidence.kind.in_(kinds)
        )
    )
    return {(row.round_id, row.kind): StoredEvidence(row.figures, row.at) for row in rows}


def find_newest(session: Session, round_id: int) -> datetime | None:
    """Returns when something was last stored about a round; None where nothing is."""
    return session.scalar(
        select(func.max(RoundEvidence.at)).where(RoundEvidence.round_id == round_id)
    )
