"""Comparisons of two adapters: their items and texts, where they are judged, and what was said."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, delete, exists, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.lifecycle import (
    CLOSED_ROUND,
    JudgementStatus,
    Purpose,
    RoundItemState,
    RunStatus,
    Split,
    UserKind,
)
from app.models import (
    CheckItem,
    Comparison,
    ComparisonCandidate,
    ComparisonItem,
    Item,
    Judgement,
    Round,
    RoundItem,
    Run,
    VerdictRow,
)
from app.queries.rounds.candidates import usable_items_statement


def find_comparison(session: Session, round_id: int) -> Comparison | None:
    """Returns the comparison of what a round made with what it began with, unless cancelled."""
    return session.scalars(
        select(Comparison).where(Comparison.round_id == round_id, Comparison.cancelled_at.is_(None))
    ).one_or_none()


def _free_items(project_id: int) -> Select[int]:
    """Usable test items that no comparison has had yet, without those set aside, and those that
    serve as check items."""
    return usable_items_statement(project_id).where(
        Item.split == Split.TEST,
        ~exists().where(ComparisonItem.item_id == Item.id),
        ~exists().where(RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE),
        ~exists().where(CheckItem.item_id == Item.id, CheckItem.retired_at.is_(None)),
    )


def list_free_item_ids(session: Session, project_id: int) -> list[int]:
    """Returns the test items that can still be compared on, in order."""
    return list(session.scalars(_free_items(project_id).order_by(Item.id)))


def count_free_items(session: Session, project_id: int) -> int:
    """Returns how many test items can still be compared on."""
    free = _free_items(project_id).subquery()
    return session.execute(select(func.count()).select_from(free)).scalar_one()


def add_comparison(session: Session, comparison: Comparison) -> bool:
    """Store a comparison; returns False, and stores nothing, where its round has one already."""
    try:
        with session.begin_nested():
            session.add(comparison)
    except IntegrityError:
        return False
    return True


def insert_items(session: Session, comparison_id: int, item_ids: Sequence[int]) -> None:
    """Say which items a comparison is about."""
    rows = [{"comparison_id": comparison_id, "item_id": item_id} for item_id in item_ids]
    session.execute(insert(ComparisonItem), rows)


def insert_candidates(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the two adapters drew for some items."""
    if rows:
        session.execute(insert(ComparisonCandidate), rows)


def free_untouched_items(session: Session, comparison_id: int) -> None:
    """Let other comparisons have the items of a cancelled one of which nothing was drawn."""
    drawn = exists().where(
        ComparisonCandidate.comparison_id == ComparisonItem.comparison_id,
        ComparisonCandidate.item_id == ComparisonItem.item_id,
    )
    session.execute(
        delete(ComparisonItem).where(ComparisonItem.comparison_id == comparison_id, ~drawn)
    )


def stop_handing_out(session: Session, comparison_id: int) -> None:
    """Let nobody else be handed an item of a comparison. Who has one in front of them can submit
    it."""
    ours = exists().where(
        ComparisonItem.comparison_id == comparison_id,
        ComparisonItem.round_id == RoundItem.round_id,
        ComparisonItem.item_id == RoundItem.item_id,
    )
    is_left = RoundItem.state.in_((RoundItemState.WAITING, RoundItemState.OPEN))
    is_held = RoundItem.n_taken > RoundItem.n_submitted
    places = [ours, is_left, RoundItem.purpose == Purpose.COMPARISON]
    session.execute(update(RoundItem).where(*places, ~is_held).values(state=RoundItemState.DONE))
    session.execute(update(RoundItem).where(*places, is_held).values(slots=RoundItem.n_taken))


# --- Their places in rounds -----------------------------------------------------------------


