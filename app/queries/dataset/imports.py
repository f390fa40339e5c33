"""Rows that an import compares with and stores."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.lifecycle import CLOSED_ROUND, LIVE_JUDGEMENT
from app.models import Image, Item, Judgement, ProjectImage, Round, RoundItem
from app.queries.blocks import blocks


def try_lock_import(session: Session, project_id: int) -> bool:
    """Hold the project's imports until the transaction ends; False when another one has them."""
    key = func.hashtextextended(f"illume import {project_id}", 0)
    return bool(session.scalar(select(func.pg_try_advisory_xact_lock(key))))


def find_items_by_external_id(
    session: Session, project_id: int, external_ids: Sequence[str]
) -> dict[str, Item]:
    found: dict[str, Item] = {}
    for block in blocks(external_ids):
        items = session.scalars(
            select(Item).where(Item.project_id == project_id, Item.external_id.in_(block))
        )
        found.update((item.external_id, item) for item in items)
    return found


def find_project_images(
    session: Session, project_id: int, digests: Sequence[str]
) -> dict[str, ProjectImage]:
    found: dict[str, ProjectImage] = {}
    for block in blocks(digests):
        images = session.scalars(
            select(ProjectImage).where(
                ProjectImage.project_id == project_id, ProjectImage.image_sha256.in_(block)
            )
        )
        found.update((image.image_sha256, image) for image in images)
    return found


def list_image_names(session: Session, project_id: int, names: Sequence[str]) -> set[str]:
    """Returns those of some names that images of a project have which came without a question."""
    found: set[str] = set()
    for block in blocks(names):
        found.update(
            name
            for name in session.scalars(
                select(ProjectImage.image_name).where(
                    ProjectImage.project_id == project_id, ProjectImage.image_name.in_(block)
                )
            )
            if name is not None
        )
    return found


def lock_items(session: Session, item_ids: Sequence[int]) -> None:
    """Hold items so that no round can take them in before the transaction ends."""
    for block in blocks(sorted(item_ids)):
        session.execute(
            select(Item.id).where(Item.id.in_(block)).order_by(Item.id).with_for_update()
        ).all()


def list_judged_item_ids(session: Session, item_ids: Sequence[int]) -> set[int]:
    """Returns the ids of items that somebody judged, or is judging now."""
    found: set[int] = set()
    for block in blocks(item_ids):
        found.update(
            session.scalars(
                select(RoundItem.item_id)
                .join(Judgement, Judgement.round_item_id == RoundItem.id)
                .where(RoundItem.item_id.in_(block), Judgement.status.in_(LIVE_JUDGEMENT))
            )
        )
    return found


def list_item_ids_in_open_round(session: Session, item_ids: Sequence[int]) -> set[int]:
    """Returns the ids of items in a round that is neither completed nor cancelled."""
    found: set[int] = set()
    for block in blocks(item_ids):
        found.update(
            session.scalars(
                select(RoundItem.item_id)
                .join(Round, Round.id == RoundItem.round_id)
                .where(RoundItem.item_id.in_(block), Round.status.not_in(CLOSED_ROUND))
            )
        )
    return found


def hold_images(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store images, each given by its columns, and hold their rows until the transaction ends: so
    long no deletion of a project takes them or their files.

    Those that are there already are left as they are. Another project may have the same image, be
    importing it at this moment, or be deleted with it: then it is stored anew.
    """
    missing = {row["sha256"]: row for row in rows}
    while missing:
        session.execute(upsert(Image).on_conflict_do_nothing(), list(missing.values()))
        held = session.scalars(
            select(Image.sha256)
            .where(Image.sha256.in_(missing))
            .with_for_update(read=True, key_share=True)
        )
        for sha256 in held:
            del missing[sha256]


def insert_project_images(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store which images a project has, in which split; each row is given by its columns."""
    session.execute(insert(ProjectImage), rows)


def insert_items(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store items, each given by its columns."""
    session.execute(insert(Item), rows)
