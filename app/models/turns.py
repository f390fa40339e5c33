"""What people say of the turns, or looks, of draws, what was measured of these, and branches: draws
that went on from a turn of which a person saw something else."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    func,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Split
from app.models.base import Base, Json, WithCreation, WithId


class TurnMark(Base):
    """One thing that a submitted judgement says of a turn of a draw, such as that its question is
    useful. `of` and `value` are those of a mark of the draw's strategy.

    That the draw led to a candidate of the judgement, and has such a turn, is checked by a trigger.
    """

    __tablename__ = "mark"
    judgement_id: Mapped[int] = mapped_column(
        ForeignKey("judgement.id", ondelete="CASCADE"), primary_key=True
    )
    sample_id: Mapped[int] = mapped_column(
        ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True
    )
    turn: Mapped[int] = mapped_column(primary_key=True)
    of: Mapped[str] = mapped_column(String(50), primary_key=True)
    value: Mapped[str] = mapped_column(String(50))
    __table_args__ = (
        CheckConstraint("turn >= 1", name="turn_from_one"),
        CheckConstraint("of ~ '^[a-z_]+$'", name="of_is_a_name"),
        CheckConstraint("value ~ '^[a-z_]+$'", name="value_is_a_name"),
        Index("ix_mark_sample_id", "sample_id"),
    )


class CorrectedObservation(Base):
    """What is to be seen, as a person says, where a turn of a draw observed something else.

    As unjudged as a written rationale: only the training of an observer whose settings ask for it
    reads it (`monologue.with_corrections`). The text never changes (trigger), but goes when its
    author is erased: that they saw something else stays. Its draw is checked as that of a mark.
    """

    __tablename__ = "corrected_observation"
    judgement_id: Mapped[int] = mapped_column(
        ForeignKey("judgement.id", ondelete="CASCADE"), primary_key=True
    )
    sample_id: Mapped[int] = mapped_column(
        ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True
    )
    turn: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    erased_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("turn >= 1", name="turn_from_one"),
        CheckConstraint("(text = '') = (erased_at IS NOT NULL)", name="text_given"),
        Index("ix_corrected_observation_sample_id", "sample_id"),
    )


class DrawnBox(Base):
    """Where on the picture a look of a draw should have been, as a submitted judgement says: the
    edges of a rectangle, as shares of the picture's width or height.

    One for each look and person. Its draw is checked as that of a mark.
    """

    __tablename__ = "drawn_box"
    judgement_id: Mapped[int] = mapped_column(
        ForeignKey("judgement.id", ondelete="CASCADE"), primary_key=True
    )
    sample_id: Mapped[int] = mapped_column(
        ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True
    )
    turn: Mapped[int] = mapped_column(primary_key=True)
    left: Mapped[float]
    top: Mapped[float]
    right: Mapped[float]
    bottom: Mapped[float]
    __table_args__ = (
        CheckConstraint("turn >= 1", name="turn_from_one"),
        CheckConstraint(
            '"left" >= 0 AND "left" < "right" AND "right" <= 1', name="lies_within_width"
        ),
        CheckConstraint("top >= 0 AND top < bottom AND bottom <= 1", name="lies_within_height"),
        Index("ix_drawn_box_sample_id", "sample_id"),
    )


class OcclusionMap(Base):
    """What hiding each place of the picture changed, for a look of a draw that people are shown.

    `probability`: of the item's answer with nothing hidden; `falls`: row by row, how much its
    log-probability fell with that place hidden, in nats. `without`: what the model answered without
    any look. `seconds`: of the worker, for this map. Measured once.
    """

    __tablename__ = "occlusion_map"
    sample_id: Mapped[int] = mapped_column(
        ForeignKey("sample.id", ondelete="CASCADE"), primary_key=True
    )
    turn: Mapped[int] = mapped_column(primary_key=True)
    n_rows: Mapped[int]
    n_columns: Mapped[int]
    probability: Mapped[float]
    falls: Mapped[list[float]] = mapped_column(ARRAY(Double))
    without: Mapped[str]
    seconds: Mapped[float]
    made_at: Mapped[datetime] = mapped_column(server_default=func.now())
    __table_args__ = (
        CheckConstraint("turn >= 1", name="turn_from_one"),
        CheckConstraint("n_rows BETWEEN 1 AND 9 AND n_columns BETWEEN 1 AND 9", name="at_most_81"),
        CheckConstraint("cardinality(falls) = n_rows * n_columns", name="fall_of_each_place"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability_within"),
        CheckConstraint("seconds >= 0", name="seconds_not_negative"),
    )


class Branch(WithId, WithCreation, Base):
    """A draw that was played on from one of its turns, with a person's correction in the place of
    what was observed. `judgement_id` says who asked for it, `sample_id` which draw it came from.

    The row is there from the request on; what came of it is written once, by the run that it names,
    and never changes (trigger). `trace` has the shape of the draw's; `text` is empty where the
    branch ended without a rationale. Log probability, tokens and seconds are of what was sampled
    anew. That the draw led to a candidate of the judgement is checked by a trigger.

    Nobody judges it and nothing is trained on it; it goes with the person who wrote the correction.
    """

    __tablename__ = "branch"
    judgement_id: Mapped[int] = mapped_column(ForeignKey("judgement.id", ondelete="CASCADE"))
    round_id: Mapped[int] = mapped_column(ForeignKey("round.id", ondelete="CASCADE"))
    sample_id: Mapped[int] = mapped_column(ForeignKey("sample.id", ondelete="CASCADE"))
    turn: Mapped[int]
    correction: Mapped[str]
    item_id: Mapped[int]
    split: Mapped[Split]
    run_id: Mapped[int]
    run_attempt: Mapped[int | None]
    adapter_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    seed: Mapped[int | None]
    trace: Mapped[Json | None]
    text: Mapped[str | None]
    log_probability: Mapped[float | None]
    n_tokens: Mapped[int | None]
    is_cut: Mapped[bool | None]
    seconds: Mapped[float | None]
    made_at: Mapped[datetime | None]
    __table_args__ = (
        # The same correction of the same turn is one branch, however often it is asked for.
        UniqueConstraint("judgement_id", "sample_id", "turn", "correction"),
        UniqueConstraint("run_id"),
        ForeignKeyConstraint(["run_id"], ["run.id"]),
        # Fencing: a worker whose run was taken over holds an old attempt and cannot write.
        ForeignKeyConstraint(["run_id", "run_attempt"], ["run.id", "run.attempt"]),
        # Leak guard: no branch of an item that is held out, whatever is done with branches.
        ForeignKeyConstraint(["item_id", "split"], ["item.id", "item.split"]),
        CheckConstraint("split = 'train'", name="train_split_only"),
        CheckConstraint("turn >= 1", name="turn_from_one"),
        CheckConstraint("correction <> ''", name="correction_given"),
        CheckConstraint(
            "num_nulls(run_attempt, seed, trace, text, log_probability, n_tokens, is_cut, seconds,"
            " made_at) IN (0, 9)",
            name="whole_or_not_made",
        ),
        CheckConstraint("adapter_id IS NULL OR trace IS NOT NULL", name="adapter_of_what_is_made"),
        Index("ix_branch_sample_id", "sample_id"),
        Index("ix_branch_round_id", "round_id"),
        Index("ix_branch_item_id", "item_id"),
    )
