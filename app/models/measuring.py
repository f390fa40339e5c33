"""Anchors and comparisons: items that are judged to measure people and models, not to train on.

A place of one in a round is a row of `round_item` with a purpose of its own, so that it is handed
out, saved and submitted like any other; nothing else of it counts (app/queries/counted.py).
"""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Split
from app.models.base import Base, WithCreation, WithId


class AnchorItem(WithId, WithCreation, Base):
    """An item whose candidates are judged again in every round, as they were shown in `round_id`.

    Those are the round's shown candidates, of which none changes once a round is judged.
    """

    __tablename__ = "anchor_item"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    item_id: Mapped[int]
    round_id: Mapped[int]
    __table_args__ = (
        ForeignKeyConstraint(
            ["item_id", "project_id"], ["item.id", "item.project_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(
            ["round_id", "item_id"],
            ["round_item.round_id", "round_item.item_id"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("item_id"),
        Index("ix_anchor_item_project_id", "project_id"),
        Index("ix_anchor_item_round_id", "round_id"),
    )


class Comparison(WithId, WithCreation, Base):
    """A question to people, or a critic: does the adapter that `round_id` made write better than
    the one before it? One per round, unless it was cancelled."""

    __tablename__ = "comparison"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    round_id: Mapped[int]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    """The newest run that samples for it."""
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    cancelled_at: Mapped[datetime | None]
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "project_id"], ["round.id", "round.project_id"], ondelete="CASCADE"
        ),
        Index(
            "uq_comparison_one_per_round",
            "round_id",
            unique=True,
            postgresql_where=text("cancelled_at IS NULL"),
        ),
        Index("ix_comparison_project_id", "project_id"),
        Index("ix_comparison_run_id", "run_id"),
    )


class ComparisonItem(Base):
    """A held-out item of a comparison, and the round in which people judge it."""

    __tablename__ = "comparison_item"
    comparison_id: Mapped[int] = mapped_column(
        ForeignKey("comparison.id", ondelete="CASCADE"), primary_key=True
    )
    item_id: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[Split] = mapped_column(server_default=Split.TEST.value)
    round_id: Mapped[int | None]
    """None until its place is put into a round."""
    __table_args__ = (
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"], ondelete="CASCADE"),
        # No figure but the final ones is of these items: nothing is chosen or trained by them.
        CheckConstraint("split = 'test'", name="test_split_only"),
        ForeignKeyConstraint(
            ["round_id", "item_id"], ["round_item.round_id", "round_item.item_id"]
        ),
        Index("ix_comparison_item_item_id", "item_id"),
        Index("ix_comparison_item_round_id", "round_id", "item_id"),
    )


class ComparisonCandidate(Base):
    """A text of a comparison, and how often each of the two adapters drew it.

    Where it comes from stands here alone: no row that a page of judging reads tells it.
    """

    __tablename__ = "comparison_candidate"
    comparison_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    n_old: Mapped[int]
    n_new: Mapped[int]
    is_shown: Mapped[bool]
    fits: Mapped[bool | None]
    """What the critic says of a shown one; None where people judge."""
    shard_id: Mapped[int]
    shard_attempt: Mapped[int]
    __table_args__ = (
        ForeignKeyConstraint(
            ["comparison_id", "item_id"],
            ["comparison_item.comparison_id", "comparison_item.item_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        # Fencing: only the worker that holds the shard's current attempt can insert.
        ForeignKeyConstraint(["shard_id", "shard_attempt"], ["run_shard.id", "run_shard.attempt"]),
        CheckConstraint("n_old >= 0 AND n_new >= 0 AND n_old + n_new > 0", name="somebody_drew_it"),
        CheckConstraint("fits IS NULL OR is_shown", name="shown_only"),
        Index("ix_comparison_candidate_candidate_id", "candidate_id"),
        Index("ix_comparison_candidate_shard_id", "shard_id"),
    )
