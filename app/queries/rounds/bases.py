"""Base models of projects, and what was measured of them."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.models import ModelProof, ProjectBase
from app.round_settings import NamedBase


def find_base(session: Session, project_id: int, base: NamedBase) -> ProjectBase | None:
    """Returns what the project's rounds on a base began with; None before the first."""
    return session.scalars(_base_statement(project_id, base)).one_or_none()


def find_pins(
    session: Session, project_id: int, bases: Iterable[NamedBase]
) -> dict[NamedBase, str]:
    """Returns the contents that a project began with of these bases; those that none of its rounds
    has loaded yet are left out."""
    found = {base: find_base(session, project_id, base) for base in bases}
    return {base: row.digest for base, row in found.items() if row is not None}


def lock_base(session: Session, project_id: int, base: NamedBase) -> ProjectBase | None:
    """Returns that base read anew, and locked until the end of the transaction."""
    statement = _base_statement(project_id, base).with_for_update()
    return session.scalars(statement.execution_options(populate_existing=True)).one_or_none()


def _base_statement(project_id: int, base: NamedBase) -> Select[ProjectBase]:
    return select(ProjectBase).where(
        ProjectBase.project_id == project_id,
        ProjectBase.base_model == base.name,
        ProjectBase.asked_revision == (base.revision or ""),
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


def pin_base(session: Session, project_id: int, base: NamedBase, digest: str) -> str | None:
    """Hold a project to the content of a base; returns it, or None where it was held before."""
    return session.execute(
        insert(ProjectBase)
        .values(
            project_id=project_id,
            base_model=base.name,
            asked_revision=base.revision or "",
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
