"""Versions of guidelines, and who has read which."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import (
    GuidelinesDifference,
    GuidelinesReading,
    GuidelinesVersion,
    Project,
    Round,
    User,
)
from app.queries.counted import counted_judgements


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version, with who wrote it and how many submitted judgements were made under it."""

    number: int
    author: str | None
    created_at: datetime
    n_judgements: int


def list_versions(session: Session, project_id: int) -> list[VersionRow]:
    """Returns the versions of a project's guidelines, the newest first."""
    under = (
        select(counted_judgements.guidelines_version, func.count().label("n"))
        .join(Round, Round.id == counted_judgements.round_id)
        .where(Round.project_id == project_id, counted_judgements.user_kind == UserKind.PERSON)
        .group_by(counted_judgements.guidelines_version)
        .subquery()
    )
    rows = session.execute(
        select(
            GuidelinesVersion.number,
            User.name,
            GuidelinesVersion.created_at,
            func.coalesce(under.c.n, 0),
        )
        .outerjoin(User, User.id == GuidelinesVersion.author_id)
        .outerjoin(under, under.c.guidelines_version == GuidelinesVersion.number)
        .where(GuidelinesVersion.project_id == project_id)
        .order_by(GuidelinesVersion.number.desc())
    )
    return [VersionRow(*row) for row in rows]


def find_version(session: Session, project_id: int, number: int) -> GuidelinesVersion | None:
    return session.get(GuidelinesVersion, (project_id, number))


def find_difference(
    session: Session, project_id: int, old_number: int, new_number: int
) -> GuidelinesDifference | None:
    return session.get(GuidelinesDifference, (project_id, old_number, new_number))


def put_difference(
    session: Session, project_id: int, old_number: int, new_number: int, lines: list[list[str]]
) -> None:
    """Keeps a difference unless one is there; people who ask at the same time make the same."""
    row = insert(GuidelinesDifference).values(
        project_id=project_id, old_number=old_number, new_number=new_number, lines=lines
    )
    session.execute(row.on_conflict_do_nothing())


def lock_project(session: Session, project_id: int) -> Project:
    """Locks and returns the project, so that two admins who save at once come one after
    the other.
    """
    return session.scalars(
        select(Project)
        .where(Project.id == project_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one()


def put_reading(session: Session, project_id: int, user_id: int, number: int) -> None:
    """Notes the version that a person has read, unless they have read a newer one in
    another tab.
    """
    row = insert(GuidelinesReading).values(project_id=project_id, user_id=user_id, number=number)
    session.execute(
        row.on_conflict_do_update(
            index_elements=["project_id", "user_id"],
            set_={"number": row.excluded.number, "read_at": func.now()},
            where=GuidelinesReading.number < row.excluded.number,
        )
    )
