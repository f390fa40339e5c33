"""Judgements of annotators and critics about the candidates."""

from datetime import datetime
from typing import Any

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
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import JudgementStatus, UserKind
from app.models.base import Base, Json, WithCountedTime, WithId
from app.same_text import text_key


class Judgement(WithId, WithCountedTime, Base):
    """One annotator's place at an item of a round, from lease to submission.

    One row per person (or critic) and item. A person's row holds a slot while it is live; taking
    back keeps the slot; an expired or skipped one loses it and keeps its content.

    The counts of words are kept by the trigger count_words_of_judgement, and are 0 for critics. To
    read: question, answer and shown candidates, as they were when the item was handed out. What led
    to it: the turns of the most probable draw of each. Written: comment, better texts, corrections.
    """

    __tablename__ = "judgement"
    round_item_id: Mapped[int]
    round_id: Mapped[int]
    user_id: Mapped[int]
    user_kind: Mapped[UserKind] = mapped_column(server_default=UserKind.PERSON.value)
    status: Mapped[JudgementStatus] = mapped_column(server_default=JudgementStatus.LEASED.value)
    slot: Mapped[int | None]
    max_slots: Mapped[int]
    lease_until: Mapped[datetime | None]
    version: Mapped[int] = mapped_column(server_default="0")
    shown_order: Mapped[list[int]]
    picked: Mapped[list[int]] = mapped_column(server_default=text("'{}'::bigint[]"))
    none_fits: Mapped[bool] = mapped_column(server_default=text("false"))
    answer_is_wrong: Mapped[bool] = mapped_column(server_default=text("false"))
    is_flagged: Mapped[bool] = mapped_column(server_default=text("false"))
    is_unsure: Mapped[bool] = mapped_column(server_default=text("false"))
    comment: Mapped[str] = mapped_column(server_default="")
    faults: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By candidate id: what is wrong with it. Copied to the verdicts at submission."""
    edits: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By candidate id: the text as this person would have it. Written apart at submission."""
    marks: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By draw and turn: what is said of the turn. Written apart at submission, and so are:"""
    corrections: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By draw and turn: what is to be seen instead."""
    boxes: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By draw and turn: the edges of the box that was drawn."""
    skip_reason: Mapped[str | None]
    guidelines_version: Mapped[int] = mapped_column(server_default="1")
    leased_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
    submitted_at: Mapped[datetime | None]
    traces_opened_at: Mapped[datetime | None]
    """When its author first looked at how the candidates came about, of a round in which that is
    hidden until they have judged. From then on the verdicts stand."""
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_item_id", "round_id"],
            ["round_item.id", "round_item.round_id"],
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(
            ["round_item_id", "max_slots"],
            ["round_item.id", "round_item.max_slots"],
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        ForeignKeyConstraint(["user_id", "user_kind"], ["user.id", "user.kind"]),
        UniqueConstraint("round_item_id", "slot"),
        UniqueConstraint("round_item_id", "user_id"),
        # What verdicts refer to.
        UniqueConstraint(
            "id",
            "round_id",
            "status",
            "none_fits",
            "answer_is_wrong",
            name="uq_judgement_submitted_answer",
        ),
        CheckConstraint("slot BETWEEN 1 AND max_slots", name="slot_within_max"),
        CheckConstraint(
            "(slot IS NOT NULL) = "
            "(user_kind = 'person' AND status IN ('leased', 'draft', 'submitted'))",
            name="live_person_holds_slot",
        ),
        CheckConstraint(
            "(lease_until IS NOT NULL) = (status IN ('leased', 'draft'))", name="lease_has_end"
        ),
        CheckConstraint(
            "NOT (none_fits AND cardinality(picked) > 0)", name="none_fits_picks_nothing"
        ),
        CheckConstraint(
            "NOT (answer_is_wrong AND (none_fits OR cardinality(picked) > 0))",
            name="wrong_answer_picks_nothing",
        ),
        CheckConstraint(
            "status <> 'submitted' OR none_fits OR answer_is_wrong OR cardinality(picked) > 0",
            name="submitted_says_something",
        ),
        CheckConstraint("picked <@ shown_order", name="picked_was_shown"),
        CheckConstraint(
            "(status = 'submitted') = (submitted_at IS NOT NULL)", name="submitted_has_time"
        ),
        CheckConstraint(
            "traces_opened_at IS NULL OR status IN ('submitted', 'withdrawn')",
            name="opened_traces_stay",
        ),
        CheckConstraint("active_ms >= 0", name="active_ms_not_negative"),
        CheckConstraint(
            "n_words >= 0 AND n_trace_words >= 0 AND n_typed >= 0", name="words_not_negative"
        ),
        CheckConstraint("jsonb_typeof(faults) = 'object'", name="faults_by_candidate"),
        CheckConstraint("jsonb_typeof(edits) = 'object'", name="edits_by_candidate"),
        CheckConstraint("jsonb_typeof(marks) = 'object'", name="marks_by_draw"),
        CheckConstraint("jsonb_typeof(corrections) = 'object'", name="corrections_by_draw"),
        CheckConstraint("jsonb_typeof(boxes) = 'object'", name="boxes_by_draw"),
        Index("ix_judgement_round_id_user_id", "round_id", "user_id", "submitted_at"),
        Index(
            "ix_judgement_lease_until",
            "lease_until",
            postgresql_where=text("status IN ('leased', 'draft')"),
        ),
        Index(
            "ix_judgement_skipped",
            "round_item_id",
            postgresql_where=text("status = 'skipped'"),
        ),
    )


class RoundAnnotator(Base):
    """The progress of one person in a round: kept by the trigger on judgement, not written by code.

    `queue_position`: the random key of the item that was handed out last; the next one is looked
    for from there on. `n_checks`: the check items that they were handed out, or that lapsed since
    none was left for them; this one is kept by app/queries/judging/checks.py.
    """

    __tablename__ = "round_annotator"
    round_id: Mapped[int] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id"), primary_key=True)
    n_submitted: Mapped[int] = mapped_column(server_default="0")
    queue_position: Mapped[float] = mapped_column(server_default="2")
    n_checks: Mapped[int] = mapped_column(server_default="0")
    __table_args__ = (
        CheckConstraint("n_submitted >= 0", name="submitted_not_negative"),
        CheckConstraint("n_checks >= 0", name="checks_not_negative"),
        Index("ix_round_annotator_user_id", "user_id"),
    )


class JudgementRevision(WithId, Base):
    """Append-only: one row per submission, per take-back, and per change of what is said of traces
    that were opened after a submission (trigger)."""

    __tablename__ = "judgement_revision"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgement.id", ondelete="CASCADE"))
    number: Mapped[int]
    action: Mapped[str] = mapped_column(String(20))
    content: Mapped[Json]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        UniqueConstraint("judgement_id", "number"),
        CheckConstraint("action IN ('submit', 'take_back', 'mark')", name="action_known"),
    )


class VerdictRow(Base):
    """Fits or not, for one shown candidate of a submitted judgement.

    That it says what the judgement says, of a candidate of its item, is checked by a trigger.
    """

    __tablename__ = "verdict"
    judgement_id: Mapped[int] = mapped_column(primary_key=True)
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    round_id: Mapped[int]
    status: Mapped[str] = mapped_column(String(20), server_default=JudgementStatus.SUBMITTED.value)
    none_fits: Mapped[bool]
    answer_is_wrong: Mapped[bool]
    is_shown: Mapped[bool] = mapped_column(server_default=text("true"))
    fits: Mapped[bool]
    position: Mapped[int]
    faults: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    __table_args__ = (
        ForeignKeyConstraint(
            ["judgement_id", "round_id", "status", "none_fits", "answer_is_wrong"],
            [
                "judgement.id",
                "judgement.round_id",
                "judgement.status",
                "judgement.none_fits",
                "judgement.answer_is_wrong",
            ],
            name="fk_verdict_submitted_answer",
            ondelete="CASCADE",
        ),
        CheckConstraint("status = 'submitted'", name="submitted_only"),
        # A candidate that was never shown has no verdict.
        ForeignKeyConstraint(
            ["round_id", "candidate_id", "is_shown"],
            [
                "round_candidate.round_id",
                "round_candidate.candidate_id",
                "round_candidate.is_shown",
            ],
        ),
        CheckConstraint("is_shown", name="shown_only"),
        CheckConstraint("NOT answer_is_wrong", name="wrong_answer_has_no_verdicts"),
        CheckConstraint("NOT (none_fits AND fits)", name="none_fits_means_none"),
        CheckConstraint("NOT (fits AND faults <> '[]'::jsonb)", name="fitting_has_no_fault"),
        UniqueConstraint("judgement_id", "position"),
        Index("ix_verdict_round_id_candidate_id", "round_id", "candidate_id"),
    )


def _key_of_text(context: Any) -> str:
    return text_key(context.get_current_parameters()["text"])


class WrittenRationale(Base):
    """A candidate as an annotator corrected it: a person's text, whose author the judgement names.

    Apart from candidates on purpose: nobody judges it and no policy admits it. Only a training
    whose settings ask for it reads it (`training.written`). The text never
    changes (trigger), but goes when its author is erased.
    """

    __tablename__ = "written_rationale"
    judgement_id: Mapped[int] = mapped_column(
        ForeignKey("judgement.id", ondelete="CASCADE"), primary_key=True
    )
    candidate_id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int]
    text: Mapped[str]
    text_key: Mapped[str] = mapped_column(String(64), default=_key_of_text)
    """Texts with one key are one text, as with candidates; empty once the text is erased."""
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    erased_at: Mapped[datetime | None]
    """The text is gone with its author; training rows still name the place that it had."""
    __table_args__ = (
        ForeignKeyConstraint(
            ["candidate_id", "item_id"], ["candidate.id", "candidate.item_id"], ondelete="CASCADE"
        ),
        # What training rows refer to.
        UniqueConstraint("judgement_id", "candidate_id", "item_id"),
        CheckConstraint("(text = '') = (erased_at IS NOT NULL)", name="text_given"),
        CheckConstraint("(text_key = '') = (erased_at IS NOT NULL)", name="key_given"),
        Index("ix_written_rationale_item_id", "item_id"),
        Index("ix_written_rationale_candidate_id", "candidate_id"),
    )
