"""Submissions: what is written beside the row of a judgement, and the votes on its item."""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, UserKind
from app.models import (
    Event,
    Item,
    Json,
    Judgement,
    JudgementRevision,
    RoundItem,
    VerdictRow,
    WrittenRationale,
)
from app.uncertainty import ItemVotes


def is_excluded(session: Session, item_id: int) -> bool:
    return session.get_one(Item, item_id).excluded_at is not None


def get_item_votes(session: Session, round_item_id: int) -> ItemVotes:
    """Returns the votes of the people who submitted an item of a round."""
    submitted = (
        Judgement.round_item_id == round_item_id,
        Judgement.user_kind == UserKind.PERSON,
        Judgement.status == JudgementStatus.SUBMITTED,
    )
    n_submitted, n_wrong = session.execute(
        select(func.count(), func.count().filter(Judgement.answer_is_wrong)).where(*submitted)
    ).one()
    fits = session.execute(
        select(func.count().filter(VerdictRow.fits), func.count())
        .join(Judgement, Judgement.id == VerdictRow.judgement_id)
        .where(*submitted)
        .group_by(VerdictRow.candidate_id)
        .order_by(VerdictRow.candidate_id)
    )
    return ItemVotes(n_submitted, n_wrong, tuple((row[0], row[1]) for row in fits))


_STORE_SUBMISSION = text(
    """
    WITH verdicts AS (
      INSERT INTO verdict
        (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits, position, faults)
      SELECT judgement.id, shown.candidate_id, judgement.round_id, judgement.none_fits, false,
        shown.candidate_id = ANY (judgement.picked), shown.position,
        coalesce(judgement.faults -> CAST(shown.candidate_id AS text), '[]')
      FROM judgement,
        unnest(judgement.shown_order) WITH ORDINALITY AS shown (candidate_id, position)
      WHERE judgement.id = :judgement_id AND NOT judgement.answer_is_wrong
    ), revision AS (
      INSERT INTO judgement_revision (judgement_id, number, action, content)
      SELECT :judgement_id, coalesce(max(number), 0) + 1, 'submit', :content
      FROM judgement_revision WHERE judgement_id = :judgement_id
    ), history AS (
      INSERT INTO event (project_id, round_id, actor_id, tag, details)
      VALUES (:project_id, :round_id, :actor_id, :tag, :details)
    )
    SELECT round_item.* FROM round_item JOIN judgement ON judgement.round_item_id = round_item.id
    WHERE judgement.id = :judgement_id
    """
).bindparams(bindparam("content", type_=JSONB), bindparam("details", type_=JSONB))


def store_submission(
    session: Session, judgement: Judgement, *, content: Json, event: Event
) -> RoundItem:
    """Store the verdicts, a revision and an event of a judgement that was just submitted.

    Returns its item, counted anew. There is one verdict per shown candidate, and none where the
    answer itself is wrong.
    """
    round_item: RoundItem = session.scalars(
        select(RoundItem).from_statement(_STORE_SUBMISSION),
        {
            "judgement_id": judgement.id,
            "content": content,
            "project_id": event.project_id,
            "round_id": event.round_id,
            "actor_id": event.actor_id,
            "tag": event.tag,
            "details": event.details,
        },
        execution_options={"populate_existing": True},
    ).one()
    return round_item


def delete_verdicts(session: Session, judgement_id: int) -> None:
    session.execute(delete(VerdictRow).where(VerdictRow.judgement_id == judgement_id))


def insert_written_rationales(session: Session, rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(WrittenRationale), rows)


def delete_written_rationales(session: Session, judgement_id: int) -> None:
    session.execute(delete(WrittenRationale).where(WrittenRationale.judgement_id == judgement_id))


def last_revision_number(session: Session, judgement_id: int) -> int:
    return session.scalars(
        select(func.coalesce(func.max(JudgementRevision.number), 0)).where(
            JudgementRevision.judgement_id == judgement_id
        )
    ).one()


def list_recent_submissions(
    session: Session, round_id: int, user_id: int, limit: int
) -> Sequence[int]:
    """Returns ids of this person's newest submissions in the round, newest first."""
    return session.scalars(
        select(Judgement.id)
        .where(
            Judgement.round_id == round_id,
            Judgement.user_id == user_id,
            Judgement.submitted_at.is_not(None),
        )
        .order_by(Judgement.submitted_at.desc(), Judgement.id.desc())
        .limit(limit)
    ).all()
