"""Predictions of held-out items, and whether a model was trained on an image it is measured on."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.orm import Session

from app.lifecycle import Split
from app.models import Item, Prediction, TrainingRow


def find_items(session: Session, item_ids: Sequence[int]) -> dict[int, Item]:
    """Returns the items with these ids, by id."""
    items = session.scalars(select(Item).where(Item.id.in_(item_ids)))
    return {item.id: item for item in items}


def insert_predictions(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Store predictions, each given by its columns."""
    session.execute(insert(Prediction), rows)


def list_predictions(
    session: Session, run_ids: Sequence[int]
) -> Sequence[Row[Prediction, list[str]]]:
    """Returns (prediction, gold rationales of its item) of all these runs, by item."""
    return session.execute(
        select(Prediction, Item.gold_rationales)
        .join(Item, Item.id == Prediction.item_id)
        .where(Prediction.run_id.in_(run_ids))
        .order_by(Prediction.item_id)
    ).all()


def count_trained_images(session: Session, project_id: int, training_run_ids: Sequence[int]) -> int:
    """Returns how many held-out images of the project these trainings, of any project, read."""
    trained = (
        select(Item.image_sha256)
        .join(TrainingRow, TrainingRow.item_id == Item.id)
        .where(TrainingRow.run_id.in_(training_run_ids))
    )
    return session.execute(
        select(func.count(Item.image_sha256.distinct())).where(
            Item.project_id == project_id,
            Item.split != Split.TRAIN,
            Item.image_sha256.in_(trained),
        )
    ).scalar_one()
