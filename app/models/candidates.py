"""Texts that the model wrote, and the candidates among them that a round shows."""

from sqlalchemy import (
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import AuthorKind, FailureKind, Purpose, RoundItemState, Split
from app.models.base import Base, Json, StoredSentence, WithCreation, WithId


class Candidate(WithId, WithCreation, Base):
    """A distinct rationale text for an item. Never changes after it is written (trigger)."""

    __tablename__ = "candidate"
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))
    text_key: Mapped[str] = mapped_column(String(64))
    text: Mapped[str]
    author_kind: Mapped[AuthorKind] = mapped_column(server_default=AuthorKind.MODEL.value)
    author_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    key_version: Mapped[int] = mapped_column(server_default="2")
    """1: written when draws that differed only in marks, signs or symbols counted as one text."""
    __table_args__ = (
        UniqueConstraint("item_id", "text_key"),
        UniqueConstraint("id", "item_id"),
        CheckConstraint("text <> ''", name="text_given"),
    )


class Sample(WithId, Base):
    """One draw of the model."""

    __tablename__ = "sample"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    shard_id: Mapped[int]
    shard_attempt: Mapped[int]
    item_id: Mapped[int]
    candidate_id: Mapped[int | None]
    adapter_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    strategy: Mapped[str] = mapped_column(String(50))
    prompt: Mapped[str]
    temperature: Mapped[float]
    number: Mapped[int]
    seed: Mapped[int]
    # None where a serving engine does not say.
    log_probability: Mapped[float | None]
    # Of all roles, what serves several draws shared out among them; of the reasoner alone where an
    # older version played a monologue.
    n_tokens: Mapped[int | None]
    # Ended at the limit of tokens. None where nobody noted it, as with draws of before.
    is_cut: Mapped[bool | None]
    trace: Mapped[Json | None]
    __table_args__ = (
        UniqueConstraint("run_id", "item_id", "strategy", "prompt", "temperature", "number"),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        # Fencing: only the worker that holds the shard's current attempt can insert.
        ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            ondelete="CASCADE",
        ),
        Index("ix_sample_candidate_id", "candidate_id"),
        Index("ix_sample_item_id", "item_id"),
        Index("ix_sample_shard_id", "shard_id"),
        # Few draws are cut, and the page of a round counts them every two seconds.
        Index("ix_sample_cut", "run_id", postgresql_where=text("is_cut IS TRUE")),
        # The newest of few among many.
        Index(
            "ix_sample_not_understood",
            "run_id",
            "id",
            postgresql_where=text("trace ->> 'outcome' = 'not_understood'"),
        ),
    )


class Prediction(WithId, Base):
    """A model's answer and rationale for a held-out item in an evaluation, with their scores.

    `blank_…`: the same when it was asked with a blank picture instead; null where it was not.
    Whether it fits is null where the critic could not judge the item, whatever was said of it.
    """

    __tablename__ = "prediction"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    shard_id: Mapped[int]
    shard_attempt: Mapped[int]
    item_id: Mapped[int]
    split: Mapped[Split]
    answer: Mapped[str]
    rationale: Mapped[str]
    answer_is_right: Mapped[bool]
    fits: Mapped[bool | None]
    fault: Mapped[str | None]
    soft_accuracy: Mapped[float | None]
    """None where too few people's answers came with the item."""
    blank_answer: Mapped[str | None]
    blank_rationale: Mapped[str | None]
    blank_answer_is_right: Mapped[bool | None]
    blank_fits: Mapped[bool | None]
    blank_soft_accuracy: Mapped[float | None]
    __table_args__ = (
        UniqueConstraint("run_id", "item_id"),
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            ondelete="CASCADE",
        ),
        # Evaluating on what is trained on would say nothing.
        CheckConstraint("split <> 'train'", name="held_out_only"),
        CheckConstraint("answer_is_right OR fits IS NOT TRUE", name="wrong_answer_is_no_fit"),
        CheckConstraint(
            "num_nulls(blank_answer, blank_rationale, blank_answer_is_right) IN (0, 3)",
            name="blank_whole_or_absent",
        ),
        # Whether there is a verdict is a matter of the item: on all that was said, or nothing.
        CheckConstraint(
            "(blank_fits IS NULL) = (fits IS NULL OR blank_answer IS NULL)",
            name="verdict_on_both_or_neither",
        ),
        CheckConstraint("fits IS NOT NULL OR fault IS NULL", name="fault_has_verdict"),
        CheckConstraint(
            "blank_answer_is_right OR blank_fits IS NOT TRUE", name="blank_wrong_answer_is_no_fit"
        ),
        CheckConstraint(
            "soft_accuracy BETWEEN 0 AND 1 AND blank_soft_accuracy BETWEEN 0 AND 1",
            name="soft_accuracy_within",
        ),
        Index("ix_prediction_item_id", "item_id"),
        Index("ix_prediction_shard_id", "shard_id"),
    )


