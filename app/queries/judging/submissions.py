"""Submissions: what is written beside the row of a judgement, and the votes on its item."""

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value

from app.lifecycle import JudgementStatus, UserKind
from app.models import (
    CorrectedObservation,
    DrawnBox,
    Event,
    Item,
    Json,
    Judgement,
    JudgementRevision,
    RoundItem,
    TurnMark,
    VerdictRow,
    WrittenRationale,
)
from app.opinions import Opinion
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


_WRITTEN = (
    *Opinion.model_fields,
    "status",
    "submitted_at",
    "lease_until",
    "version",
    "updated_at",
    "active_ms",
)
"""Columns of a judgement that its submission writes."""
_SETTLED = ("state", "set_aside_reason")
"""Columns of its item that the submission may settle."""

# Keys and triggers are looked at when the whole statement is done: verdicts find their judgement
# submitted, and the item is counted after it was settled.
_STORE_SUBMISSION = text(
    f"""
    WITH submitted AS (
      UPDATE judgement SET {", ".join(f"{name} = :{name}" for name in _WRITTEN)}
      WHERE id = :judgement_id
      RETURNING id, round_id, none_fits, answer_is_wrong, picked, faults, shown_order
    ), settled AS (
      UPDATE round_item SET {", ".join(f"{name} = :{name}" for name in _SETTLED)}
      WHERE id = :round_item_id AND state <> :state
    ), verdicts AS (
      INSERT INTO verdict
        (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits, position, faults)
      SELECT submitted.id, shown.candidate_id, submitted.round_id, submitted.none_fits, false,
        shown.candidate_id = ANY (submitted.picked), shown.position,
        coalesce(submitted.faults -> CAST(shown.candidate_id AS text), '[]')
      FROM submitted,
        unnest(submitted.shown_order) WITH ORDINALITY AS shown (candidate_id, position)
      WHERE NOT submitted.answer_is_wrong
    ), revision AS (
      INSERT INTO judgement_revision (judgement_id, number, action, content)
      SELECT :judgement_id, coalesce(max(number), 0) + 1, 'submit', :content
      FROM judgement_revision WHERE judgement_id = :judgement_id
    )
    INSERT INTO event (project_id, round_id, actor_id, tag, details)
    VALUES (:project_id, :round_id, :actor_id, :tag, :details)
    """  # noqa: S608 - made of names of columns
).bindparams(
    *(bindparam(name, type_=Judgement.__table__.c[name].type) for name in _WRITTEN),
    *(bindparam(name, type_=RoundItem.__table__.c[name].type) for name in _SETTLED),
    bindparam("content", type_=JSONB),
    bindparam("details", type_=JSONB),
)


def store_submission(
    session: Session, judgement: Judgement, round_item: RoundItem, *, content: Json, event: Event
) -> None:
    """Store a judgement that was just submitted: its row, verdicts, a revision and an event.

    Its locked item is counted, and gets the state that it was given. All in one statement: this is
    what people wait for. There is one verdict per shown candidate, and none where the answer itself
    is wrong.
    """
    # Not through the session, which would write the two rows by itself before.
    session.connection().execute(
        _STORE_SUBMISSION,
        {
            **{name: getattr(judgement, name) for name in _WRITTEN},
            **{name: getattr(round_item, name) for name in _SETTLED},
            "judgement_id": judgement.id,
            "round_item_id": round_item.id,
            "content": content,
            "project_id": event.project_id,
            "round_id": event.round_id,
            "actor_id": event.actor_id,
            "tag": event.tag,
            "details": event.details,
        },
    )
    _mark_stored(judgement, _WRITTEN)
    _mark_stored(round_item, _SETTLED)
    # By the trigger. It is locked, so nobody else has changed it since.
    set_committed_value(round_item, "n_submitted", round_item.n_submitted + 1)


def _mark_stored(row: Judgement | RoundItem, names: Iterable[str]) -> None:
    """Let the session know that these attributes stand in the table as they are."""
    for name in names:
        set_committed_value(row, name, getattr(row, name))


def delete_verdicts(session: Session, judgement_id: int) -> None:
    session.execute(delete(VerdictRow).where(VerdictRow.judgement_id == judgement_id))


def insert_written_rationales(session: Session, rows: list[dict[str, object]]) -> None:
    if rows:
        session.execute(insert(WrittenRationale), rows)


def delete_written_rationales(session: Session, judgement_id: int) -> None:
    session.execute(delete(WrittenRationale).where(WrittenRationale.judgement_id == judgement_id))


SAID_OF_TURNS = (TurnMark, CorrectedObservation, DrawnBox)
"""The tables of what submitted judgements say of turns."""


def insert_turns(
    session: Session,
    *,
    marks: list[dict[str, object]],
    corrections: list[dict[str, object]],
    boxes: list[dict[str, object]],
) -> None:
    """Store what a submitted judgement says of turns; without any statement where it is nothing."""
    for model, rows in zip(SAID_OF_TURNS, (marks, corrections, boxes), strict=True):
        if rows:
            session.execute(insert(model), rows)


def delete_turns(session: Session, judgement_id: int) -> None:
    for model in SAID_OF_TURNS:
        session.execute(delete(model).where(model.judgement_id == judgement_id))


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
