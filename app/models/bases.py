"""Base models: what a project's rounds began with, and what was measured of them."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.models.base import Base, Json, WithCreation, WithId


class ProjectBase(WithId, WithCreation, Base):
    """The base model that a project's rounds began with, by the digest of its files or its commit.

    `asked_revision`: the revision in the settings, empty for none. `found_digest`: another content
    that a worker found instead and refused, until an administrator goes on with it.
    """

    __tablename__ = "project_base"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    base_model: Mapped[str]
    asked_revision: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))
    found_digest: Mapped[str | None] = mapped_column(String(64))
    changed_at: Mapped[datetime | None]
    __table_args__ = (
        UniqueConstraint("project_id", "base_model", "asked_revision"),
        CheckConstraint("digest <> ''", name="digest_given"),
        CheckConstraint("found_digest <> digest", name="found_another"),
    )


class ModelProof(WithId, WithCreation, Base):
    """Measurements that a worker made of a base model before anything was sampled from it.

    Once per content of the base, library versions and settings of LoRA and device; a refusal is
    kept too, and measured again when somebody retries. `measured`: its
    lines, each with a name, whether it holds, a figure and a sentence.
    """

    __tablename__ = "model_proof"
    base_digest: Mapped[str] = mapped_column(String(64))
    libraries: Mapped[str]
    settings_digest: Mapped[str] = mapped_column(String(64))
    base_model: Mapped[str]
    device: Mapped[str]
    measured: Mapped[Json]
    reason: Mapped[str | None]
    seconds: Mapped[float]
    __table_args__ = (
        UniqueConstraint("base_digest", "libraries", "settings_digest"),
        CheckConstraint("reason <> ''", name="reason_given"),
    )