class ItemFailure(WithId, WithCreation, Base):
    """An item that a run could not do, or not all of, while the rest of its shard went on."""

    __tablename__ = "item_failure"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    shard_id: Mapped[int]
    shard_attempt: Mapped[int]
    item_id: Mapped[int] = mapped_column(ForeignKey("item.id", ondelete="CASCADE"))
    kind: Mapped[FailureKind]
    reason: Mapped[str] = mapped_column(StoredSentence)
    __table_args__ = (
        UniqueConstraint("run_id", "item_id"),
        ForeignKeyConstraint(
            ["shard_id", "shard_attempt"],
            ["run_shard.id", "run_shard.attempt"],
            ondelete="CASCADE",
        ),
        CheckConstraint("reason <> '\"\"'::jsonb", name="reason_given"),
        Index("ix_item_failure_item_id", "item_id"),
        Index("ix_item_failure_shard_id", "shard_id"),
    )


class RoundItem(WithId, Base):
    """An item in a round, with the places for its annotators."""

    __tablename__ = "round_item"
    round_id: Mapped[int]
    project_id: Mapped[int]
    item_id: Mapped[int]
    split: Mapped[Split]
    purpose: Mapped[Purpose]
    state: Mapped[RoundItemState] = mapped_column(server_default=RoundItemState.WAITING.value)
    slots: Mapped[int]
    max_slots: Mapped[int]
    n_taken: Mapped[int] = mapped_column(server_default="0")
    n_submitted: Mapped[int] = mapped_column(server_default="0")
    priority: Mapped[float] = mapped_column(server_default="0")
    # What the trigger takes off the priority for each place that is taken: 1 in `fewest_first`.
    taken_weight: Mapped[float] = mapped_column(server_default="0")
    random_key: Mapped[float]
    check_item_id: Mapped[int | None]
    set_aside_reason: Mapped[str | None] = mapped_column(StoredSentence)
    disputed: Mapped[list[int]] = mapped_column(server_default=text("'{}'::bigint[]"))
    """Candidates that some people who submitted the item call fitting and others do not; kept by a
    trigger on judgement."""
    is_decided: Mapped[bool] = mapped_column(server_default=text("false"))
    """Whether adjudicators decided all of these; kept by triggers here and on adjudication."""
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "project_id"], ["round.id", "round.project_id"], ondelete="CASCADE"
        ),
        ForeignKeyConstraint(["item_id", "project_id"], ["item.id", "item.project_id"]),
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        ForeignKeyConstraint(["check_item_id", "item_id"], ["check_item.id", "check_item.item_id"]),
        UniqueConstraint("round_id", "item_id"),
        UniqueConstraint("id", "round_id"),
        UniqueConstraint("id", "max_slots"),
        UniqueConstraint("round_id", "item_id", "purpose"),
        # Leak guard: what is held out can be measured, never judged for training.
        CheckConstraint("purpose <> 'training' OR split = 'train'", name="training_is_train_split"),
        CheckConstraint("slots BETWEEN 1 AND max_slots", name="slots_within_max"),
        # Overlap: the counters are kept by a trigger on judgement.
        CheckConstraint("n_taken BETWEEN 0 AND max_slots", name="taken_within_max"),
        CheckConstraint("n_submitted BETWEEN 0 AND n_taken", name="submitted_within_taken"),
        CheckConstraint(
            "set_aside_reason IS NULL OR state = 'set_aside'", name="reason_of_what_is_set_aside"
        ),
        CheckConstraint(
            "(check_item_id IS NOT NULL) = (purpose = 'check')", name="check_names_its_verdicts"
        ),
        CheckConstraint("state <> 'standing' OR purpose = 'check'", name="only_checks_stand"),
        Index(
            "ix_round_item_queue",
            "round_id",
            "priority",
            "random_key",
            postgresql_where=text("state = 'open' AND n_taken < slots"),
        ),
        Index("ix_round_item_item_id", "item_id"),
        Index(
            "ix_round_item_disputed",
            "round_id",
            "item_id",
            postgresql_include=["state", "is_decided"],
            postgresql_where=text("disputed <> '{}'"),
        ),
        Index(
            "ix_round_item_undecided",
            "round_id",
            "random_key",
            postgresql_where=text("disputed <> '{}' AND NOT is_decided"),
        ),
        # Empty, or nearly: see app/queries/counted.py.
        Index("ix_round_item_uncounted", "id", postgresql_where=text("purpose <> 'training'")),
        Index("ix_round_item_round_id_state", "round_id", "state"),
        Index(
            "ix_round_item_check_item_id",
            "check_item_id",
            postgresql_where=text("check_item_id IS NOT NULL"),
        ),
    )


class RoundCandidate(Base):
    """A candidate in a round: how often it was drawn, and whether people see it."""

    __tablename__ = "round_candidate"
    round_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    is_shown: Mapped[bool]
    rank: Mapped[int]
    n_draws: Mapped[int]
    chosen_by: Mapped[str] = mapped_column(String(20))
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "item_id"],
            ["round_item.round_id", "round_item.item_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"]),
        UniqueConstraint("round_id", "candidate_id", "is_shown"),
        UniqueConstraint("round_id", "item_id", "rank"),
        CheckConstraint(
            "chosen_by IN ('draws', 'random', 'not_shown', 'check', 'anchor', 'comparison')",
            name="chosen_by_known",
        ),
        CheckConstraint("is_shown = (chosen_by <> 'not_shown')", name="shown_says_why"),
        Index("ix_round_candidate_candidate_id", "candidate_id"),
    )
