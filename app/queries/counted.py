"""Defines which items of a round count, and which judgements, for every figure and release.

A round can also hold items with another purpose (to check, to measure, to compare). They are handed
out and judged like the others, but belong to no figure: every statement that says how many, how
far, or what is admitted reads `counted_items` and `counted_judgements` instead of the tables.
Statements that hand out, lock or change single places go on reading the tables, and so does what
one person did: whoever looks at their own work must not see there which items are of another kind.
"""

from sqlalchemy import ColumnElement, exists, literal, select
from sqlalchemy.orm import aliased

from app.lifecycle import JudgementStatus, Purpose
from app.models import Judgement, RoundCandidate, RoundItem

# Written into the statements: PostgreSQL then knows that the tiny index of the others covers it.
_TRAINING = literal(Purpose.TRAINING, RoundItem.purpose.type, literal_execute=True)


def _is_of_another_purpose() -> ColumnElement[bool]:
    """Whether the item of a judgement is not there for training.

    Asked this way round because such items are few: their index (ix_round_item_uncounted) is read
    once, where a join would read all the items of a round.
    """
    place = aliased(RoundItem)
    return exists().where(place.id == Judgement.round_item_id, place.purpose != _TRAINING)


def is_mixed_in() -> ColumnElement[bool]:
    """Returns the condition that a `RoundItem` is not there for training. Where one of the other
    purposes is asked for, it is said beside, so that their small index is enough."""
    return RoundItem.purpose != _TRAINING


def is_counted_candidate() -> ColumnElement[bool]:
    """Returns the condition that a `RoundCandidate` is of an item that is there for training."""
    return ~exists().where(
        RoundItem.round_id == RoundCandidate.round_id,
        RoundItem.item_id == RoundCandidate.item_id,
        is_mixed_in(),
    )


counted_items = aliased(
    RoundItem, select(RoundItem).where(RoundItem.purpose == _TRAINING).subquery("counted_item")
)
"""The items that a round is about; to be used like the class `RoundItem`."""

counted_judgements = aliased(
    Judgement,
    select(Judgement)
    .where(Judgement.status == JudgementStatus.SUBMITTED, ~_is_of_another_purpose())
    .subquery("counted_judgement"),
)
"""Submitted judgements of these items, by people and critics; used like the class `Judgement`."""
