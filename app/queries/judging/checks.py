"""Check items as they are handed out: who has had how many, which are left, and locking one."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Row, exists, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session, aliased

from app.lifecycle import RoundItemState
from app.models import Image, Item, Judgement, RoundAnnotator, RoundItem
from app.queries.judging.leases import select_own_work
from app.queries.judging.queue import ClaimedItem, claimed_columns


@dataclass(frozen=True, slots=True)
class CheckProgress:
    """How much of a round a person has submitted, and how many check items they were given."""

    n_submitted: int
    n_checks: int


def get_check_progress(session: Session, round_id: int, user_id: int) -> CheckProgress:
    """Returns zeros for somebody who has not begun."""
    row = session.execute(
        select(RoundAnnotator.n_submitted, RoundAnnotator.n_checks).where(
            RoundAnnotator.round_id == round_id, RoundAnnotator.user_id == user_id
        )
    ).one_or_none()
    return CheckProgress(*row) if row else CheckProgress(0, 0)


def put_n_checks(session: Session, round_id: int, user_id: int, n_checks: int) -> None:
    """Note how many check items a person was given in a round."""
    statement = pg_insert(RoundAnnotator).values(
        round_id=round_id, user_id=user_id, n_checks=n_checks
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["round_id", "user_id"], set_={"n_checks": n_checks}
        )
    )


def has_begun(session: Session, round_id: int, user_id: int) -> bool:
    """Whether a person has an item of the round that they could go on with."""
    own = select_own_work(aliased(RoundItem)).exists()
    return bool(session.scalar(select(own), {"round_id": round_id, "user_id": user_id}))


def list_checks_left(
    session: Session, round_id: int, user_id: int
) -> Sequence[Row[int, int, str, int]]:
    """Returns (place, item, digest and width of its image) of the check items that a person can
    still get: of items that they were never handed, in this round or another.
    """
    place = aliased(RoundItem)
    had = exists().where(
        place.item_id == RoundItem.item_id,
        Judgement.round_item_id == place.id,
        Judgement.user_id == user_id,
    )
    return session.execute(
        select(RoundItem.id, RoundItem.item_id, Image.sha256, Image.width)
        .join(Item, Item.id == RoundItem.item_id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(
            RoundItem.round_id == round_id,
            RoundItem.state == RoundItemState.STANDING,
            RoundItem.n_taken < RoundItem.slots,
            ~had,
        )
    ).all()


def claim_check_item(session: Session, round_item_id: int) -> ClaimedItem | None:
    """Lock the place of a check item. None where somebody else locks it, or it was used up."""
    row = session.execute(
        select(*claimed_columns())
        .where(
            RoundItem.id == round_item_id,
            RoundItem.state == RoundItemState.STANDING,
            RoundItem.n_taken < RoundItem.slots,
        )
        .with_for_update(key_share=True, skip_locked=True)
    ).one_or_none()
    return ClaimedItem(*row) if row else None
