"""The judgements of a round in compact arrays, for those who measure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import chain

import numpy as np
import numpy.typing as npt
from sqlalchemy import Float, Row, cast, func, select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Item
from app.queries.admission.votes import counts
from app.queries.counted import counted_items, counted_judgements

ROWS_AT_ONCE = 10_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RoundJudgements:
    """What people said of the candidates of a round: an entry for each judgement with verdicts.

    They are in order of their items, then of people. The verdicts of a judgement are the entries
    from `first` on, `n_shown` of them, in the order in which that person saw the candidates.
    """

    item_id: Ints
    user_id: Ints
    n_shown: Ints
    candidate_id: Ints
    """Of each verdict."""
    fits: npt.NDArray[np.bool_]
    """Of each verdict."""
    id: Ints
    active_ms: Ints
    """The time at the item as it was measured, 0 where it was not,"""
    counted_ms: Ints
    """and as it counts."""
    n_words: Ints
    submitted_at: npt.NDArray[np.float64]
    """In seconds."""

    def __len__(self) -> int:
        return len(self.item_id)

    @property
    def judgement(self) -> Ints:
        """The number of the judgement that each verdict belongs to."""
        return np.repeat(np.arange(len(self)), self.n_shown)

    @property
    def position(self) -> Ints:
        """Where each candidate stood, from 0 on."""
        first = np.cumsum(self.n_shown) - self.n_shown
        return np.arange(len(self.candidate_id)) - np.repeat(first, self.n_shown)


def read_judgements(session: Session, round_id: int) -> RoundJudgements:
    """Returns what people said, of the items of which something can be admitted.

    Those that call the answer itself wrong are left out, since they say nothing of candidates.
    """
    statement = (
        select(
            counted_items.item_id,
            counted_judgements.user_id,
            counted_judgements.shown_order,
            counted_judgements.picked,
            counted_judgements.id,
            counted_judgements.active_ms,
            counted_judgements.counted_ms,
            counted_judgements.n_words,
            cast(func.extract("epoch", counted_judgements.submitted_at), Float),
        )
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .where(counts(round_id, UserKind.PERSON), ~counted_judgements.answer_is_wrong)
        .order_by(counted_items.item_id, counted_judgements.user_id)
    )
    rows = session.execute(statement, execution_options={"yield_per": ROWS_AT_ONCE})
    pieces = [_compact(list(block)) for block in rows.partitions()]
    return _joined(pieces) if pieces else _compact([])


_Row = Row[int, int, list[int], list[int], int, int, int, int, float]


def _compact(rows: Sequence[_Row]) -> RoundJudgements:
    shown_at, picked_at = (
        np.repeat(np.arange(len(rows)), [len(ids) for ids in lists])
        for lists in ([row.shown_order for row in rows], [row.picked for row in rows])
    )
    shown = _flat(row.shown_order for row in rows)
    picked = _flat(row.picked for row in rows)
    # One number for a judgement and a candidate, so that one look-up says what was picked.
    ids, number = np.unique(np.concatenate([shown, picked]), return_inverse=True)
    number += np.concatenate([shown_at, picked_at]) * len(ids)
    return RoundJudgements(
        item_id=np.array([row.item_id for row in rows], dtype=np.int64),
        user_id=np.array([row.user_id for row in rows], dtype=np.int64),
        n_shown=np.array([len(row.shown_order) for row in rows], dtype=np.int64),
        candidate_id=shown,
        fits=np.isin(number[: len(shown)], number[len(shown) :]),
        id=_column(rows, 4),
        active_ms=_column(rows, 5),
        counted_ms=_column(rows, 6),
        n_words=_column(rows, 7),
        submitted_at=np.array([row[8] for row in rows], dtype=np.float64),
    )


def _column(rows: Sequence[_Row], place: int) -> Ints:
    return np.array([row[place] for row in rows], dtype=np.int64)


def _flat(lists: Iterator[list[int]]) -> Ints:
    return np.fromiter(chain.from_iterable(lists), dtype=np.int64)


def _joined(pieces: Sequence[RoundJudgements]) -> RoundJudgements:
    names = [field.name for field in fields(RoundJudgements)]
    return RoundJudgements(
        **{name: np.concatenate([getattr(piece, name) for piece in pieces]) for name in names}
    )