def list_waiting_items(
    session: Session, project_id: int, round_id: int
) -> Sequence[ComparisonItem]:
    """Returns the items of sampled comparisons that could be judged in a round: those that were in
    none, and those that nobody judged in one that is over; usable, and not in the round already.

    Both adapters must have drawn something of an item, or there is nothing to compare. Where a
    critic judged some of a comparison, people judge none of it.
    """
    carrier = (
        select(RoundItem.n_submitted)
        .join(Round, Round.id == RoundItem.round_id)
        .where(
            RoundItem.round_id == ComparisonItem.round_id,
            RoundItem.item_id == ComparisonItem.item_id,
            Round.status.in_(CLOSED_ROUND),
        )
        .scalar_subquery()
    )
    return session.scalars(
        select(ComparisonItem)
        .join(Comparison, Comparison.id == ComparisonItem.comparison_id)
        .join(Run, Run.id == Comparison.run_id)
        .where(
            Comparison.project_id == project_id,
            Comparison.cancelled_at.is_(None),
            Run.status == RunStatus.SUCCEEDED,
            or_(ComparisonItem.round_id.is_(None), carrier == 0),
            ComparisonItem.item_id.in_(usable_items_statement(project_id)),
            _drawn_by(ComparisonCandidate.n_old),
            _drawn_by(ComparisonCandidate.n_new),
            ~exists().where(
                ComparisonCandidate.comparison_id == ComparisonItem.comparison_id,
                ComparisonCandidate.fits.is_not(None),
            ),
            ~exists().where(
                RoundItem.round_id == round_id, RoundItem.item_id == ComparisonItem.item_id
            ),
        )
        .order_by(ComparisonItem.comparison_id, ComparisonItem.item_id)
    ).all()


def _drawn_by(n_draws: InstrumentedAttribute[int]) -> ColumnElement[bool]:
    return exists().where(
        ComparisonCandidate.comparison_id == ComparisonItem.comparison_id,
        ComparisonCandidate.item_id == ComparisonItem.item_id,
        ComparisonCandidate.is_shown,
        n_draws > 0,
    )


def list_shown_ids(session: Session, comparison_id: int, item_id: int) -> list[int]:
    """Returns the candidates of an item that a comparison shows."""
    return list(
        session.scalars(
            select(ComparisonCandidate.candidate_id).where(
                ComparisonCandidate.comparison_id == comparison_id,
                ComparisonCandidate.item_id == item_id,
                ComparisonCandidate.is_shown,
            )
        )
    )


def list_compared_rounds(session: Session, carrier_id: int) -> Sequence[Round]:
    """Returns the rounds whose adapters are compared by items that another round shows."""
    return session.scalars(
        select(Round)
        .where(
            exists().where(
                Comparison.round_id == Round.id,
                Comparison.cancelled_at.is_(None),
                ComparisonItem.comparison_id == Comparison.id,
                ComparisonItem.round_id == carrier_id,
            )
        )
        .order_by(Round.id)
    ).all()


def has_compared(session: Session, round_id: int) -> bool:
    """Whether people judged texts of two adapters: those that the round shows, or its own."""
    judged = exists().where(
        RoundItem.round_id == ComparisonItem.round_id,
        RoundItem.item_id == ComparisonItem.item_id,
        RoundItem.purpose == Purpose.COMPARISON,
        RoundItem.n_submitted > 0,
    )
    found = (
        select(ComparisonItem.item_id)
        .join(Comparison, Comparison.id == ComparisonItem.comparison_id)
        .where(
            Comparison.cancelled_at.is_(None),
            or_(Comparison.round_id == round_id, ComparisonItem.round_id == round_id),
            judged,
        )
    )
    return bool(session.scalar(select(found.exists())))


# --- What was said --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ComparedText:
    """A shown text of a comparison: who drew it, and the votes on it."""

    item_id: int
    is_old: bool
    is_new: bool
    n_fits: int
    n_votes: int


