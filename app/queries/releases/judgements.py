"""Judgements, verdicts and corrected texts of the items of a release."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Candidate, Round, User, VerdictRow, WrittenRationale
from app.opinions import Opinion
from app.queries.blocks import blocks
from app.queries.counted import counted_items, counted_judgements
from app.queries.judging.opinions import opinion_columns, read_opinion


@dataclass(frozen=True)
class JudgementSource:
    opinion: Opinion
    id: int
    item_id: int
    round_number: int
    user_id: int
    user_kind: UserKind
    user_name: str
    n_shown: int
    guidelines_version: int
    counted_ms: int


def list_judgements(
    session: Session, item_ids: Sequence[int], round_ids: Sequence[int]
) -> list[JudgementSource]:
    """Returns the judgements of these items that count, round by round, in a fixed order."""
    columns = opinion_columns(counted_judgements)
    rows = session.execute(
        select(
            counted_judgements.id,
            counted_items.item_id,
            Round.number,
            counted_judgements.user_id,
            counted_judgements.user_kind,
            User.name,
            func.cardinality(counted_judgements.shown_order),
            counted_judgements.guidelines_version,
            counted_judgements.counted_ms,
            *columns,
        )
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Round, Round.id == counted_judgements.round_id)
        .join(User, User.id == counted_judgements.user_id)
        .where(counted_items.item_id.in_(item_ids), counted_items.round_id.in_(round_ids))
        .order_by(counted_items.item_id, Round.number, counted_judgements.user_id)
    )
    n = len(columns)
    return [JudgementSource(read_opinion(row[-n:]), *row[:-n]) for row in rows]


@dataclass(frozen=True)
class VerdictSource:
    judgement_id: int
    candidate_id: int
    fits: bool
    position: int
    faults: list[str]


def list_verdicts(session: Session, judgement_ids: Sequence[int]) -> list[VerdictSource]:
    found: list[VerdictSource] = []
    for block in blocks(judgement_ids):
        rows = session.execute(
            select(
                VerdictRow.judgement_id,
                VerdictRow.candidate_id,
                VerdictRow.fits,
                VerdictRow.position,
                VerdictRow.faults,
            ).where(VerdictRow.judgement_id.in_(block))
        )
        found += [VerdictSource(*row) for row in rows]
    return found


@dataclass(frozen=True)
class WrittenSource:
    judgement_id: int
    item_id: int
    candidate_text: str
    text: str


def list_written_rationales(session: Session, judgement_ids: Sequence[int]) -> list[WrittenSource]:
    """Returns candidates as annotators corrected them, in a fixed order."""
    found: list[WrittenSource] = []
    for block in blocks(judgement_ids):
        rows = session.execute(
            select(
                WrittenRationale.judgement_id,
                WrittenRationale.item_id,
                Candidate.text,
                WrittenRationale.text,
            )
            .join(Candidate, Candidate.id == WrittenRationale.candidate_id)
            .where(WrittenRationale.judgement_id.in_(block), WrittenRationale.erased_at.is_(None))
            .order_by(WrittenRationale.judgement_id, WrittenRationale.candidate_id)
        )
        found += [WrittenSource(*row) for row in rows]
    return found
