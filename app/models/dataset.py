"""Images and items, episodes of a prior, and what a model asked about images and people said of it.
The split belongs to the image in a project."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import JudgementStatus, QuestionState, Split
from app.models.base import Base, Json, WithCountedTime, WithCreation, WithId


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
    image_name: Mapped[str | None]
    """As the file was called, with its folders, of an image that came without a question; of others
    their items say it."""
    facts: Mapped[Json | None]
    """The facts that were imported with an image that has no question; critics read them."""
    __table_args__ = (
        UniqueConstraint("project_id", "image_sha256", "split"),
        Index(
            "ix_project_image_alone",
            "project_id",
            "split",
            "image_sha256",
            postgresql_where=text("image_name IS NOT NULL"),
        ),
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


class AskedImage(WithId, WithCreation, Base):
    """An image that a run asked about: its description by the model, and what was drawn.

    n_known: draws that asked what was known of the image; n_empty: draws that asked nothing, or
    were cut; n_over: distinct questions over the limit of the image, which are not kept anywhere.
    """

    __tablename__ = "asked_image"
    project_id: Mapped[int]
    image_sha256: Mapped[str] = mapped_column(String(64))
    split: Mapped[Split]
    round_id: Mapped[int]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    shard_id: Mapped[int]
    shard_attempt: Mapped[int]
    adapter_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    description: Mapped[str]
    n_drawn: Mapped[int]
    n_known: Mapped[int]
    n_empty: Mapped[int]
    n_over: Mapped[int]
    __table_args__ = (
        UniqueConstraint("run_id", "image_sha256"),
        UniqueConstraint("id", "project_id", "image_sha256"),
        ForeignKeyConstraint(
            ["round_id", "project_id"], ["round.id", "round.project_id"], ondelete="CASCADE"
        ),
        # The split is the image's: what is asked about a held-out image stays held out.
        ForeignKeyConstraint(
            ["project_id", "image_sha256", "split"],
            ["project_image.project_id", "project_image.image_sha256", "project_image.split"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        # Fencing: only the worker that holds the shard's current attempt can insert.
        ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            ondelete="CASCADE",
        ),
        CheckConstraint("least(n_drawn, n_known, n_empty, n_over) >= 0", name="counts"),
        Index("ix_asked_image_round_id", "round_id"),
        Index("ix_asked_image_shard_id", "shard_id"),
        Index("ix_asked_image_project_id_image", "project_id", "image_sha256"),
    )


_IS_PROPOSED = text("state = 'proposed'")


class AskedQuestion(WithId, WithCreation, Base):
    """A distinct question that a model asked about an image, in one wording of those it drew.

    Nobody has decided on it yet, or it was kept and became an item, or dropped. seed, temperature
    and log_probability are of the draw whose wording it has.
    """

    __tablename__ = "asked_question"
    asked_image_id: Mapped[int]
    project_id: Mapped[int]
    image_sha256: Mapped[str] = mapped_column(String(64))
    text: Mapped[str]
    text_key: Mapped[str] = mapped_column(String(64))
    n_draws: Mapped[int]
    seed: Mapped[int]
    temperature: Mapped[float]
    log_probability: Mapped[float | None]
    answer: Mapped[str | None]
    """The model's own, from the picture; none where it gave none, or was not asked for one."""
    state: Mapped[QuestionState] = mapped_column(server_default=QuestionState.PROPOSED.value)
    decided_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    edited_text: Mapped[str | None]
    """The wording in which a person kept it, where that is another one."""
    kept_answer: Mapped[str | None]
    """The answer with which it was kept."""
    is_about_image: Mapped[bool | None]
    """Whether it is about what the image shows, as a person said; none where nobody said so."""
    is_worth_asking: Mapped[bool | None]
    """As a person said, too."""
    kind: Mapped[str | None] = mapped_column(String(50))
    """As a critic reads it, and so are the next two: whether it has an answer in its image, and in
    another one."""
    is_grounded: Mapped[bool | None]
    is_grounded_elsewhere: Mapped[bool | None]
    item_id: Mapped[int | None] = mapped_column(ForeignKey("item.id", ondelete="SET NULL"))
    __table_args__ = (
        # Near-duplicates are one question, over all rounds of an image.
        UniqueConstraint("project_id", "image_sha256", "text_key"),
        UniqueConstraint("item_id"),
        ForeignKeyConstraint(
            ["asked_image_id", "project_id", "image_sha256"],
            ["asked_image.id", "asked_image.project_id", "asked_image.image_sha256"],
            ondelete="CASCADE",
        ),
        CheckConstraint("text <> ''", name="text_given"),
        CheckConstraint("n_draws >= 1", name="drawn"),
        CheckConstraint("item_id IS NULL OR state = 'kept'", name="items_are_kept"),
        CheckConstraint(
            "(state = 'proposed') = (decided_by_id IS NULL)", name="decided_by_somebody"
        ),
        CheckConstraint(
            "state <> 'proposed'"
            " OR num_nonnulls(edited_text, kept_answer, is_about_image, is_worth_asking) = 0",
            name="undecided_says_nothing",
        ),
        CheckConstraint(
            "state = 'kept' OR num_nonnulls(edited_text, kept_answer) = 0",
            name="dropped_has_no_text",
        ),
        CheckConstraint(
            "answer <> '' AND edited_text <> '' AND kept_answer <> ''", name="texts_not_empty"
        ),
        Index("ix_asked_question_asked_image_id", "asked_image_id"),
        # What waits for people, in the order in which it is handed out.
        Index(
            "ix_asked_question_proposed",
            "project_id",
            "asked_image_id",
            postgresql_where=_IS_PROPOSED,
        ),
    )


