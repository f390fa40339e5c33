"""What an import must know of the rows that are there."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import CLOSED_ROUND, LIVE_JUDGEMENT
from app.models import Item, Judgement, ProjectImage, Round, RoundItem

IN_ONE_QUERY = 5000

T = TypeVar("T")


def try_lock_import(session: Session, project_id: int) -> bool:
    """Hold the project's imports until the transaction ends; False when another one has them."""
    key = func.hashtextextended(f"illume import {project_id}", 0)
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(key))))


def find_items_by_external_id(
    session: Session, project_id: int, external_ids: Sequence[str]
) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for block in _blocks(external_ids):
        items = session.scalars(
            select(Item).where(Item.project_id == project_id, Item.external_id.in_(block))
        )
        found.update((item.external_id, item) for item in items)
    return found


def find_project_images(
    session: Session, project_id: int, digests: Sequence[str]
) -> dict[str, ProjectImage]:
    found: dict[str, ProjectImage] = {}
    for block in _blocks(digests):
        images = session.scalars(
            select(ProjectImage).where(
                ProjectImage.project_id == project_id, ProjectImage.image_sha256.in_(block)
            )
        )
        found.update((image.image_sha256, image) for image in images)
    return found


def lock_items(session: Session, item_ids: Sequence[int]) -> None:
    """Hold items so that no round can take them in before the transaction ends."""
    for block in _blocks(sorted(item_ids)):
        session.execute(
            select(Item.id).where(Item.id.in_(block)).order_by(Item.id).with_for_update()
        ).all()


def list_judged_item_ids(session: Session, item_ids: Sequence[int]) -> set[int]:
    """Items that somebody judged, or is judging now."""
    found: set[int] = set()
    for block in _blocks(item_ids):
        found.update(
            session.scalars(
                select(RoundItem.item_id)
                .join(Judgement, Judgement.round_item_id == RoundItem.id)
                .where(RoundItem.item_id.in_(block), Judgement.status.in_(LIVE_JUDGEMENT))
            )
        )
    return found


def list_item_ids_in_open_round(session: Session, item_ids: Sequence[int]) -> set[int]:
    """Items that a round holds which is neither completed nor cancelled."""
    found: set[int] = set()
    for block in _blocks(item_ids):
        found.update(
            session.scalars(
                select(RoundItem.item_id)
                .join(Round, Round.id == RoundItem.round_id)
                .where(RoundItem.item_id.in_(block), Round.status.not_in(CLOSED_ROUND))
            )
        )
    return found


def _blocks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in pieces that one statement can take."""
    for start in range(0, len(values), IN_ONE_QUERY):
        yield values[start : start + IN_ONE_QUERY]
