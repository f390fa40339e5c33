"""What differs between two evaluations on the same items, and between what two rounds admitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Select,
    Subquery,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.elements import SQLCoreOperations

from app.lifecycle import Job, RoundItemState, RunStatus, Split
from app.models import (
    Admission,
    Candidate,
    Item,
    Prediction,
    RoundCandidate,
    Run,
    VerdictRow,
)
from app.queries.counted import counted_items, counted_judgements

PAGE_SIZE = 20

old = aliased(Prediction)
new = aliased(Prediction)


class Change(StrEnum):
    """What became of an item from one round to another."""

    IMPROVED = "improved"
    """A held-out item whose rationale began to fit."""
    REGRESSED = "regressed"
    RIGHT = "right"
    """A held-out item whose answer became right, without a rationale that began to fit."""
    WRONG = "wrong"
    """A held-out item whose answer became wrong, without a rationale that ceased to fit."""
    ADMITTED = "admitted"
    """An item that both rounds judged, of which only the second admitted something."""
    NOT_ADMITTED = "not_admitted"


OF_ADMISSION = frozenset({Change.ADMITTED, Change.NOT_ADMITTED})


@dataclass(frozen=True)
class Flips:
    """How often a yes or no of the same items holds before and after, began and ceased to; of the
    items of which it is known both times."""

    n: int
    n_before: int
    n_after: int
    n_began: int
    n_ceased: int


@dataclass(frozen=True)
class PairedMean:
    """The mean change of a number over the same items, and its standard deviation."""

    n: int
    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Paired:
    """Two evaluations on the items that both of them have, of one split."""

    split: Split
    right: Flips
    fit: Flips
    soft: PairedMean
    changes: Mapping[Change, int]


def compare_predictions(
    session: Session, before: Sequence[int], after: Sequence[int]
) -> Sequence[Paired]:
    """Returns what the evaluations of these runs say of the items that both have, by split."""
    difference = new.soft_accuracy - old.soft_accuracy
    columns = [
        *_flips(old.answer_is_right, new.answer_is_right),
        *_flips(old.fits, new.fits),
        func.count(difference),
        func.avg(difference),
        func.stddev_samp(difference),
        *(func.count().filter(_is_change(change)) for change in _HELD_OUT),
    ]
    rows = session.execute(_pairs(before, after, new.split, *columns).group_by(new.split))
    return [_paired(row) for row in rows]


def _paired(row: Any) -> Paired:
    split, *numbers = row
    return Paired(
        split=split,
        right=Flips(*numbers[:5]),
        fit=Flips(*numbers[5:10]),
        soft=PairedMean(*numbers[10:13]),
        changes=dict(zip(_HELD_OUT, numbers[13:], strict=True)),
    )


def _pairs(before: Sequence[int], after: Sequence[int], *columns: Any) -> Select[Any]:
    return (
        select(*columns)
        .select_from(old)
        .join(new, new.item_id == old.item_id)
        .where(old.run_id.in_(before), new.run_id.in_(after))
    )


def _flips(was: SQLCoreOperations[Any], is_: SQLCoreOperations[Any]) -> list[ColumnElement[int]]:
    is_known = and_(was.is_not(None), is_.is_not(None))
    return [
        func.count().filter(is_known),
        func.count().filter(is_known, was),
        func.count().filter(is_known, is_),
        func.count().filter(and_(~was, is_)),
        func.count().filter(and_(was, ~is_)),
    ]


_HELD_OUT = (Change.IMPROVED, Change.REGRESSED, Change.RIGHT, Change.WRONG)


def _is_change(change: Change) -> ColumnElement[bool]:
    """Whether a pair of predictions is such a change; one without a verdict on both sides neither
    improved nor regressed."""
    match change:
        case Change.IMPROVED:
            return and_(old.fits.is_(False), new.fits.is_(True))
        case Change.REGRESSED:
            return and_(old.fits.is_(True), new.fits.is_(False))
        case Change.RIGHT:
            became = and_(~old.answer_is_right, new.answer_is_right)
            return and_(became, ~_is_change(Change.IMPROVED))
        case _:
            became = and_(old.answer_is_right, ~new.answer_is_right)
            return and_(became, ~_is_change(Change.REGRESSED))


@dataclass(frozen=True)
class HeldOutChange:
    """A held-out item with what two models said of it."""

    item: Item
    before: Prediction
    after: Prediction


def list_held_out_changes(
    session: Session,
    before: Sequence[int],
    after: Sequence[int],
    change: Change,
    *,
    skip: int,
    limit: int,
) -> Sequence[HeldOutChange]:
    """Returns held-out items that changed so: where the answer changed, too, before the others, and
    then by how much more people agree with it."""
    both = old.answer_is_right != new.answer_is_right
    by_people = func.abs(new.soft_accuracy - old.soft_accuracy)
    rows = session.execute(
        _pairs(before, after, Item, old, new)
        .join(Item, Item.id == new.item_id)
        .where(_is_change(change))
        .order_by(both.desc(), by_people.desc().nulls_last(), Item.id)
        .offset(skip)
        .limit(limit)
    )
    return [HeldOutChange(*row) for row in rows]


# --- What two rounds admitted ----------------------------------------------------------------


@dataclass(frozen=True)
class AdmittedOf:
    """Of the items that two rounds judged: how many each admitted something of."""

    n_items: int
    n_before: int
    n_after: int
    n_only_before: int
    n_only_after: int


def compare_admissions(session: Session, before_id: int, after_id: int) -> AdmittedOf:
    """Returns of how many items, among those that both rounds judged, each admitted something."""
    first, second = _judged(before_id), _judged(after_id)
    before, after = _items_admitted(before_id), _items_admitted(after_id)
    row = session.execute(
        select(
            func.count(),
            func.count(before.c.item_id),
            func.count(after.c.item_id),
            func.count(before.c.item_id).filter(after.c.item_id.is_(None)),
            func.count(after.c.item_id).filter(before.c.item_id.is_(None)),
        )
        .select_from(first)
        .join(second, second.c.item_id == first.c.item_id)
        .outerjoin(before, before.c.item_id == first.c.item_id)
        .outerjoin(after, after.c.item_id == first.c.item_id)
    ).one()
    return AdmittedOf(*row)


def _judged_by_both(before_id: int, after_id: int) -> Subquery:
    """(item, share of votes of the best text that each round admitted, or null)."""
    first, second = _judged(before_id), _judged(after_id)
    admitted_before, admitted_after = _admitted(before_id), _admitted(after_id)
    return (
        select(
            first.c.item_id,
            admitted_before.c.share.label("before"),
            admitted_after.c.share.label("after"),
        )
        .select_from(first)
        .join(second, second.c.item_id == first.c.item_id)
        .outerjoin(admitted_before, admitted_before.c.item_id == first.c.item_id)
        .outerjoin(admitted_after, admitted_after.c.item_id == first.c.item_id)
        .subquery()
    )


def _judged(round_id: int) -> Subquery:
    return (
        select(counted_items.item_id)
        .where(counted_items.round_id == round_id, counted_items.state == RoundItemState.DONE)
        .subquery()
    )


def _items_admitted(round_id: int) -> Subquery:
    return select(Admission.item_id).where(Admission.round_id == round_id).distinct().subquery()


def _admitted(round_id: int) -> Subquery:
    share = cast(Admission.n_fits, Float) / Admission.n_votes
    return (
        select(Admission.item_id, func.max(share).label("share"))
        .where(Admission.round_id == round_id)
        .group_by(Admission.item_id)
        .subquery()
    )


def list_admission_changes(
    session: Session, before_id: int, after_id: int, change: Change, *, skip: int, limit: int
) -> Sequence[Item]:
    """Returns items of which only one of the rounds admitted something, by how sure it was."""
    both = _judged_by_both(before_id, after_id)
    one, other = both.c.before, both.c.after
    if change is Change.ADMITTED:
        one, other = other, one
    return session.scalars(
        select(Item)
        .join(both, both.c.item_id == Item.id)
        .where(one.is_not(None), other.is_(None))
        .order_by(one.desc(), Item.id)
        .offset(skip)
        .limit(limit)
    ).all()


@dataclass(frozen=True)
class JudgedText:
    """The text of an item that a round's judges liked best."""

    text: str
    n_fits: int
    n_votes: int
    is_admitted: bool


