"""Votes on the candidates of a round, and the admissions that follow from them."""

from collections import Counter
from typing import NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    case,
    func,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState, UserKind
from app.models import Adjudication, Item, VerdictRow
from app.queries.admission.adjudications import has_adjudications
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.item_ranges import ItemRange, list_ranges


def list_round_ranges(session: Session, round_id: int, size: int) -> list[ItemRange]:
    """Returns the items of a round in ranges of this size, by their ids."""
    ids = select(counted_items.item_id.label("id")).where(
        counted_items.round_id == round_id, counted_items.state != RoundItemState.RESTING
    )
    return list_ranges(session, ids, size)


def counts(round_id: int, judge_kind: UserKind) -> ColumnElement[bool]:
    """Whether a verdict is a vote of the round, by judges of this kind.

    Items set aside are left out, since their answer is in doubt, and so are excluded ones.
    """
    return and_(
        Item.excluded_at.is_(None),
        counted_items.round_id == round_id,
        counted_judgements.user_kind == judge_kind,
        counted_items.state != RoundItemState.SET_ASIDE,
    )


def votes_statement(round_id: int, judge_kind: UserKind) -> Select[int, int, int, int]:
    """Returns the statement of (candidate, item, votes that it fits, votes)."""
    fits = func.count().filter(VerdictRow.fits)
    return (
        select(
            VerdictRow.candidate_id,
            counted_items.item_id,
            fits.label("n_fits"),
            func.count().label("n_votes"),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .where(counts(round_id, judge_kind))
        .group_by(VerdictRow.candidate_id, counted_items.item_id)
    )


class Votes(NamedTuple):
    """Votes on a candidate, and what an adjudicator decided of it, if one did."""

    n_fits: int
    n_votes: int
    adjudicated: bool | None = None


_BASE = 1_000
"""More than any candidate has votes."""
_ADJUDICATED = (None, False, True)


def count_alike(
    session: Session, round_id: int, judge_kind: UserKind
) -> dict[tuple[Votes, ...], int]:
    """Returns how many items of a round have these very votes on their candidates.

    Items with the same votes are alike to every policy, and there are few kinds of them however
    many items were judged. Those with one judgement are most, and are counted from it alone: a page
    waits for this.
    """
    found: Counter[tuple[Votes, ...]] = Counter()
    for n_fits, n_votes, n_items in session.execute(_judged_once(round_id, judge_kind)):
        found[(Votes(1, 1),) * n_fits + (Votes(0, 1),) * (n_votes - n_fits)] += n_items
    if judge_kind is UserKind.PERSON:  # a critic judges an item once
        for n_shown, (n_votes, *picked), n_items in session.execute(_judged_by_several(round_id)):
            nowhere = n_shown - len(picked)
            found[tuple(Votes(n_fits, n_votes) for n_fits in (*picked, *[0] * nowhere))] += n_items
        for encoded, n_items in session.execute(_adjudicated(round_id)):
            found[tuple(_decode(all_three) for all_three in encoded)] += n_items
    return found


def _decode(encoded: int) -> Votes:
    rest, n_votes = divmod(encoded, _BASE)
    decided, n_fits = divmod(rest, _BASE)
    return Votes(n_fits, n_votes, _ADJUDICATED[decided])


def _adjudicated(round_id: int) -> Select[list[int], int]:
    """(votes on an item's candidates, each with what was decided of it as one number, items), of
    the items of which anything is decided. What nobody picks and nobody decided is left out."""
    is_meant = has_adjudications(counted_items.item_id, round_id)
    picked = _count_picks(round_id, is_meant).cte("picked")
    votes = select(picked.c.item_id, picked.c.n).where(picked.c.picked == 0).subquery()
    each = select(picked).where(picked.c.picked != 0).subquery()
    decided = (
        select(
            Adjudication.item_id,
            Adjudication.candidate_id,
            case((Adjudication.fits, 2), else_=1).label("decision"),
        )
        .where(Adjudication.round_id == round_id)
        .subquery()
    )
    item_id = func.coalesce(each.c.item_id, decided.c.item_id)
    both = func.coalesce(decided.c.decision, 0) * _BASE + func.coalesce(each.c.n, 0)
    all_three = both * _BASE + votes.c.n
    of_item = (
        select(func.array_agg(aggregate_order_by(all_three, all_three.desc())).label("votes"))
        .select_from(each)
        .join(decided, decided.c.candidate_id == each.c.picked, full=True)
        .join(votes, votes.c.item_id == item_id)
        .group_by(votes.c.item_id)
        .subquery()
    )
    return select(of_item.c.votes, func.count()).group_by(of_item.c.votes)


def _judged_once(round_id: int, judge_kind: UserKind) -> Select[int, int, int]:
    """(candidates that fit, candidates, items): verdicts are of what was shown, and fit if picked.

    Nothing is said of candidates where the answer itself is called wrong.
    """
    n_votes = func.cardinality(counted_judgements.shown_order)
    once = counted_items.n_submitted == (1 if judge_kind is UserKind.PERSON else 0)
    n_fits = func.cardinality(counted_judgements.picked)
    return (
        select(n_fits, n_votes, func.count())
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .where(
            counted_judgements.round_id == round_id,
            counted_judgements.user_kind == judge_kind,
            ~counted_judgements.answer_is_wrong,
            counted_items.state != RoundItemState.SET_ASIDE,
            Item.excluded_at.is_(None),
            once,
            ~has_adjudications(counted_items.item_id, round_id),
        )
        .group_by(n_fits, n_votes)
    )


def _judged_by_several(round_id: int) -> Select[int, list[int], int]:
    """(candidates of an item, its judgements and then the votes for each that any picks, items).

    Read from what people picked, a third of what verdicts there are: everybody is shown the same
    candidates of an item. Id 0 stands for the judgement itself, so that all is counted at once.
    """
    each = _count_picks(
        round_id,
        counted_items.n_submitted > 1,
        ~has_adjudications(counted_items.item_id, round_id),
    ).subquery()
    in_order = (each.c.picked != 0, each.c.n.desc())
    of_item = (
        select(
            func.max(each.c.n_shown).label("n_shown"),
            func.array_agg(aggregate_order_by(each.c.n, *in_order)).label("n"),
        )
        .group_by(each.c.place)
        .subquery()
    )
    return select(of_item.c.n_shown, of_item.c.n, func.count()).group_by(
        of_item.c.n_shown, of_item.c.n
    )


def _count_picks(round_id: int, *which: ColumnElement[bool]) -> Select[int, int, int, int, int]:
    """(place, item, candidate, people who pick it, candidates shown), of what people picked of some
    items; the people who judged an item are counted as those who pick 0."""
    picked = (
        func.unnest(func.array_append(counted_judgements.picked, 0))
        .table_valued("id")
        .render_derived()
    )
    return (
        select(
            counted_judgements.round_item_id.label("place"),
            counted_items.item_id.label("item_id"),
            picked.c.id.label("picked"),
            func.count().label("n"),
            func.max(func.cardinality(counted_judgements.shown_order)).label("n_shown"),
        )
        .select_from(counted_judgements)
        .join(counted_items, counted_items.id == counted_judgements.round_item_id)
        .join(Item, Item.id == counted_items.item_id)
        .join(picked, true())
        .where(counts(round_id, UserKind.PERSON), ~counted_judgements.answer_is_wrong, *which)
        .group_by(counted_judgements.round_item_id, counted_items.item_id, picked.c.id)
    )
