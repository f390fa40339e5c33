"""Anchors: items that are judged in round after round, not to train on but to measure people.

A place of one in a round is a row of `round_item` with a purpose of its own, so that it is handed
out, saved and submitted like any other; nothing else of it counts (app/queries/counted.py).
"""

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

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
