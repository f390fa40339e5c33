"""Base models of projects, and what was measured of them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import ModelProof, ProjectBase
from app.round_settings import LoopSettings


def find_base(session: Session, project_id: int, settings: LoopSettings) -> ProjectBase | None:
    """The base that the project's rounds with these settings began with; None before the first."""
    return session.scalars(
        select(ProjectBase).where(
            ProjectBase.project_id == project_id,
            ProjectBase.base_model == settings.base_model,
            ProjectBase.asked_revision == (settings.revision or ""),
        )
    ).one_or_none()


def lock_base(session: Session, project_id: int, settings: LoopSettings) -> ProjectBase | None:
    """As find_base, held until the end of the transaction and read anew."""
    return session.scalars(
        select(ProjectBase)
        .where(
            ProjectBase.project_id == project_id,
            ProjectBase.base_model == settings.base_model,
            ProjectBase.asked_revision == (settings.revision or ""),
        )
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def is_proved(session: Session, base_digest: str, libraries: str, settings_digest: str) -> bool:
    """Whether a model was measured with these libraries and settings, and held."""
    return (
        session.scalar(
            select(ModelProof.id).where(
                ModelProof.base_digest == base_digest,
                ModelProof.libraries == libraries,
                ModelProof.settings_digest == settings_digest,
                ModelProof.reason.is_(None),
            )
        )
        is not None
    )
