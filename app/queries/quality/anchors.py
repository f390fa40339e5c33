"""Anchors: which there are, which items can become some, and what people said of them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Float, cast, func, select
from sqlalchemy.orm import Session

from app.lifecycle import JudgementStatus, Purpose, RoundItemState, UserKind
from app.models import AnchorItem, Item, Judgement, Round, RoundCandidate, RoundItem
from app.queries.admission.votes import votes_statement
from app.queries.counted import counted_items, is_mixed_in


def list_anchors(session: Session, project_id: int) -> Sequence[AnchorItem]:
    """Returns the anchors of a project, also those whose item cannot be used any more."""
    return session.scalars(
        select(AnchorItem).where(AnchorItem.project_id == project_id).order_by(AnchorItem.id)
    ).all()


def list_judged_item_ids(session: Session, round_id: int, *, n_shown: int) -> list[int]:
    """Returns the items of a round that count, are done with somebody's word on them, and show at
    least `n_shown` candidates, in order."""
    shown = select(func.count()).where(
        RoundCandidate.round_id == counted_items.round_id,
        RoundCandidate.item_id == counted_items.item_id,
        RoundCandidate.is_shown,
    )
    return list(
        session.scalars(
            select(counted_items.item_id)
            .where(
                counted_items.round_id == round_id,
                counted_items.state == RoundItemState.DONE,
                counted_items.n_submitted > 0,
                shown.scalar_subquery() >= n_shown,
            )
            .order_by(counted_items.item_id)
        )
    )


def list_agreement(
    session: Session, round_id: int, item_ids: Collection[int]
) -> list[tuple[int, float]]:
    """Returns (item, how one-sided people's votes on its candidates are: 0 split, 1 all the same)
    of items with votes in a round."""
    votes = votes_statement(round_id, UserKind.PERSON).where(counted_items.item_id.in_(item_ids))
    each = votes.subquery()
    one_sided = func.abs(2 * each.c.n_fits - each.c.n_votes) / cast(each.c.n_votes, Float)
    rows = session.execute(
        select(each.c.item_id, func.avg(one_sided))
        .group_by(each.c.item_id)
        .order_by(each.c.item_id)
    )
    return [(item_id, float(agreement)) for item_id, agreement in rows]


def list_shown_candidates(
    session: Session, round_id: int, item_id: int
) -> Sequence[RoundCandidate]:
    """Returns the candidates of an item that a round showed, in order of their rank."""
    return session.scalars(
        select(RoundCandidate)
        .where(
            RoundCandidate.round_id == round_id,
            RoundCandidate.item_id == item_id,
            RoundCandidate.is_shown,
        )
        .order_by(RoundCandidate.rank)
    ).all()


def list_fit_shares(
    session: Session,
    round_id: int,
    purpose: Purpose,
    item_ids: Collection[int] | None = None,
) -> dict[int, float]:
    """Returns, by item, the share of its shown candidates that people picked in a round.

    Of items with this purpose there, or of some of them; those set aside or excluded are left out,
    and so is who calls the answer itself wrong.
    """
    n_picked = func.sum(func.cardinality(Judgement.picked))
    statement = (
        select(
            RoundItem.item_id,
            cast(n_picked, Float) / func.sum(func.cardinality(Judgement.shown_order)),
        )
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Item, Item.id == RoundItem.item_id)
        .where(
            Judgement.round_id == round_id,
            Judgement.user_kind == UserKind.PERSON,
            Judgement.status == JudgementStatus.SUBMITTED,
            ~Judgement.answer_is_wrong,
            RoundItem.purpose == purpose,
            RoundItem.state != RoundItemState.SET_ASIDE,
            Item.excluded_at.is_(None),
        )
        .group_by(RoundItem.item_id)
        .order_by(RoundItem.item_id)
    )
    if item_ids is not None:
        statement = statement.where(RoundItem.item_id.in_(item_ids))
    return {item_id: float(share) for item_id, share in session.execute(statement)}


def list_first_rounds(session: Session, round_id: int) -> dict[int, Round]:
    """Returns, by item, the round in which the anchors of a round were judged first."""
    rows = session.execute(
        select(AnchorItem.item_id, Round)
        .join(Round, Round.id == AnchorItem.round_id)
        .join(RoundItem, RoundItem.item_id == AnchorItem.item_id)
        .where(RoundItem.round_id == round_id, RoundItem.purpose == Purpose.ANCHOR)
    )
    return dict(rows.all())


@dataclass(frozen=True, slots=True)
class PlaceCounts:
    """The places that a round has for items of one purpose: how many, and how far they are."""

    n_items: int
    n_slots: int
    n_submitted: int


def count_places(session: Session, round_id: int, purpose: Purpose) -> PlaceCounts:
    """Returns how many items of a purpose a round has, their slots, and what was submitted."""
    row = session.execute(
        select(
            func.count(),
            func.coalesce(func.sum(RoundItem.slots), 0),
            func.coalesce(func.sum(RoundItem.n_submitted), 0),
        ).where(
            RoundItem.round_id == round_id,
            RoundItem.purpose == purpose,
            is_mixed_in(),
        )
    ).one()
    return PlaceCounts(*(int(number) for number in row))
