"""The practice round: items with expected verdicts and explanations, and people's tries.

It has tables of its own. A judgement is never practice, so that nothing here can come into
admission, figures or releases by a forgotten condition.
"""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json, WithCreation, WithId


class PracticeItem(WithId, WithCreation, Base):
    """An item that people practise on, and what an admin says about it."""

    __tablename__ = "practice_item"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    item_id: Mapped[int]
    position: Mapped[int]
    """Its place in the practice round; equal ones go by id."""
    answer: Mapped[str]
    """The answer as it is shown here: a wrong one can be practised on any item."""
    answer_is_wrong: Mapped[bool] = mapped_column(server_default=text("false"))
    explanation: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        ForeignKeyConstraint(
            ["item_id", "project_id"], ["item.id", "item.project_id"], ondelete="CASCADE"
        ),
        CheckConstraint("answer <> ''", name="answer_given"),
        UniqueConstraint("project_id", "item_id"),
        # What answers refer to: an answer belongs to an item of its own project.
        UniqueConstraint("id", "project_id"),
    )


class PracticeCandidate(WithId, Base):
    """A text to judge in practice, with the verdict that is expected and why."""

    __tablename__ = "practice_candidate"
    practice_item_id: Mapped[int] = mapped_column(
        ForeignKey("practice_item.id", ondelete="CASCADE")
    )
    position: Mapped[int]
    text: Mapped[str]
    fits: Mapped[bool]
    explanation: Mapped[str] = mapped_column(server_default="")
    __table_args__ = (
        UniqueConstraint("practice_item_id", "position"),
        CheckConstraint("text <> ''", name="text_given"),
    )


class PracticeAttempt(WithId, Base):
    """One go of one person through the practice round."""

    __tablename__ = "practice_attempt"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), index=True)
    number: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]
    is_passed: Mapped[bool] = mapped_column(server_default=text("false"))
    __table_args__ = (
        UniqueConstraint("project_id", "user_id", "number"),
        UniqueConstraint("id", "project_id"),
        CheckConstraint("finished_at IS NOT NULL OR NOT is_passed", name="passed_when_finished"),
        Index(
            "uq_practice_attempt_open",
            "project_id",
            "user_id",
            unique=True,
            postgresql_where=text("finished_at IS NULL"),
        ),
    )


class PracticeAnswer(WithId, Base):
    """A person's answer to one practice item, and the explanations as they stood then."""

    __tablename__ = "practice_answer"
    attempt_id: Mapped[int]
    project_id: Mapped[int]
    practice_item_id: Mapped[int]
    content: Mapped[Json]
    n_right: Mapped[int]
    n_asked: Mapped[int]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["attempt_id", "project_id"],
            ["practice_attempt.id", "practice_attempt.project_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["practice_item_id", "project_id"],
            ["practice_item.id", "practice_item.project_id"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("attempt_id", "practice_item_id"),
        CheckConstraint("n_asked >= 1 AND n_right BETWEEN 0 AND n_asked", name="right_of_asked"),
        Index("ix_practice_answer_practice_item_id", "practice_item_id"),
    )
