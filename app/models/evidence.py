"""What was measured of a round's judgements, stored so that pages need not compute it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, String, func
from sqlalchemy.orm import Mapped, mapped_column

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
