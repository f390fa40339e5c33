"""The page of a project's members."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.lifecycle import Role
from app.models import Invite, Project
from app.queries.accounts.users import list_open_invites
from app.queries.projects.projects import Member, list_members
from app.web.language.labels import LABELS


@dataclass(frozen=True)
class MembersPage:
    roles: Sequence[tuple[str, str]]
    """By value: what each is called."""
    members: Sequence[Member]
    invites: Sequence[Invite]
    new_link: str
    error: str


def members_page(
    session: Session, project: Project, *, now: datetime, new_link: str = "", error: str = ""
) -> MembersPage:
    session.flush()  # an invite made a moment ago is in the list
    return MembersPage(
        roles=[(role.value, LABELS[role.value]) for role in Role],
        members=list_members(session, project.id),
        invites=list_open_invites(session, project.id, now=now),
        new_link=new_link,
        error=error,
    )
