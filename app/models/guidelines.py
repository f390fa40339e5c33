"""The versions of a project's guidelines with their pictures, and who has read which."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base


class GuidelinesVersion(Base):
    """The text of one version of the guidelines; append-only. The newest is also in the project."""

    __tablename__ = "guidelines_version"
    project_id: Mapped[int] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (CheckConstraint("number >= 1", name="number_positive"),)


class GuidelinesPicture(Base):
    """A picture for guidelines: `picture:NUMBER` in their text. It stays, as versions do."""

    __tablename__ = "guidelines_picture"
    project_id: Mapped[int] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    image_sha256: Mapped[str] = mapped_column(ForeignKey("image.sha256"))
    alt: Mapped[str]
    """What it shows, for people who cannot see it; a text that shows it may say it otherwise."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        CheckConstraint("number >= 1", name="number_positive"),
        UniqueConstraint("project_id", "image_sha256"),
        Index("ix_guidelines_picture_image_sha256", "image_sha256"),
    )


class GuidelinesDifference(Base):
    """The changes between two versions, as pairs of mark and text; made once."""

    __tablename__ = "guidelines_difference"
    project_id: Mapped[int] = mapped_column(primary_key=True)
    old_number: Mapped[int] = mapped_column(primary_key=True)
    new_number: Mapped[int] = mapped_column(primary_key=True)
    lines: Mapped[list[list[str]]] = mapped_column(JSONB)
    __table_args__ = (
        *(
            ForeignKeyConstraint(
                ["project_id", number],
                ["guidelines_version.project_id", "guidelines_version.number"],
                ondelete="CASCADE",
                name=f"fk_guidelines_difference_{number}",
            )
            for number in ("old_number", "new_number")
        ),
        CheckConstraint("old_number < new_number", name="numbers_in_order"),
    )


class GuidelinesReading(Base):
    """The newest version that a person has read; what came after it is a change to them."""

    __tablename__ = "guidelines_reading"
    project_id: Mapped[int] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int]
    read_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (CheckConstraint("number >= 1", name="number_positive"),)
