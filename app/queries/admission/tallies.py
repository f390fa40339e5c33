"""Votes on candidates as they were counted last, and where policies differ on them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    Float,
    SmallInteger,
    bindparam,
    delete,
    false,
    select,
    text,
)
from sqlalchemy.orm import Session

from app.lifecycle import EvidenceKind
from app.models import Candidate, CandidateTally, Item, RoundAnnotator, RoundEvidence

PAGE_SIZE = 10
"""Items on a page that compares policies."""
_BASE = 1000


def delete_tallies(session: Session, round_id: int) -> None:
    """Forget the votes of a round as they were counted."""
    session.execute(delete(CandidateTally).where(CandidateTally.round_id == round_id))


_INSERT = text(
    """
    INSERT INTO candidate_tally
      (round_id, item_id, candidate_id, n_fits, n_votes, probability, adjudicated)
    SELECT :round_id, item_id, candidate_id, n_fits, n_votes, probability, adjudicated
    FROM unnest(:item_ids, :candidate_ids, :n_fits, :n_votes, :probabilities, :adjudicated)
      AS tally (item_id, candidate_id, n_fits, n_votes, probability, adjudicated)
    """
).bindparams(
    bindparam("round_id", type_=BigInteger),
    bindparam("item_ids", type_=ARRAY(BigInteger)),
    bindparam("candidate_ids", type_=ARRAY(BigInteger)),
    bindparam("n_fits", type_=ARRAY(SmallInteger)),
    bindparam("n_votes", type_=ARRAY(SmallInteger)),
    bindparam("probabilities", type_=ARRAY(Float)),
    bindparam("adjudicated", type_=ARRAY(Boolean)),
)


def insert_tallies(
    session: Session,
    round_id: int,
    *,
    item_ids: Sequence[int],
    candidate_ids: Sequence[int],
    n_fits: Sequence[int],
    n_votes: Sequence[int],
    probabilities: Sequence[float | None],
    adjudicated: Sequence[bool | None],
) -> None:
    """Store the votes on these candidates, in one statement."""
    session.execute(
        _INSERT,
        {
            "round_id": round_id,
            "item_ids": list(item_ids),
            "candidate_ids": list(candidate_ids),
            "n_fits": list(n_fits),
            "n_votes": list(n_votes),
            "probabilities": list(probabilities),
            "adjudicated": list(adjudicated),
        },
    )


def find_trials(session: Session, round_id: int) -> RoundEvidence | None:
    """Returns what is stored of the policies that were tried on a round."""
    return session.get(RoundEvidence, (round_id, EvidenceKind.ADMISSION))


def count_submitted(session: Session, round_id: int) -> int:
    """Returns how many judgements people have submitted in a round."""
    rows = select(RoundAnnotator.n_submitted).where(RoundAnnotator.round_id == round_id)
    return sum(session.scalars(rows))


# --- Where policies differ ------------------------------------------------------------------


@dataclass(frozen=True)
class TalliedCandidate:
    candidate: Candidate
    item_id: int
    n_fits: int
    n_votes: int
    probability: float | None


@dataclass(frozen=True)
class Rule:
    """Which tallies a policy admits: these votes, or a probability from here on."""

    votes: Collection[tuple[int, int]] = ()
    """(votes that it fits, votes)."""
    probability: float | None = None

    def admits(self, tally: TalliedCandidate) -> bool:
        """Whether the policy admits a candidate."""
        if self.probability is None:
            return (tally.n_fits, tally.n_votes) in self.votes
        return tally.n_fits > 0 and (tally.probability or 0.0) >= self.probability


def list_differing(
    session: Session, round_id: int, rule: Rule, other: Rule, *, after: int, limit: int = PAGE_SIZE
) -> list[tuple[Item, list[TalliedCandidate]]]:
    """Returns items with candidates that only one of the rules admits, in order of their ids from
    `after` on, each with those candidates. What adjudicators decided is the same by every rule."""
    differs = CandidateTally.adjudicated.is_(None) & (_admits(rule) != _admits(other))
    differ = (
        select(CandidateTally.item_id)
        .where(
            CandidateTally.round_id == round_id,
            CandidateTally.item_id > after,
            differs,
        )
        .distinct()
        .order_by(CandidateTally.item_id)
        .limit(limit)
    )
    item_ids = session.scalars(differ).all()
    rows = session.execute(
        select(CandidateTally, Candidate, Item)
        .join(Candidate, Candidate.id == CandidateTally.candidate_id)
        .join(Item, Item.id == CandidateTally.item_id)
        .where(
            CandidateTally.round_id == round_id,
            CandidateTally.item_id.in_(item_ids),
            differs,
        )
        .order_by(CandidateTally.item_id, CandidateTally.candidate_id)
    )
    found: dict[int, tuple[Item, list[TalliedCandidate]]] = {}
    for tally, candidate, item in rows:
        entry = TalliedCandidate(candidate, item.id, tally.n_fits, tally.n_votes, tally.probability)
        found.setdefault(item.id, (item, []))[1].append(entry)
    return list(found.values())


def _admits(rule: Rule) -> ColumnElement[bool]:
    if rule.probability is not None:
        return (CandidateTally.n_fits > 0) & (CandidateTally.probability >= rule.probability)
    votes = [n_fits * _BASE + n_votes for n_fits, n_votes in rule.votes]
    if not votes:
        return false()
    both = CandidateTally.n_fits * _BASE + CandidateTally.n_votes
    return both.in_(votes)
