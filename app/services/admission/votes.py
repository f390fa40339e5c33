"""The votes of a round in memory: who said of which candidate that it fits, once for all policies.

A vote takes 13 bytes, so that the 2.4 million of a large round take 31 MB.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.metrics.dawid_skene import Votes
from app.models import Round
from app.queries.admission.arrays import PackedVotes, read_votes
from app.queries.admission.votes import list_round_ranges
from app.services.admission.preview import judge_kind

Value = TypeVar("Value", bound=np.generic)
OnProgress = Callable[[int, int], None]


def tell_nobody(_done: int, _total: int) -> None:
    """Progress that nobody waits for."""


@dataclass(frozen=True, slots=True)
class VoteMatrix:
    """All votes that count in a round, of people or of critics: they are never mixed.

    Candidates and people are numbered from 0, in the order of their items and ids; `votes` has
    those numbers.
    """

    candidate_ids: npt.NDArray[np.int64]
    item_ids: npt.NDArray[np.int64]
    """Of each candidate."""
    user_ids: npt.NDArray[np.int64]
    votes: Votes
    judge_kind: UserKind

    @property
    def n_items(self) -> int:
        """Returns how many items have votes."""
        return count_items(self.item_ids)


def count_items(item_ids: npt.NDArray[np.int64]) -> int:
    """Returns how many items these are; ids of one item stand together."""
    return int(np.count_nonzero(np.diff(item_ids))) + 1 if item_ids.size else 0


def load_votes(
    session: Session,
    round_: Round,
    on_progress: OnProgress = tell_nobody,
    *,
    items_at_once: int = 5000,
) -> VoteMatrix:
    """Returns the votes of a round, read some items at a time.

    on_progress: is told the items done, and of how many.
    """
    kind = judge_kind(round_)
    ranges = list_round_ranges(session, round_.id, items_at_once)
    n_all, n_done = sum(range_.size for range_ in ranges), 0
    parts = [_NO_VOTES]
    n_candidates = 0
    for range_ in ranges:
        on_progress(n_done, n_all)
        part = _number(read_votes(session, round_.id, kind, range_), n_candidates)
        parts.append(part)
        n_candidates += part.candidate_ids.size
        n_done += range_.size
    user_ids, person = np.unique(_join(part.user_id for part in parts), return_inverse=True)
    return VoteMatrix(
        candidate_ids=_join(part.candidate_ids for part in parts),
        item_ids=_join(part.item_ids for part in parts),
        user_ids=user_ids,
        votes=Votes(
            candidate=_join(part.candidate for part in parts),
            person=person.astype(np.int32),
            fits=_join(part.fits for part in parts),
            n_candidates=n_candidates,
            n_people=user_ids.size,
        ),
        judge_kind=kind,
    )


@dataclass(frozen=True, slots=True)
class _Part:
    """The votes of some items, their candidates numbered already."""

    candidate_ids: npt.NDArray[np.int64]
    item_ids: npt.NDArray[np.int64]
    candidate: npt.NDArray[np.int32]
    user_id: npt.NDArray[np.int64]
    fits: npt.NDArray[np.bool_]


_NO_IDS = np.empty(0, np.int64)
_NO_VOTES = _Part(_NO_IDS, _NO_IDS, np.empty(0, np.int32), _NO_IDS, np.empty(0, np.bool_))


def _number(found: PackedVotes, first: int) -> _Part:
    """Number the candidates of these votes from `first`, in the order of their items and ids."""
    ids, seen_at, numbers = np.unique(found.candidate_id, return_index=True, return_inverse=True)
    items = found.item_id[seen_at]
    order = np.lexsort((ids, items))
    place = np.empty(order.size, np.int32)
    place[order] = np.arange(first, first + order.size)
    return _Part(ids[order], items[order], place[numbers], found.user_id, found.fits)


def _join(arrays: Iterable[npt.NDArray[Value]]) -> npt.NDArray[Value]:
    return np.concatenate(list(arrays))
