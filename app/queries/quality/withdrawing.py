"""Answers of one person in a round that are set apart, and that count again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, delete, exists, func, select, text, update
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, Purpose, RoundItemState, UserKind
from app.models import (
    Admission,
    Candidate,
    Item,
    Judgement,
    Round,
    RoundItem,
    VerdictRow,
    WrittenRationale,
)
from app.queries.counted import counted_judgements
from app.queries.judging.submissions import SAID_OF_TURNS


def list_votes_of(session: Session, round_id: int, user_id: int) -> list[int]:
    """Returns ids of the submitted judgements of a person in a round: those that count, and those
    of items mixed in to compare. What they said of check items stays, since it is what says that
    they err.
    """
    of_check = exists().where(
        RoundItem.id == Judgement.round_item_id, RoundItem.purpose == Purpose.CHECK
    )
    return list(
        session.scalars(
            select(Judgement.id)
            .where(
                Judgement.round_id == round_id,
                Judgement.user_id == user_id,
                Judgement.user_kind == UserKind.PERSON,
                Judgement.status == JudgementStatus.SUBMITTED,
                ~of_check,
            )
            .order_by(Judgement.id)
        )
    )


def list_withdrawn(session: Session, round_id: int, user_id: int) -> list[int]:
    """Returns ids of the judgements of a person in a round that are set apart."""
    return list(
        session.scalars(
            select(Judgement.id)
            .where(
                Judgement.round_id == round_id,
                Judgement.user_id == user_id,
                Judgement.status == JudgementStatus.WITHDRAWN,
            )
            .order_by(Judgement.id)
        )
    )


def withdraw(session: Session, judgement_ids: Sequence[int], *, now: datetime) -> None:
    """Take the votes of judgements away and let their items be judged by others.

    What was said stays on the rows, so that it can count again.
    """
    for model in (VerdictRow, WrittenRationale, *SAID_OF_TURNS):
        session.execute(delete(model).where(model.judgement_id.in_(judgement_ids)))
    session.execute(
        update(Judgement)
        .where(Judgement.id.in_(judgement_ids))
        .values(
            status=JudgementStatus.WITHDRAWN,
            slot=None,
            lease_until=None,
            submitted_at=None,
            updated_at=now,
        )
        .execution_options(synchronize_session=False)
    )
    places = select(Judgement.round_item_id).where(Judgement.id.in_(judgement_ids))
    session.execute(
        update(RoundItem)
        .where(
            RoundItem.id.in_(places),
            RoundItem.state.in_([RoundItemState.DONE, RoundItemState.SET_ASIDE]),
        )
        .values(state=RoundItemState.OPEN, set_aside_reason=None)
        .execution_options(synchronize_session=False)
    )


# Where others took the place meanwhile, the item gets one more.
_MAKE_ROOM = text(
    """
    UPDATE round_item SET
      slots = round_item.slots + 1,
      max_slots = greatest(round_item.max_slots, round_item.slots + 1)
    FROM judgement
    WHERE judgement.id = ANY (:ids) AND judgement.round_item_id = round_item.id
      AND round_item.n_taken >= round_item.slots
    """
)
_GIVE_BACK = text(
    """
    UPDATE judgement SET
      status = 'submitted', updated_at = :now, lease_until = NULL, skip_reason = NULL,
      submitted_at = (
        SELECT max(at) FROM judgement_revision
        WHERE judgement_id = judgement.id AND action = 'submit'
      ),
      slot = (
        SELECT min(number) FROM generate_series(1, judgement.max_slots) AS number
        WHERE NOT EXISTS (
          SELECT 1 FROM judgement AS other
          WHERE other.round_item_id = judgement.round_item_id AND other.slot = number
        )
      )
    WHERE id = ANY (:ids)
    """
)
_VERDICTS = text(
    """
    INSERT INTO verdict
      (judgement_id, candidate_id, round_id, none_fits, answer_is_wrong, fits, position, faults)
    SELECT j.id, shown.candidate_id, j.round_id, j.none_fits, false,
      shown.candidate_id = ANY (j.picked), shown.position,
      coalesce(j.faults -> CAST(shown.candidate_id AS text), '[]')
    FROM judgement AS j,
      unnest(j.shown_order) WITH ORDINALITY AS shown (candidate_id, position)
    WHERE j.id = ANY (:ids) AND NOT j.answer_is_wrong
    """
)


def give_back(session: Session, judgement_ids: Sequence[int], *, now: datetime) -> None:
    """Let judgements that were set apart count again, with the verdicts that they say."""
    values = {"ids": list(judgement_ids), "now": now}
    for statement in (_MAKE_ROOM, _GIVE_BACK, _VERDICTS):
        session.execute(statement, values)
    session.expire_all()


def list_judgements(session: Session, judgement_ids: Sequence[int]) -> Sequence[Judgement]:
    return session.scalars(
        select(Judgement).where(Judgement.id.in_(judgement_ids)).order_by(Judgement.id)
    ).all()


def lock_places(session: Session, judgement_ids: Sequence[int]) -> Sequence[RoundItem]:
    """Locks and returns the items of judgements, in order."""
    places = select(Judgement.round_item_id).where(Judgement.id.in_(judgement_ids))
    return session.scalars(
        select(RoundItem)
        .where(RoundItem.id.in_(places))
        .order_by(RoundItem.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).all()


@dataclass(frozen=True, slots=True)
class AdmittedVote:
    """A rationale that was admitted and that a person had said fits."""

    round_number: int
    item_id: int
    question: str
    text: str
    n_fits: int
    n_votes: int


def _admitted_by(project_id: int, user_id: int) -> Select[Any]:
    return (
        select()
        .select_from(Admission)
        .join(Round, Round.id == Admission.round_id)
        .join(
            VerdictRow,
            (VerdictRow.round_id == Admission.round_id)
            & (VerdictRow.candidate_id == Admission.candidate_id),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .where(
            Round.project_id == project_id, counted_judgements.user_id == user_id, VerdictRow.fits
        )
    )


def count_admitted_votes(
    session: Session, project_id: int, user_id: int
) -> Sequence[Row[int, int, int, bool, int]]:
    """Returns (round, votes that it fits, votes, whether it was adjudicated, rationales) of what
    was admitted with a person's vote."""
    columns = (
        Admission.round_id,
        Admission.n_fits,
        Admission.n_votes,
        Admission.is_adjudicated,
    )
    return session.execute(
        _admitted_by(project_id, user_id).add_columns(*columns, func.count()).group_by(*columns)
    ).all()


def list_admitted_votes(
    session: Session, project_id: int, user_id: int, *, limit: int
) -> list[AdmittedVote]:
    """Returns what was admitted with a person's vote: first what the fewest others wanted."""
    rows = session.execute(
        _admitted_by(project_id, user_id)
        .join(Item, Item.id == Admission.item_id)
        .join(Candidate, Candidate.id == Admission.candidate_id)
        .add_columns(
            Round.number,
            Item.id,
            Item.question,
            Candidate.text,
            Admission.n_fits,
            Admission.n_votes,
        )
        .order_by(Admission.n_fits, Round.number.desc(), Admission.candidate_id)
        .limit(limit)
    )
    return [AdmittedVote(*row) for row in rows]
