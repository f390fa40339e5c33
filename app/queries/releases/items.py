"""The items that go into a release, and why an item may have left it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import String, exists, literal, select
from sqlalchemy.orm import Session

from app.lifecycle import RoundItemState
from app.models import Image, Item, ProjectImage, RoundItem
from app.queries.blocks import ROWS_IN_ONE_QUERY, blocks
from app.queries.counted import counted_items, counted_judgements
from app.queries.rounds.candidates import usable_items_statement


@dataclass(frozen=True)
class ItemSource:
    item: Item
    media_type: str
    is_set_aside: bool


def iterate_judged_items(
    session: Session, project_id: int, round_ids: Sequence[int]
) -> Iterator[list[ItemSource]]:
    """Yields the usable items that somebody judged in these rounds, by external id, in pages.

    The order is that of the bytes, so that it does not hang on the database's locale.
    """
    key = Item.external_id.collate("C")
    set_aside = exists().where(
        RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE
    )
    judged = (
        exists()
        .where(
            counted_items.item_id == Item.id,
            counted_items.round_id.in_(round_ids),
            counted_judgements.round_item_id == counted_items.id,
        )
        .correlate(Item)
    )
    last = ""
    while True:
        rows = session.execute(
            select(Item, Image.media_type, set_aside)
            .join(Image, Image.sha256 == Item.image_sha256)
            .where(
                Item.id.in_(usable_items_statement(project_id)),
                judged,
                key > literal(last, String).collate("C"),
            )
            .order_by(key)
            .limit(ROWS_IN_ONE_QUERY)
        )
        page = [ItemSource(*row) for row in rows]
        if not page:
            return
        last = page[-1].item.external_id
        yield page


@dataclass(frozen=True)
class ItemFate:
    """Why an item may be out of a release."""

    is_excluded: bool
    is_withdrawn: bool
    is_set_aside: bool


def find_item_fates(session: Session, item_ids: Sequence[int]) -> dict[int, ItemFate]:
    set_aside = exists().where(
        RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE
    )
    found: dict[int, ItemFate] = {}
    for block in blocks(item_ids):
        rows = session.execute(
            select(
                Item.id,
                Item.excluded_at.is_not(None),
                ProjectImage.withdrawn_at.is_not(None),
                set_aside,
            )
            .join(
                ProjectImage,
                (ProjectImage.project_id == Item.project_id)
                & (ProjectImage.image_sha256 == Item.image_sha256),
            )
            .where(Item.id.in_(block))
        )
        found.update((row[0], ItemFate(*row[1:])) for row in rows)
    return found
