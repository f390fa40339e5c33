"""Results of rounds: admissions, what adjudicators decide, training rows, scores and releases."""

from datetime import datetime

from sqlalchemy import (
    CheckConstraint,
    Computed,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Purpose, Split, UserKind
from app.models.base import Base, Json, WithCreation, WithId


class Admission(WithCreation, Base):
    """The decision, by policy, that a candidate may be trained on."""

    __tablename__ = "admission"
    round_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    purpose: Mapped[Purpose] = mapped_column(server_default=Purpose.TRAINING.value)
    policy: Mapped[str] = mapped_column(String(50))
    judge_kind: Mapped[UserKind]
    n_fits: Mapped[int]
    n_votes: Mapped[int]
    probability: Mapped[float | None]
    """That it fits, where the policy weighs people; else None."""
    is_adjudicated: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether an adjudicator decided it, whatever the votes say."""
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "item_id", "purpose"],
            ["round_item.round_id", "round_item.item_id", "round_item.purpose"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        CheckConstraint("purpose = 'training'", name="training_only"),
        # What an adjudicator calls fitting needs no vote for it.
        CheckConstraint(
            "n_fits BETWEEN (NOT is_adjudicated)::int AND n_votes", name="votes_add_up"
        ),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability_within"),
        CheckConstraint(
            "(policy LIKE 'dawid_skene%') = (probability IS NOT NULL)",
            name="probability_of_people",
        ),
        Index("ix_admission_item_id", "item_id"),
        Index("ix_admission_candidate_id", "candidate_id"),
    )


class AdmissionDecision(WithCreation, Base):
    """What the policy of a round decided with, and how much it admitted."""

    __tablename__ = "admission_decision"
    round_id: Mapped[int] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), primary_key=True
    )
    policy: Mapped[str] = mapped_column(String(50))
    n_rationales: Mapped[int]
    n_items: Mapped[int]
    n_judged_items: Mapped[int]
    n_disputed: Mapped[int] = mapped_column(server_default="0")
    """Candidates on which people differed."""
    n_adjudicated: Mapped[int] = mapped_column(server_default="0")
    """Judged candidates that an adjudicator decided, for or against."""
    weighing: Mapped[Json | None]
    """How people were weighed (`Weighing`); None where votes were only counted."""
    __table_args__ = (
        CheckConstraint(
            "n_items <= n_rationales AND n_items <= n_judged_items", name="counts_add_up"
        ),
        CheckConstraint(
            "(policy LIKE 'dawid_skene%') = (weighing IS NOT NULL)", name="weighing_of_people"
        ),
    )


class Adjudication(Base):
    """What an adjudicator decided of a candidate on which people differed: it fits, or not.

    Apart from judgements on purpose: it is no vote, and no figure about people reads it.
    """

    __tablename__ = "adjudication"
    round_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[Purpose] = mapped_column(server_default=Purpose.TRAINING.value)
    is_shown: Mapped[bool] = mapped_column(server_default=text("true"))
    fits: Mapped[bool]
    decided_by_id: Mapped[int] = mapped_column(ForeignKey("user.id"))
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "item_id", "purpose"],
            ["round_item.round_id", "round_item.item_id", "round_item.purpose"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        # What nobody saw, nobody differs on.
        ForeignKeyConstraint(
            ["round_id", "candidate_id", "is_shown"],
            [
                "round_candidate.round_id",
                "round_candidate.candidate_id",
                "round_candidate.is_shown",
            ],
        ),
        CheckConstraint("purpose = 'training'", name="training_only"),
        CheckConstraint("is_shown", name="shown_only"),
        UniqueConstraint("round_id", "candidate_id"),
        Index("ix_adjudication_decided_by_id", "round_id", "decided_by_id", "decided_at"),
        Index("ix_adjudication_decided_at", "round_id", "decided_at", "item_id"),
        Index("ix_adjudication_candidate_id", "candidate_id"),
    )


class TrainingRow(WithId, Base):
    """The manifest a trainer reads. The rationale is a candidate, a person's own text, named by its
    judgement and the candidate that it mends, or that of an episode; answer-only rows have none.
    """

    __tablename__ = "training_row"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    item_id: Mapped[int]
    split: Mapped[Split] = mapped_column(server_default=Split.TRAIN.value)
    candidate_id: Mapped[int | None]
    written_judgement_id: Mapped[int | None]
    written_candidate_id: Mapped[int | None]
    prior_episode_id: Mapped[int | None]
    weight: Mapped[float] = mapped_column(server_default="1")
    __table_args__ = (
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        # Leak guard: held-out items can never be trained on, not even answer-only.
        CheckConstraint("split = 'train'", name="train_split_only"),
        # No cascade: a text that was trained on stays.
        ForeignKeyConstraint(
            ["written_judgement_id", "written_candidate_id", "item_id"],
            [
                "written_rationale.judgement_id",
                "written_rationale.candidate_id",
                "written_rationale.item_id",
            ],
            name="fk_training_row_written_rationale",
        ),
        # No cascade here either.
        ForeignKeyConstraint(
            ["prior_episode_id", "item_id"], ["prior_episode.id", "prior_episode.item_id"]
        ),
        CheckConstraint(
            "num_nonnulls(candidate_id, written_judgement_id, prior_episode_id) <= 1",
            name="one_rationale",
        ),
        CheckConstraint(
            "num_nulls(written_judgement_id, written_candidate_id) IN (0, 2)",
            name="written_whole_or_absent",
        ),
        UniqueConstraint(
            "run_id",
            "item_id",
            "candidate_id",
            "written_judgement_id",
            "written_candidate_id",
            "prior_episode_id",
            name="uq_training_row_rationale",
            postgresql_nulls_not_distinct=True,
        ),
        Index("ix_training_row_item_id", "item_id"),
        Index(
            "ix_training_row_written_judgement_id",
            "written_judgement_id",
            postgresql_where=text("written_judgement_id IS NOT NULL"),
        ),
        Index(
            "ix_training_row_prior_episode_id",
            "prior_episode_id",
            postgresql_where=text("prior_episode_id IS NOT NULL"),
        ),
    )


class TrainingBox(Base):
    """A box that people drew about an item of a training, as its manifest names it: where the
    attention of the model that learns is led. Other people may have drawn the same.

    The record of what was read: it stays when what it was read from is set apart or deleted.
    """

    __tablename__ = "training_box"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    item_id: Mapped[int] = mapped_column(primary_key=True)
    split: Mapped[Split] = mapped_column(server_default=Split.TRAIN.value)
    left: Mapped[float] = mapped_column(primary_key=True)
    top: Mapped[float] = mapped_column(primary_key=True)
    right: Mapped[float] = mapped_column(primary_key=True)
    bottom: Mapped[float] = mapped_column(primary_key=True)
    __table_args__ = (
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        # Leak guard: no attention is led to anything on a held-out picture.
        CheckConstraint("split = 'train'", name="train_split_only"),
        CheckConstraint(
            '"left" >= 0 AND "left" < "right" AND "right" <= 1', name="lies_within_width"
        ),
        CheckConstraint("top >= 0 AND top < bottom AND bottom <= 1", name="lies_within_height"),
        Index("ix_training_box_item_id", "item_id"),
    )


class UntaughtLook(Base):
    """A look in the manifest of a training of which it does not learn the words of its role, since
    people do not want them, with a turn of a draw in which they stand; the same words about the
    item are the same look. Of an observer these are observations that people found untrue, of a
    reasoner useless questions. `judgement_id`: whose correction of this turn it learns instead;
    None where it learns nothing of it.

    Written before the training starts, so that a retry leaves out the same, whatever people say
    meanwhile. That the draw is of the item and has such a turn is checked by a trigger.
    """

    __tablename__ = "untaught_look"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id"), primary_key=True)
    turn: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    split: Mapped[Split] = mapped_column(server_default=Split.TRAIN.value)
    judgement_id: Mapped[int | None]
    __table_args__ = (
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        # Leak guard: nothing that people say of a held-out picture is ever taught.
        CheckConstraint("split = 'train'", name="train_split_only"),
        CheckConstraint("turn >= 1", name="turn_from_one"),
        # No cascade: a correction that was trained on stays.
        ForeignKeyConstraint(
            ["judgement_id", "sample_id", "turn"],
            [
                "corrected_observation.judgement_id",
                "corrected_observation.sample_id",
                "corrected_observation.turn",
            ],
            name="fk_untaught_look_corrected_observation",
        ),
        Index("ix_untaught_look_item_id", "item_id"),
        Index("ix_untaught_look_sample_id", "sample_id"),
        Index(
            "ix_untaught_look_judgement_id",
            "judgement_id",
            postgresql_where=text("judgement_id IS NOT NULL"),
        ),
    )


class Score(WithId, Base):
    """A number from an evaluation run, with its interval."""

    __tablename__ = "score"
    run_id: Mapped[int]
    run_attempt: Mapped[int]
    split: Mapped[Split]
    name: Mapped[str] = mapped_column(String(50))
    value: Mapped[float]
    n: Mapped[int]
    low: Mapped[float | None]
    high: Mapped[float | None]
    __table_args__ = (
        ForeignKeyConstraint(
            ["run_id", "run_attempt"], ["run.id", "run.attempt"], ondelete="CASCADE"
        ),
        UniqueConstraint("run_id", "split", "name"),
    )


class Release(WithId, WithCreation, Base):
    """An immutable, numbered export (trigger)."""

    __tablename__ = "release"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    number: Mapped[int]
    content_hash: Mapped[str] = mapped_column(String(64))
    n_rows: Mapped[int]
    card: Mapped[Json]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    __table_args__ = (UniqueConstraint("project_id", "number"),)


class ReleaseRow(Base):
    """The manifest of a release, so that a rebuild is the same bytes (immutable, trigger)."""

    __tablename__ = "release_row"
    release_id: Mapped[int] = mapped_column(
        ForeignKey("release.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    is_tombstone: Mapped[bool] = mapped_column(server_default=text("false"))
    payload: Mapped[Json]
    # Of the payload, so that two releases of any size are compared without reading it.
    row_id: Mapped[str | None] = mapped_column(Computed("payload ->> 'row_id'", persisted=True))
    kind: Mapped[str | None] = mapped_column(Computed("payload ->> 'kind'", persisted=True))
    digest: Mapped[str | None] = mapped_column(Computed("md5(payload::text)", persisted=True))
    __table_args__ = (
        Index(
            "ix_release_row_row_id",
            "release_id",
            "row_id",
            postgresql_include=["kind", "digest", "number"],
            postgresql_where=text("NOT is_tombstone"),
        ),
    )
