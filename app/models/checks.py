"""Check items: items whose verdicts are known, mixed in among those that people judge.

A place of one in a round is a row of `round_item` with the purpose `check`, so that it is handed
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

from app.models.base import Base, WithCreation, WithId


class CheckItem(WithId, WithCreation, Base):
    """An item with expected verdicts on some of its candidates. Neither ever changes (trigger).

    It is mixed in until `max_uses` people have submitted it, or an admin retires it.
    """

    __tablename__ = "check_item"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    item_id: Mapped[int]
    max_uses: Mapped[int]
    retired_at: Mapped[datetime | None]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    __table_args__ = (
        ForeignKeyConstraint(
            ["item_id", "project_id"], ["item.id", "item.project_id"], ondelete="CASCADE"
        ),
        # What its places in rounds, and its verdicts, refer to.
        UniqueConstraint("id", "item_id"),
        CheckConstraint("max_uses >= 1", name="used_at_least_once"),
        Index(
            "uq_check_item_serving",
            "item_id",
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
        Index("ix_check_item_project_id", "project_id"),
    )


class CheckCandidate(Base):
    """A candidate of a check item, with the verdict that is expected of everybody."""

    __tablename__ = "check_candidate"
    check_item_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    fits: Mapped[bool]
    __table_args__ = (
        ForeignKeyConstraint(
            ["check_item_id", "item_id"],
            ["check_item.id", "check_item.item_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        Index("ix_check_candidate_candidate_id", "candidate_id"),
    )
