"""Writes what is admitted in a round, and what its policy decided with."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, BigInteger, Boolean, Float, bindparam, delete, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Admission, AdmissionDecision
from app.models.base import Json


def delete_admissions(session: Session, round_id: int) -> None:
    """Forget what was admitted in a round."""
    session.execute(delete(Admission).where(Admission.round_id == round_id))


_IDS = ARRAY(BigInteger)
_INSERT_ADMISSIONS = text(
    """
    INSERT INTO admission
      (round_id, candidate_id, item_id, purpose, policy, judge_kind, n_fits, n_votes, probability,
      is_adjudicated)
    SELECT :round_id, candidate_id, item_id, 'training', :policy, :judge_kind, n_fits, n_votes,
      probability, is_adjudicated
    FROM unnest(:candidate_ids, :item_ids, :n_fits, :n_votes, :probabilities, :are_adjudicated)
      AS admitted (candidate_id, item_id, n_fits, n_votes, probability, is_adjudicated)
    """
).bindparams(
    bindparam("round_id", type_=BigInteger),
    *(bindparam(name, type_=_IDS) for name in ("candidate_ids", "item_ids", "n_fits", "n_votes")),
    bindparam("probabilities", type_=ARRAY(Float)),
    bindparam("are_adjudicated", type_=ARRAY(Boolean)),
)


def insert_admissions(
    session: Session,
    round_id: int,
    *,
    candidate_ids: Sequence[int],
    item_ids: Sequence[int],
    n_fits: Sequence[int],
    n_votes: Sequence[int],
    probabilities: Sequence[float | None],
    are_adjudicated: Sequence[bool],
    policy: str,
    judge_kind: UserKind,
) -> None:
    """Store that these candidates are admitted, in one statement."""
    session.execute(
        _INSERT_ADMISSIONS,
        {
            "round_id": round_id,
            "policy": policy,
            "judge_kind": judge_kind.value,
            "candidate_ids": list(candidate_ids),
            "item_ids": list(item_ids),
            "n_fits": list(n_fits),
            "n_votes": list(n_votes),
            "probabilities": list(probabilities),
            "are_adjudicated": list(are_adjudicated),
        },
    )


def store_decision(
    session: Session,
    round_id: int,
    *,
    policy: str,
    n_rationales: int,
    n_items: int,
    n_judged_items: int,
    n_disputed: int,
    n_adjudicated: int,
    weighing: Json | None,
) -> None:
    """Keep what the policy of a round decided with, in place of an earlier try."""
    values = {
        "policy": policy,
        "n_rationales": n_rationales,
        "n_items": n_items,
        "n_judged_items": n_judged_items,
        "n_disputed": n_disputed,
        "n_adjudicated": n_adjudicated,
        "weighing": weighing,
    }
    session.execute(
        insert(AdmissionDecision)
        .values(round_id=round_id, **values)
        .on_conflict_do_update(index_elements=["round_id"], set_=values)
    )