def list_judged_texts(session: Session, comparison_id: int) -> list[ComparedText]:
    """Returns the texts of a comparison that people, or its critic, have judged, items in order.

    Who calls the answer of an item wrong says nothing of its texts.
    """
    n_fits = func.count(Judgement.id).filter(VerdictRow.fits)
    rows = session.execute(
        select(
            ComparisonCandidate.item_id,
            ComparisonCandidate.n_old > 0,
            ComparisonCandidate.n_new > 0,
            ComparisonCandidate.fits,
            n_fits,
            func.count(Judgement.id),
        )
        .join(
            ComparisonItem,
            (ComparisonItem.comparison_id == ComparisonCandidate.comparison_id)
            & (ComparisonItem.item_id == ComparisonCandidate.item_id),
        )
        .outerjoin(
            VerdictRow,
            (VerdictRow.round_id == ComparisonItem.round_id)
            & (VerdictRow.candidate_id == ComparisonCandidate.candidate_id),
        )
        .outerjoin(
            Judgement,
            (Judgement.id == VerdictRow.judgement_id)
            & (Judgement.user_kind == UserKind.PERSON)
            & (Judgement.status == JudgementStatus.SUBMITTED),
        )
        .where(ComparisonCandidate.comparison_id == comparison_id, ComparisonCandidate.is_shown)
        .group_by(
            ComparisonCandidate.item_id,
            ComparisonCandidate.candidate_id,
            ComparisonCandidate.n_old,
            ComparisonCandidate.n_new,
            ComparisonCandidate.fits,
        )
        .order_by(ComparisonCandidate.item_id, ComparisonCandidate.candidate_id)
    )
    return [
        ComparedText(item_id, is_old, is_new, n, n_votes)
        if fits is None
        else ComparedText(item_id, is_old, is_new, int(fits), 1)
        for item_id, is_old, is_new, fits, n, n_votes in rows
        if fits is not None or n_votes
    ]


@dataclass(frozen=True, slots=True)
class ComparisonCounts:
    """How far a comparison is: its items, and how many of them are where."""

    n_items: int
    n_comparable: int
    """Both adapters drew something that is shown."""
    n_placed: int
    """In a round, or judged by the critic."""
    n_judged: int
    n_judgements: int
    n_people: int


def count_progress(session: Session, comparison_id: int) -> ComparisonCounts:
    """Returns how many items of a comparison were sampled, are in a round, and are judged."""
    place = (
        select(RoundItem.n_submitted)
        .where(
            RoundItem.round_id == ComparisonItem.round_id,
            RoundItem.item_id == ComparisonItem.item_id,
        )
        .scalar_subquery()
    )
    by_critic = exists().where(
        ComparisonCandidate.comparison_id == ComparisonItem.comparison_id,
        ComparisonCandidate.item_id == ComparisonItem.item_id,
        ComparisonCandidate.fits.is_not(None),
    )
    comparable = _drawn_by(ComparisonCandidate.n_old) & _drawn_by(ComparisonCandidate.n_new)
    row: Row[int, int, int, int] = session.execute(
        select(
            func.count(),
            func.count().filter(comparable),
            func.count().filter(or_(ComparisonItem.round_id.is_not(None), by_critic)),
            func.count().filter(or_(place > 0, by_critic)),
        ).where(ComparisonItem.comparison_id == comparison_id)
    ).one()
    said = session.execute(
        select(func.count(), func.count(Judgement.user_id.distinct()))
        .select_from(ComparisonItem)
        .join(
            RoundItem,
            (RoundItem.round_id == ComparisonItem.round_id)
            & (RoundItem.item_id == ComparisonItem.item_id),
        )
        .join(Judgement, Judgement.round_item_id == RoundItem.id)
        .where(
            ComparisonItem.comparison_id == comparison_id,
            Judgement.status == JudgementStatus.SUBMITTED,
        )
    ).one()
    return ComparisonCounts(*row, *said)


def note_carrier(
    session: Session, comparison_id: int, item_ids: Collection[int], round_id: int
) -> None:
    """Say in which round items of a comparison are judged."""
    session.execute(
        update(ComparisonItem)
        .where(ComparisonItem.comparison_id == comparison_id, ComparisonItem.item_id.in_(item_ids))
        .values(round_id=round_id)
    )


def cancel_now(session: Session, comparison: Comparison, now: datetime) -> None:
    """Mark a comparison as cancelled."""
    comparison.cancelled_at = now
    session.flush()  # what follows looks at comparisons that are not
