"""Branches: draws that went on from a turn of which a person saw something else."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Split
from app.models.base import Base, Json, WithCreation, WithId


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
