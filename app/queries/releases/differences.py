"""What one release holds that another does not, or holds otherwise.

Rows go by their ids, which are the same in every release. Withdrawn rows are named by a release
itself, and no part of this.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    CTE,
    BigInteger,
    Select,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session

from app.models import Json, ReleaseRow

PAGE_SIZE = 50


class Change(StrEnum):
    """What became of a row from one release to a later one."""

    ADDED = "added"
    REMOVED = "removed"
    ADMITTED = "admitted"
    WITHDRAWN = "withdrawn"
    CHANGED = "changed"


@dataclass(frozen=True, order=True)
class ChangeCount:
    """How many rows of one kind changed in one way. kind: that of the later release; of what is
    gone, that of the earlier one."""

    kind: str
    change: Change
    n: int


@dataclass(frozen=True)
class ChangedRow:
    """A row as both releases have it; None where one has none. number: its place."""

    number: int
    before: Json | None
    after: Json | None


@dataclass(frozen=True)
class Differences:
    """How the rows of two releases differ, and one page of the rows that changed alike."""

    counts: Sequence[ChangeCount]
    shown: tuple[str, Change] | None
    """Kind and change of the rows on the page; None where nothing differs."""
    rows: Sequence[ChangedRow]
    has_more: bool


def find_differences(
    session: Session, old_id: int, new_id: int, *, kind: str, change: str, after: int
) -> Differences:
    """Returns all counts, and the rows of a kind that changed in a way, beginning behind the place
    `after` of the release that holds them. Where no row changed so, those of the first count.

    What rows hold is read of one page alone: a release may have a million.
    """
    changed = _changed(old_id, new_id)
    counts = select(changed.c.kind, changed.c.change, func.count().label("n"), _NO_PLACE, _NO_PLACE)
    wanted = and_(changed.c.kind == kind, changed.c.change == change)
    chosen = (
        select(changed.c.kind, changed.c.change)
        .order_by(wanted.desc(), changed.c.kind, changed.c.change)
        .limit(1)
        .cte("chosen")
    )
    place = func.coalesce(changed.c.new, changed.c.old)
    page = (
        select(
            changed.c.kind, changed.c.change, literal(0).label("n"), changed.c.old, changed.c.new
        )
        .join(
            chosen,
            and_(chosen.c.kind == changed.c.kind, chosen.c.change == changed.c.change),
        )
        .where(place > after)
        .order_by(place)
        .limit(PAGE_SIZE + 1)
    )
    grouped = counts.group_by(changed.c.kind, changed.c.change)
    found = session.execute(union_all(grouped, page.subquery().select())).all()
    counted = sorted(ChangeCount(row[0], Change(row[1]), row[2]) for row in found if row[2])
    places = sorted((row for row in found if not row[2]), key=lambda row: row[4] or row[3])
    is_known = any((one.kind, one.change) == (kind, change) for one in counted)
    first = (counted[0].kind, counted[0].change) if counted else None
    return Differences(
        counts=counted,
        shown=(kind, Change(change)) if is_known else first,
        rows=_read(session, old_id, new_id, [(row[3], row[4]) for row in places[:PAGE_SIZE]]),
        has_more=len(places) > PAGE_SIZE,
    )


_NO_PLACE = cast(null(), BigInteger)


def _changed(old_id: int, new_id: int) -> CTE:
    """The rows that are not the same in both, with their places in each."""
    old, new = _rows(old_id).subquery("old"), _rows(new_id).subquery("new")
    change = case(
        (old.c.row_id.is_(None), literal(Change.ADDED.value)),
        (new.c.row_id.is_(None), literal(Change.REMOVED.value)),
        (
            and_(old.c.kind == "candidate", new.c.kind == "rationale"),
            literal(Change.ADMITTED.value),
        ),
        (
            and_(old.c.kind == "rationale", new.c.kind == "candidate"),
            literal(Change.WITHDRAWN.value),
        ),
        else_=literal(Change.CHANGED.value),
    )
    return (
        select(
            func.coalesce(new.c.kind, old.c.kind).label("kind"),
            change.label("change"),
            old.c.number.label("old"),
            new.c.number.label("new"),
        )
        .select_from(old.join(new, old.c.row_id == new.c.row_id, full=True))
        .where(old.c.digest.is_distinct_from(new.c.digest))
        .cte("changed")
    )


def _rows(release_id: int) -> Select[str | None, str | None, str | None, int]:
    columns = (ReleaseRow.row_id, ReleaseRow.kind, ReleaseRow.digest, ReleaseRow.number)
    return select(*columns).where(ReleaseRow.release_id == release_id, ~ReleaseRow.is_tombstone)


def _read(
    session: Session, old_id: int, new_id: int, places: Sequence[tuple[int | None, int | None]]
) -> list[ChangedRow]:
    before = _payloads(session, old_id, [old for old, _ in places if old is not None])
    after = _payloads(session, new_id, [new for _, new in places if new is not None])
    return [
        ChangedRow(
            number=new if new is not None else old or 0,
            before=before.get(old) if old is not None else None,
            after=after.get(new) if new is not None else None,
        )
        for old, new in places
    ]


def _payloads(session: Session, release_id: int, numbers: Sequence[int]) -> dict[int, Json]:
    rows = session.execute(
        select(ReleaseRow.number, ReleaseRow.payload).where(
            ReleaseRow.release_id == release_id, ReleaseRow.number.in_(numbers)
        )
    )
    return dict(rows.all())
