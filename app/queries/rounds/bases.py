"""Base models of projects, and what was measured of them."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import ModelProof, ProjectBase
from app.round_settings import LoopSettings


def find_base(session: Session, project_id: int, settings: LoopSettings) -> ProjectBase | None:
    """Returns the base that the project's rounds with these settings began with; None before the
    first.
    """
    return session.scalars(_base_statement(project_id, settings)).one_or_none()


def lock_base(session: Session, project_id: int, settings: LoopSettings) -> ProjectBase | None:
    """Returns that base read anew, and locked until the end of the transaction."""
    statement = _base_statement(project_id, settings).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def _base_statement(project_id: int, settings: LoopSettings) -> Select[ProjectBase]:
    return select(ProjectBase).where(
        ProjectBase.project_id == project_id,
        ProjectBase.base_model == settings.base_model,
        ProjectBase.asked_revision == (settings.revision or ""),
    )


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


def pin_base(session: Session, project_id: int, settings: LoopSettings, digest: str) -> str | None:
    """Hold a project to the content of its base; returns it, or None where it was held before."""
    return session.execute(
        insert(ProjectBase)
        .values(
            project_id=project_id,
            base_model=settings.base_model,
            asked_revision=settings.revision or "",
            digest=digest,
        )
        .on_conflict_do_nothing()
        .returning(ProjectBase.digest)
    ).scalar_one_or_none()


def move_pin(session: Session, base: ProjectBase, digest: str) -> None:
    """Hold a project to another content of its base from now on."""
    base.digest, base.found_digest = digest, None
    base.changed_at = func.now()
    session.flush()  # the baseline is looked up by the time of the change
    session.refresh(base)


def store_proof(session: Session, key: tuple[str, str, str], values: Mapping[str, Any]) -> None:
    """Keep what a proof found; a newer one of the same model and settings takes its place.

    key: base digest, libraries, digest of the settings.
    """
    names = ("base_digest", "libraries", "settings_digest")
    session.execute(
        insert(ModelProof)
        .values(**dict(zip(names, key, strict=True)), **values)
        .on_conflict_do_update(
            index_elements=names, set_={**values, "created_at": func.clock_timestamp()}
        )
    )
