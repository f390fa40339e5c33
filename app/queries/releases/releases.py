"""Releases, and the rows that each of them is made of."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Index,
    MetaData,
    String,
    Table,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
)
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


# The rows of the release that is being made, while it is: a set of a million would fill memory.
_held = Table(
    "release_held",
    MetaData(),
    Column("row_id", String, nullable=False),
    Column("kind", String, nullable=False),
    Index("ix_release_held", "row_id"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DROP",
)


def begin_holding(session: Session) -> None:
    """Begins to note which rows a new release holds; nothing is noted yet."""
    _held.drop(session.connection(), checkfirst=True)
    _held.create(session.connection())


def hold_rows(session: Session, rows: Sequence[Mapping[str, str]]) -> None:
    """Notes rows by `row_id` and `kind`."""
    session.execute(insert(_held), rows)


def list_rows_not_held(session: Session, release_id: int) -> list[tuple[int, Json]]:
    """Returns (item id, the fields that a tombstone would keep) of every row and tombstone of a
    release that was not noted since `begin_holding`, in the release's order.

    A candidate that became a rationale is held; a rationale that is only a candidate now is not.
    """
    fields = ("row_id", "kind", "item", "former_kind", "reason", "last_release", "author")
    kind = func.coalesce(ReleaseRow.payload["former_kind"].astext, ReleaseRow.kind)
    is_held = exists().where(
        _held.c.row_id == ReleaseRow.row_id,
        or_(_held.c.kind == kind, and_(kind == "candidate", _held.c.kind == "rationale")),
    )
    rows = session.execute(
        select(ReleaseRow.item_id, *(ReleaseRow.payload[name].astext for name in fields))
        .where(ReleaseRow.release_id == release_id, ~is_held)
        .order_by(ReleaseRow.number)
    ).all()
    return [(row[0], dict(zip(fields, row[1:], strict=True))) for row in rows]
