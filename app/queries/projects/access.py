"""Look-ups for the gates of projects: the person who asks, the project, and what hangs under it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, TypeVar

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.lifecycle import Role
from app.models import Adapter, Item, Membership, Project, Release, Round, Run, User
from app.principal import CameBy, Credential
from app.queries.accounts.asking import IS_MEMBER, WAYS, Statement, Way, for_each_way, parameters_of

Part = TypeVar("Part", Adapter, Item, Release, Round, Run)
AnyPart = type[Adapter] | type[Item] | type[Release] | type[Round] | type[Run]


@dataclass(frozen=True, slots=True)
class ProjectAccess:
    """A person at a project, and their role there, if they have one."""

    project: Project
    user: User
    membership_role: Role | None
    is_signed_in: bool
    is_use_noted: bool

    @property
    def role(self) -> Role | None:
        """The role of the person; administrators of the installation are admins of all projects."""
        return Role.ADMIN if self.user.is_admin else self.membership_role


@dataclass(frozen=True, slots=True)
class PartAccess(ProjectAccess, Generic[Part]):
    """A person at something that hangs under a project: an item, a round, a run, a release."""

    part: Part


def _with_person(statement: Statement, way: Way) -> Statement:
    """Join the person who asks, and their membership; a project that is being deleted is gone."""
    return (
        statement.join(User, User.id == way.user_id)
        .outerjoin(Membership, IS_MEMBER)
        .where(Project.deletion_requested_at.is_(None))
    )


def _project_access(way: Way) -> Statement:
    columns = (Project, User, Membership.role, way.is_good, way.is_noted)
    statement = select(*columns).select_from(Project).where(Project.slug == bindparam("slug"))
    return _with_person(statement, way)


_PROJECT_ACCESS = for_each_way(_project_access)


@lru_cache
def _part_access(model: AnyPart, came_by: CameBy) -> Statement:
    way = WAYS[came_by]
    columns = (Project, User, Membership.role, way.is_good, way.is_noted, model)
    statement = (
        select(*columns)
        .select_from(model)
        .join(Project, Project.id == model.project_id)
        .where(model.id == bindparam("part_id"))
    )
    return _with_person(statement, way)


def find_project_access(
    session: Session, slug: str, credential: Credential
) -> ProjectAccess | None:
    """Returns the project at this address with the person who asks; None without the project."""
    values = {"slug": slug, **parameters_of(credential)}
    row = session.execute(_PROJECT_ACCESS[credential.came_by], values).one_or_none()
    return ProjectAccess(*row) if row else None


def find_part_access(
    session: Session, model: type[Part], part_id: int, credential: Credential
) -> PartAccess[Part] | None:
    """Returns what has this number with its project and the person who asks; None without it."""
    values = {"part_id": part_id, **parameters_of(credential)}
    row = session.execute(_part_access(model, credential.came_by), values).one_or_none()
    return PartAccess(*row) if row else None
