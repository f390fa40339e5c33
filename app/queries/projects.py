"""Projects, members and invites."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Membership, Project


def find_project(session: Session, slug: str) -> Project | None:
    return session.scalars(select(Project).where(Project.slug == slug)).one_or_none()


def find_membership(session: Session, project_id: int, user_id: int) -> Membership | None:
    return session.scalars(
        select(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
    ).one_or_none()
