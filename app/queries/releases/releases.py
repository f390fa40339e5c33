"""Releases, and the rows that each of them is made of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.models import Json, Release, ReleaseRow
from app.queries.blocks import ROWS_IN_ONE_QUERY


def try_lock_releases(session: Session, project_id: int) -> bool:
    """Hold the project's releases until the transaction ends; False when another one has them."""
    key = func.hashtextextended(f"illume release {project_id}", 0)
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(key))))


def get_release(session: Session, release_id: int) -> Release:
    release = session.get(Release, release_id)
    if release is None:
        raise NotFound(f"There is no release {release_id}.")
    return release


def find_release(session: Session, project_id: int, number: int) -> Release | None:
    return session.scalars(
        select(Release).where(Release.project_id == project_id, Release.number == number)
    ).one_or_none()


def find_last_release(session: Session, project_id: int) -> Release | None:
    return session.scalars(
        select(Release)
        .where(Release.project_id == project_id)
        .order_by(Release.number.desc())
        .limit(1)
    ).one_or_none()


def list_releases(session: Session, project_id: int) -> Sequence[Release]:
    """Returns the releases of a project, the newest first."""
    return session.scalars(
        select(Release).where(Release.project_id == project_id).order_by(Release.number.desc())
    ).all()


def iterate_payloads(session: Session, release_id: int) -> Iterator[Json]:
    """The manifest in its order, read in pages."""
    last = 0
    while True:
        rows = session.execute(
            select(ReleaseRow.number, ReleaseRow.payload)
            .where(ReleaseRow.release_id == release_id, ReleaseRow.number > last)
            .order_by(ReleaseRow.number)
            .limit(ROWS_IN_ONE_QUERY)
        ).all()
        if not rows:
            return
        for number, payload in rows:
            last = number
            yield payload


def insert_rows(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store rows of a release, each given by its columns."""
    session.execute(insert(ReleaseRow), rows)


def list_released_rows(session: Session, release_id: int) -> list[tuple[int, Json]]:
    """Returns (item id, the fields that a tombstone would keep) of every row and tombstone of a
    release.
    """
    fields = ("row_id", "kind", "item", "former_kind", "reason", "last_release", "author")
    rows = session.execute(
        select(ReleaseRow.item_id, *(ReleaseRow.payload[name].astext for name in fields))
        .where(ReleaseRow.release_id == release_id)
        .order_by(ReleaseRow.number)
    ).all()
    return [(row[0], dict(zip(fields, row[1:], strict=True))) for row in rows]
