"""The votes of a round as arrays, for those who must know who said what."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Item, VerdictRow
from app.queries.admission.votes import counts
from app.queries.counted import counted_items, counted_judgements
from app.queries.packed import read_packed
from app.queries.rounds.item_ranges import ItemRange, is_in_range


@dataclass(frozen=True, slots=True)
class PackedVotes:
    """Votes as arrays: of which candidate and item each is, whose, and whether it fits."""

    candidate_id: npt.NDArray[np.int64]
    item_id: npt.NDArray[np.int64]
    user_id: npt.NDArray[np.int64]
    fits: npt.NDArray[np.bool_]


def read_votes(
    session: Session, round_id: int, judge_kind: UserKind, range_: ItemRange
) -> PackedVotes:
    """Returns the votes on the items of a range, in any order."""
    votes = (
        select(
            VerdictRow.candidate_id,
            counted_items.item_id,
            counted_judgements.user_id,
            VerdictRow.fits,
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .where(counts(round_id, judge_kind), is_in_range(counted_items.item_id, range_))
        .subquery()
    )
    columns = read_packed(session, votes, candidate_id="i8", item_id="i8", user_id="i8", fits="?")
    return PackedVotes(**columns)
