"""Rounds, the runs that do their work, and the adapters they make."""

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
from sqlalchemy.orm import Mapped, mapped_column

from app.lifecycle import Decision, Job, RoundStatus, RunStatus, ShardStatus
from app.models.base import Base, Json, StoredSentence, WithCreation, WithId


class Round(WithId, WithCreation, Base):
    """One turn of the loop, with its settings frozen at the start."""

    __tablename__ = "round"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    number: Mapped[int]
    status: Mapped[RoundStatus] = mapped_column(server_default=RoundStatus.DRAFT.value)
    settings: Mapped[Json]
    order_key: Mapped[str] = mapped_column(String(64))
    status_changed_at: Mapped[datetime] = mapped_column(server_default=func.now())
    decision: Mapped[Decision | None]
    decision_reason: Mapped[str | None] = mapped_column(StoredSentence)
    figures: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        UniqueConstraint("id", "project_id"),
        Index(
            "uq_round_one_open_per_project",
            "project_id",
            unique=True,
            postgresql_where=text("status NOT IN ('completed', 'cancelled')"),
        ),
        CheckConstraint("number >= 1", name="number_from_one"),
        CheckConstraint(
            "(status = 'completed') = (decision IS NOT NULL)", name="completed_is_decided"
        ),
    )


class Adapter(WithId, WithCreation, Base):
    """LoRA weights in the store, addressed by content; the fruit of a training run."""

    __tablename__ = "adapter"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    run_id: Mapped[int]
    run_attempt: Mapped[int]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    base_model: Mapped[str]
    base_revision: Mapped[str]
    kind: Mapped[str] = mapped_column(String(20), server_default="lora")
    digest: Mapped[str] = mapped_column(String(64))
    meta: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    __table_args__ = (
        UniqueConstraint("run_id"),
        # Fencing: a worker whose run was taken over holds an old attempt and cannot insert.
        ForeignKeyConstraint(["run_id", "run_attempt"], ["run.id", "run.attempt"]),
        Index("ix_adapter_project_id", "project_id"),
    )


class RoundModel(Base):
    """The adapter that a round samples from and the one that it made, per strategy and role."""

    __tablename__ = "round_model"
    round_id: Mapped[int] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), primary_key=True
    )
    strategy: Mapped[str] = mapped_column(String(50), primary_key=True)
    role: Mapped[str] = mapped_column(String(50), primary_key=True)
    parent_adapter_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    new_adapter_id: Mapped[int | None] = mapped_column(ForeignKey("adapter.id"))
    sits_out: Mapped[bool] = mapped_column(server_default=text("false"))
    """Its strategy is not sampled in this round, for its answers were too often wrong before; it is
    trained and measured with the others."""


class Run(WithId, WithCreation, Base):
    """One execution of one job. The row is the truth; a message only says that it is there."""

    __tablename__ = "run"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    round_id: Mapped[int | None]
    job: Mapped[Job]
    # Which strategy, and which of its models, the run is about; null where it is about none.
    strategy: Mapped[str | None] = mapped_column(String(50))
    role: Mapped[str | None] = mapped_column(String(50))
    status: Mapped[RunStatus] = mapped_column(server_default=RunStatus.QUEUED.value)
    parameters: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    attempt: Mapped[int] = mapped_column(server_default="0")
    progress: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    result: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    error: Mapped[str | None] = mapped_column(StoredSentence)
    worker_id: Mapped[int | None] = mapped_column(
        ForeignKey("worker.id", ondelete="SET NULL", use_alter=True)
    )
    retry_of_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    requested_by_id: Mapped[int | None] = mapped_column(ForeignKey("user.id", ondelete="SET NULL"))
    heartbeat_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    __table_args__ = (
        ForeignKeyConstraint(
            ["round_id", "project_id"], ["round.id", "round.project_id"], ondelete="CASCADE"
        ),
        UniqueConstraint("id", "attempt"),
        Index("ix_run_round_id", "round_id"),
        Index("ix_run_project_id_job", "project_id", "job"),
        Index(
            "uq_run_one_live_per_part",
            "round_id",
            "job",
            "strategy",
            "role",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text(
                "status IN ('queued', 'running') AND round_id IS NOT NULL AND job <> 'branch'"
            ),
        ),
        Index("ix_run_tried", "project_id", "id", postgresql_where=text("job = 'try'")),
        Index("ix_run_live", "status", postgresql_where=text("status IN ('queued', 'running')")),
        CheckConstraint("(status = 'failed') = (error IS NOT NULL)", name="failed_has_error"),
        CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL)",
            name="finished_has_time",
        ),
    )


class RunShard(WithId, Base):
    """A fixed block of items of a run, written in one transaction by the worker that holds it."""

    __tablename__ = "run_shard"
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    number: Mapped[int]
    item_ids: Mapped[list[int]]
    images: Mapped[list[str]] = mapped_column(server_default=text("'[]'::jsonb"))
    """Images without any item that the run asks about, by their content."""
    status: Mapped[ShardStatus] = mapped_column(server_default=ShardStatus.WAITING.value)
    attempt: Mapped[int] = mapped_column(server_default="0")
    worker_id: Mapped[int | None] = mapped_column(ForeignKey("worker.id", ondelete="SET NULL"))
    heartbeat_at: Mapped[datetime | None]
    n_written: Mapped[int] = mapped_column(server_default="0")
    seconds: Mapped[float | None]
    # Whole numbers by name: what the strategy counted of its draws (run_results.EpisodeTally).
    tally: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    # Of a sampling: the seconds that each strategy drew, by its name; none where an older version
    # sampled by one alone.
    strategy_seconds: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    error: Mapped[str | None]
    __table_args__ = (
        UniqueConstraint("run_id", "number"),
        UniqueConstraint("id", "attempt"),
        Index("ix_run_shard_run_id_status", "run_id", "status"),
    )
