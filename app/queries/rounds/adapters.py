"""Adapters by what people call them."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Adapter, Project


def find_adapter(session: Session, name: str) -> Adapter | None:
    """Returns the newest adapter of the project with this short name, or the one whose digest
    begins so; None where there is none, or more than one.
    """
    newest = session.scalars(
        select(Adapter)
        .join(Project, Project.id == Adapter.project_id)
        .where(Project.slug == name)
        .order_by(Adapter.id.desc())
        .limit(1)
    ).one_or_none()
    if newest is not None:
        return newest
    found = session.scalars(
        select(Adapter)
        .where(Adapter.digest.startswith(name.removeprefix("illume-"), autoescape=True))
        .order_by(Adapter.id)
    ).all()
    return found[0] if len({adapter.digest for adapter in found}) == 1 else None
