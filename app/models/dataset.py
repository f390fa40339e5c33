"""Images and items, and episodes of a prior. The split belongs to the image in a project."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Split
from app.models.base import Base, Json, WithCreation, WithId


class Image(WithCreation, Base):
    """A verified image file in the store, addressed by its content."""

    __tablename__ = "image"
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    media_type: Mapped[str] = mapped_column(String(50))
    width: Mapped[int]
    height: Mapped[int]
    n_bytes: Mapped[int]
    __table_args__ = (CheckConstraint("sha256 ~ '^[0-9a-f]{64}$'", name="sha256_is_hex"),)


class ProjectImage(Base):
    """An image in a project. It owns the split, so that no image is in two."""

    __tablename__ = "project_image"
    project_id: Mapped[int] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), primary_key=True
    )
    image_sha256: Mapped[str] = mapped_column(ForeignKey("image.sha256"), primary_key=True)
    split: Mapped[Split]
    withdrawn_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("project_id", "image_sha256", "split"),
        Index("ix_project_image_image_sha256", "image_sha256"),
    )


class Item(WithId, WithCreation, Base):
    """One image with a question and its answer, to be explained."""

    __tablename__ = "item"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    image_sha256: Mapped[str] = mapped_column(String(64))
    image_name: Mapped[str | None]
    """As the file was called in the import, with its folders; nothing where it was not kept."""
    split: Mapped[Split]
    external_id: Mapped[str] = mapped_column(String(500))
    question: Mapped[str]
    answer: Mapped[str]
    gold_rationales: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    answers: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    """What several people answered, where that came with the data; as often as it was said."""
    facts: Mapped[Json | None]
    version: Mapped[int] = mapped_column(server_default="1")
    excluded_at: Mapped[datetime | None]
    excluded_reason: Mapped[str | None]
    __table_args__ = (
        ForeignKeyConstraint(
            ["project_id", "image_sha256", "split"],
            ["project_image.project_id", "project_image.image_sha256", "project_image.split"],
            onupdate="CASCADE",
        ),
        UniqueConstraint("project_id", "external_id"),
        # Targets of composite keys: they carry the split and the project into other tables.
        UniqueConstraint("id", "split"),
        UniqueConstraint("id", "project_id"),
        Index("ix_item_project_id_split", "project_id", "split"),
        Index("ix_item_project_id_image_sha256", "project_id", "image_sha256"),
        # Empty, or nearly: for whoever leaves them out of many.
        Index("ix_item_excluded", "id", postgresql_where=text("excluded_at IS NOT NULL")),
        CheckConstraint("question <> '' AND answer <> ''", name="question_and_answer_given"),
    )


class PriorEpisode(WithId, WithCreation, Base):
    """An imported monologue about a train item: looks, an answer and, maybe, a rationale.

    `turns` are those of app.strategies.monologue. One that was taken out of the prior has a
    `removed_at`; it stays only where a training has read it. `item_version`: of the item when the
    episode was imported, since it tells of the question and answer of then.
    """

    __tablename__ = "prior_episode"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    item_id: Mapped[int]
    split: Mapped[Split] = mapped_column(server_default=Split.TRAIN.value)
    item_version: Mapped[int]
    turns: Mapped[list[Json]] = mapped_column(JSONB)
    answer: Mapped[str]
    rationale: Mapped[str | None]
    content_key: Mapped[str] = mapped_column(String(64))
    removed_at: Mapped[datetime | None]
    __table_args__ = (
        ForeignKeyConstraint(["item_id", "project_id"], ["item.id", "item.project_id"]),
        # Leak guard: an item has the split of its image, so no held-out image gets in either.
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        CheckConstraint("split = 'train'", name="train_split_only"),
        CheckConstraint("answer <> '' AND rationale <> ''", name="texts_given"),
        CheckConstraint(
            "jsonb_typeof(turns) = 'array' AND jsonb_array_length(turns) <= 4",
            name="at_most_four_turns",
        ),
        UniqueConstraint("id", "item_id"),
        Index(
            "uq_prior_episode_current",
            "item_id",
            "content_key",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
        Index("ix_prior_episode_project_id_item_id", "project_id", "item_id"),
    )
