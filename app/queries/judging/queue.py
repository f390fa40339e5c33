"""The queue of a round: which open item one person gets next, at the same cost at any length.

Items are ordered by priority, and at random within one priority. How much an order says is up to
the priorities (app/uncertainty.py, and the trigger that keeps `fewest_first`); there are
few different ones, so that each is entered through the index ix_round_item_queue on its own.

Within a priority each person goes round: from the item that they were handed out last towards lower
random keys, then from the top again. Items that they have had lie behind that place, so they are
not scanned again each time.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Boolean, TextClause, bindparam, case, func, or_, select, text
from sqlalchemy.orm import Session, aliased

from app.models import RoundCandidate, RoundItem
from app.queries.judging.leases import select_own_work
from app.queries.judging.own_work import ROUND_ID, USER_ID

_OPEN = "round_id = :round_id AND state = 'open' AND n_taken < slots"


def _found(direction: str, limit: int, lock: str) -> str:
    # A lock may not stand in an arm of a UNION itself, but below one it may. NOT EXISTS could be
    # planned as a join that reads all judgements of the person, where one look-up is enough.
    return f"""
      SELECT arm.id FROM (SELECT q.id FROM round_item q
       WHERE q.round_id = :round_id AND q.state = 'open' AND q.n_taken < q.slots
         AND q.priority = level.priority
         AND q.random_key {direction} (SELECT place FROM person)
         AND (SELECT mine.id FROM judgement mine
              WHERE mine.round_item_id = q.id AND mine.user_id = :user_id) IS NULL
         AND (SELECT decided.candidate_id FROM adjudication decided
              WHERE decided.round_id = q.round_id AND decided.item_id = q.item_id
                AND decided.decided_by_id = :user_id LIMIT 1) IS NULL
       ORDER BY q.random_key DESC LIMIT {limit} {lock}) AS arm"""  # noqa: S608 - made of constants


def _next_items(limit: int, lock: str = "") -> str:
    """Ids of the next items of a person, none once they have reached the limit of the round."""
    return f"""
    WITH RECURSIVE person AS MATERIALIZED (
      SELECT coalesce(max(queue_position), 2) AS place, coalesce(max(n_submitted), 0) AS n_submitted
      FROM round_annotator WHERE round_id = :round_id AND user_id = :user_id
    ), level (priority) AS (
      (SELECT priority FROM round_item WHERE {_OPEN} ORDER BY priority DESC LIMIT 1)
      UNION ALL
      SELECT (
        SELECT priority FROM round_item WHERE {_OPEN} AND priority < level.priority
        ORDER BY priority DESC LIMIT 1
      ) FROM level WHERE level.priority IS NOT NULL
    )
    SELECT found.id FROM level CROSS JOIN LATERAL (
      {_found("<", limit, lock)} UNION ALL {_found(">=", limit, lock)} LIMIT {limit}
    ) AS found
    WHERE level.priority IS NOT NULL
      AND (SELECT n_submitted FROM person) < coalesce(:max_per_annotator, 9223372036854775807)
    LIMIT {limit}
    """  # noqa: S608 - made of constants


N_UPCOMING = 2
_IS_FREE_FOR_MORE = or_(
    bindparam("even_if_begun", type_=Boolean),
    ~select_own_work(aliased(RoundItem)).exists(),
)
_NEXT = text(_next_items(1, "FOR NO KEY UPDATE SKIP LOCKED")).bindparams(
    ROUND_ID, USER_ID, bindparam("max_per_annotator", type_=BigInteger)
)


def claimed_columns() -> tuple[Any, ...]:
    """Returns what a statement has to select of `RoundItem` for a `ClaimedItem`."""
    shown = select(RoundCandidate.candidate_id).where(
        RoundCandidate.round_id == RoundItem.round_id,
        RoundCandidate.item_id == RoundItem.item_id,
        RoundCandidate.is_shown,
    )
    return (
        RoundItem.id,
        RoundItem.item_id,
        RoundItem.max_slots,
        RoundItem.n_taken,
        func.array(shown.scalar_subquery()),
    )


_CLAIM = (
    select(*claimed_columns())
    .where(
        RoundItem.id == case((_IS_FREE_FOR_MORE, _NEXT.columns(id=BigInteger).scalar_subquery()))
    )
    .with_for_update(key_share=True)
)
UPCOMING: TextClause = text(
    f"""
    SELECT CASE WHEN :looks_ahead THEN (
      SELECT jsonb_agg(jsonb_build_array(image.sha256, image.width))
      FROM ({_next_items(N_UPCOMING)}) AS upcoming
      JOIN round_item ON round_item.id = upcoming.id JOIN item ON item.id = round_item.item_id
      JOIN image ON image.sha256 = item.image_sha256
    ) END AS upcoming
    """  # noqa: S608
)
"""Images that a person will probably see next, with their widths, to be fetched ahead."""


@dataclass(frozen=True, slots=True)
class ClaimedItem:
    """An item of a round, locked for one person, with the candidates that are shown with it."""

    id: int
    item_id: int
    max_slots: int
    n_taken: int
    shown_ids: list[int]


def claim_open_item(
    session: Session,
    round_id: int,
    user_id: int,
    *,
    max_per_annotator: int | None,
    even_if_begun: bool,
) -> ClaimedItem | None:
    """Lock the next item with a free slot that this person has not had, nor decided as an
    adjudicator. Never waits.

    None also for who has submitted `max_per_annotator` items of the round, and, unless
    `even_if_begun`, for who has begun another item and could go on with it.
    """
    row = session.execute(
        _CLAIM,
        {
            "round_id": round_id,
            "user_id": user_id,
            "max_per_annotator": max_per_annotator,
            "even_if_begun": even_if_begun,
        },
    ).one_or_none()
    return ClaimedItem(*row) if row else None