class QuestionReview(WithId, WithCountedTime, Base):
    """One person's place at the questions of an image that was asked about, from lease to
    submission.

    The statuses are those of judgements. Only one person at a time has an image, whichever rounds
    asked about it; a lease that ran out keeps its choices. n_words: of the questions and answers;
    n_trace_words: of the description that led to them.
    """

    __tablename__ = "question_review"
    asked_image_id: Mapped[int]
    project_id: Mapped[int]
    image_sha256: Mapped[str] = mapped_column(String(64))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    status: Mapped[JudgementStatus] = mapped_column(server_default=JudgementStatus.LEASED.value)
    lease_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="0")
    choices: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """What this person says of the questions; written to them at submission."""
    leased_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    submitted_at: Mapped[datetime | None]
    __table_args__ = (
        ForeignKeyConstraint(
            ["asked_image_id", "project_id", "image_sha256"],
            ["asked_image.id", "asked_image.project_id", "asked_image.image_sha256"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("asked_image_id", "user_id"),
        Index(
            "uq_question_review_held",
            "project_id",
            "image_sha256",
            unique=True,
            postgresql_where=text("status IN ('leased', 'draft')"),
        ),
        Index(
            "uq_question_review_live",
            "asked_image_id",
            unique=True,
            postgresql_where=text("status IN ('leased', 'draft', 'submitted')"),
        ),
        CheckConstraint("status <> 'withdrawn'", name="never_withdrawn"),
        CheckConstraint(
            "(lease_until IS NOT NULL) = (status IN ('leased', 'draft'))", name="lease_has_end"
        ),
        CheckConstraint(
            "(status = 'submitted') = (submitted_at IS NOT NULL)", name="submitted_has_time"
        ),
        CheckConstraint("least(active_ms, n_words, n_trace_words, n_typed) >= 0", name="counts"),
        CheckConstraint("jsonb_typeof(choices) = 'object'", name="choices_by_question"),
        Index("ix_question_review_user_id", "user_id", "project_id", "submitted_at"),
        Index(
            "ix_question_review_lease_until",
            "lease_until",
            postgresql_where=text("status IN ('leased', 'draft')"),
        ),
    )
