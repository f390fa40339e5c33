"""Projects, their members, and what the lists of them show."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, cast, exists, func, select
from sqlalchemy.orm import Session, aliased, joinedload

from app.lifecycle import Role, Split, UserKind
from app.models import (
    GuidelinesPicture,
    Item,
    Membership,
    Project,
    ProjectImage,
    Round,
    User,
)
from app.queries.counted import counted_judgements


def find_project(session: Session, slug: str) -> Project | None:
    """Returns the project at this address; one that is being deleted is not found."""
    return session.scalars(
        select(Project).where(Project.slug == slug, Project.deletion_requested_at.is_(None))
    ).one_or_none()


def find_membership(session: Session, project_id: int, user_id: int) -> Membership | None:
    return session.scalars(
        select(Membership).where(Membership.project_id == project_id, Membership.user_id == user_id)
    ).one_or_none()


def find_membership_by_id(
    session: Session, project_id: int, membership_id: int
) -> Membership | None:
    return session.scalars(
        select(Membership)
        .where(Membership.project_id == project_id, Membership.id == membership_id)
        .options(joinedload(Membership.user))
    ).one_or_none()


def lock_admin_memberships(session: Session, project_id: int) -> Sequence[int]:
    """Locks the memberships of a project's admins until the end of the transaction, and returns
    their ids.
    """
    return session.scalars(
        select(Membership.id)
        .where(Membership.project_id == project_id, Membership.role == Role.ADMIN)
        .order_by(Membership.id)
        .with_for_update()
    ).all()


@dataclass(frozen=True)
class ProjectOverview:
    project: Project
    role: Role
    n_items: int
    last_round: Round | None


def list_project_overviews(
    session: Session, user: User | None = None, *, is_archived: bool = False
) -> list[ProjectOverview]:
    """Returns the open projects, or the archived ones, by name; of a person who is no
    administrator, those they are a member of.
    """
    n_items = (
        select(func.count())
        .where(Item.project_id == Project.id, Item.excluded_at.is_(None))
        .scalar_subquery()
    )
    last_number = (
        select(func.max(Round.number))
        .where(Round.project_id == Project.id)
        .correlate(Project)
        .scalar_subquery()
    )
    sees_all = user is None or user.is_admin
    statement = (
        select(Project, Membership.role, n_items, Round)
        .outerjoin(
            Membership,
            (Membership.project_id == Project.id)
            & (Membership.user_id == (user.id if user else None)),
        )
        .outerjoin(Round, (Round.project_id == Project.id) & (Round.number == last_number))
        .where(
            Project.archived_at.is_not(None) if is_archived else Project.archived_at.is_(None),
            Project.deletion_requested_at.is_(None),
        )
        .order_by(func.lower(Project.name), Project.id)
    )
    if not sees_all:
        statement = statement.where(Membership.id.is_not(None))
    return [
        ProjectOverview(project, Role.ADMIN if sees_all else role, n, round_)
        for project, role, n, round_ in session.execute(statement)
    ]


@dataclass(frozen=True)
class SplitCount:
    split: Split
    n_items: int
    n_excluded: int
    n_images: int


def count_items_by_split(session: Session, project_id: int) -> list[SplitCount]:
    """Returns the number of items per split, always of all three, in the order of use."""
    # By image first: counting distinct ones in each split would sort all items.
    by_image = (
        select(
            Item.split,
            func.count().label("n"),
            func.count().filter(Item.excluded_at.is_not(None)).label("n_excluded"),
        )
        .where(Item.project_id == project_id)
        .group_by(Item.split, Item.image_sha256)
        .subquery()
    )
    rows = session.execute(
        select(
            by_image.c.split,
            cast(func.sum(by_image.c.n), Integer),
            cast(func.sum(by_image.c.n_excluded), Integer),
            func.count(),
        ).group_by(by_image.c.split)
    )
    found = {
        split: SplitCount(split, n, n_excluded, n_images) for split, n, n_excluded, n_images in rows
    }
    return [found.get(split, SplitCount(split, 0, 0, 0)) for split in Split]


@dataclass(frozen=True)
class Member:
    membership: Membership
    n_submitted: int


def list_members(session: Session, project_id: int) -> list[Member]:
    """Returns members by name, with how much they have submitted in this project."""
    n_submitted = (
        select(func.count())
        .join(Round, Round.id == counted_judgements.round_id)
        .where(
            counted_judgements.user_id == Membership.user_id,
            counted_judgements.user_kind == UserKind.PERSON,
            Round.project_id == project_id,
        )
        .select_from(counted_judgements)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Membership, n_submitted)
        .join(User, User.id == Membership.user_id)
        .where(Membership.project_id == project_id)
        .options(joinedload(Membership.user))
        .order_by(func.lower(User.name))
    )
    return [Member(membership, n) for membership, n in rows]


def holds_image_for(session: Session, user: User, sha256: str) -> bool:
    """Whether a project of this person holds the image, withdrawn ones left out.

    Guidelines hold their pictures as items do.
    """
    held = select(ProjectImage.project_id).where(
        ProjectImage.image_sha256 == sha256, ProjectImage.withdrawn_at.is_(None)
    )
    withdrawn = aliased(ProjectImage)
    shown = select(GuidelinesPicture.project_id).where(
        GuidelinesPicture.image_sha256 == sha256,
        ~exists().where(
            withdrawn.project_id == GuidelinesPicture.project_id,
            withdrawn.image_sha256 == sha256,
            withdrawn.withdrawn_at.is_not(None),
        ),
    )
    if not user.is_admin:
        own = select(Membership.project_id).where(Membership.user_id == user.id)
        held = held.where(ProjectImage.project_id.in_(own))
        shown = shown.where(GuidelinesPicture.project_id.in_(own))
    return session.scalar(select(exists(held) | exists(shown))) or False


def list_all_projects(session: Session) -> Sequence[Project]:
    """Returns all projects, for the command line, which is the operator's."""
    return session.scalars(select(Project).order_by(func.lower(Project.name), Project.id)).all()