def list_best_texts(
    session: Session, round_id: int, item_ids: Sequence[int]
) -> Mapping[int, JudgedText]:
    """Returns the best text of these items in a round: one that was admitted, by the share of votes
    that it fits, by its draws."""
    votes = (
        select(
            VerdictRow.candidate_id,
            func.count().filter(VerdictRow.fits).label("n_fits"),
            func.count().label("n_votes"),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .join(Candidate, Candidate.id == VerdictRow.candidate_id)
        .where(Candidate.item_id.in_(item_ids), VerdictRow.round_id == round_id)
        .group_by(VerdictRow.candidate_id)
        .subquery()
    )
    share = cast(votes.c.n_fits, Float) / votes.c.n_votes
    rows = session.execute(
        select(
            RoundCandidate.item_id,
            Candidate.text,
            func.coalesce(votes.c.n_fits, 0),
            func.coalesce(votes.c.n_votes, 0),
            Admission.candidate_id.is_not(None),
        )
        .join(Candidate, Candidate.id == RoundCandidate.candidate_id)
        .outerjoin(votes, votes.c.candidate_id == RoundCandidate.candidate_id)
        .outerjoin(
            Admission,
            and_(
                Admission.round_id == RoundCandidate.round_id,
                Admission.candidate_id == RoundCandidate.candidate_id,
            ),
        )
        .where(
            RoundCandidate.round_id == round_id,
            RoundCandidate.item_id.in_(item_ids),
            or_(RoundCandidate.is_shown, votes.c.n_votes > 0),
        )
        .ext(distinct_on(RoundCandidate.item_id))
        .order_by(
            RoundCandidate.item_id,
            Admission.candidate_id.is_(None),
            share.desc().nulls_last(),
            RoundCandidate.n_draws.desc(),
            RoundCandidate.candidate_id,
        )
    )
    return {item_id: JudgedText(*rest) for item_id, *rest in rows}


def seconds_of_round(session: Session, round_id: int) -> Mapping[Job, float]:
    """Returns how long the runs of a round that succeeded took, from start to end, by their job."""
    seconds = func.extract("epoch", Run.finished_at - Run.started_at)
    rows = session.execute(
        select(Run.job, func.coalesce(func.sum(seconds), literal(0)).cast(Float))
        .where(
            Run.round_id == round_id,
            Run.status == RunStatus.SUCCEEDED,
            Run.started_at.is_not(None),
        )
        .group_by(Run.job)
    )
    return {job: float(total) for job, total in rows}
