"""What was measured of a round's judgements, stored so that pages need not compute it."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    String,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Split
from app.models.base import Base, Json


class RoundEvidence(Base):
    """The newest figures of one kind about a round, and when they were measured."""

    __tablename__ = "round_evidence"
    round_id: Mapped[int] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), primary_key=True
    )
    kind: Mapped[str] = mapped_column(String(30), primary_key=True)
    """A value of `EvidenceKind`; not checked here, so that a new kind needs no migration."""
    figures: Mapped[Json]
    run_id: Mapped[int]
    run_attempt: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "run_attempt"], ["run.id", "run.attempt"], ondelete="CASCADE"
        ),
        CheckConstraint("kind ~ '^[a-z_]+$'", name="kind_is_a_name"),
        Index("ix_round_evidence_run_id", "run_id"),
    )


class CandidateTally(Base):
    """The votes on a candidate of a round as they were when its evidence was gathered, and how
    probable it then was that it fits: what policies decide by, for pages that compare them."""

    __tablename__ = "candidate_tally"
    round_id: Mapped[int] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), primary_key=True
    )
    item_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    n_fits: Mapped[int] = mapped_column(SmallInteger)
    n_votes: Mapped[int] = mapped_column(SmallInteger)
    probability: Mapped[float | None]
    """None where a critic judged: then nobody is weighed."""
    adjudicated: Mapped[bool | None]
    """What an adjudicator decided of it by then; None where nobody did."""
    __table_args__ = (
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        CheckConstraint("n_fits BETWEEN 0 AND n_votes", name="votes_add_up"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability_within"),
        Index("ix_candidate_tally_candidate_id", "candidate_id"),
    )


class ItemTrail(Base):
    """How an item fared in each round of its project, a letter for each (`app/item_trails.py`), as
    it was when a round was last closed, decided or measured."""

    __tablename__ = "item_trail"
    item_id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int]
    split: Mapped[Split]
    trail: Mapped[str]
    __table_args__ = (
        ForeignKeyConstraint(
            ["item_id", "project_id"], ["item.id", "item.project_id"], ondelete="CASCADE"
        ),
        CheckConstraint("trail ~ '^[rsuoicz-]+$'", name="letters_known"),
        Index("ix_item_trail_project_id", "project_id", "split", "trail", "item_id"),
    )
