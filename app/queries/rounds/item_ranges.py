"""Many items in ranges by their ids, so that none has to be held while they are gone through."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

ITEMS_IN_ONE_RANGE = 1000
"""So many items are gone through at once; no more of their rows are ever held."""


@dataclass(frozen=True, slots=True)
class ItemRange:
    """The items with an id from `first` to `last`; `size` of them are meant."""

    first: int
    last: int
    size: int


def list_ranges(
    session: Session, ids: Select[int], size: int = ITEMS_IN_ONE_RANGE
) -> list[ItemRange]:
    """Returns ranges of `size` items. ids: a statement with one column, `id`."""
    numbered = select(
        ids.subquery().c.id, ((func.row_number().over(order_by="id") - 1) // size).label("number")
    ).subquery()
    rows = session.execute(
        select(func.min(numbered.c.id), func.max(numbered.c.id), func.count())
        .group_by(numbered.c.number)
        .order_by(numbered.c.number)
    )
    return [ItemRange(*row) for row in rows]


def is_in_range(column: InstrumentedAttribute[int], range_: ItemRange) -> ColumnElement[Any]:
    """Returns the condition that an id belongs to the range."""
    return column.between(range_.first, range_.last)
