"""Items as trainings and evaluations read them."""

from collections.abc import Sequence

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from app.models import Candidate, Image, Item, TrainingRow, WrittenRationale


def list_items(session: Session, item_ids: Sequence[int]) -> list[tuple[Item, Image]]:
    """Returns items with their images, in the order of the ids."""
    rows = session.execute(
        select(Item, Image)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(Item.id.in_(item_ids))
    )
    by_id = {item.id: (item, image) for item, image in rows}
    return [by_id[item_id] for item_id in item_ids if item_id in by_id]


def list_manifest(
    session: Session, run_id: int
) -> Sequence[Row[Item, Image, str | None, float, bool]]:
    """Returns (item, image, rationale or None, weight, whether a person wrote it) of a training
    run, in a fixed order.
    """
    is_written = TrainingRow.written_judgement_id.is_not(None)
    return session.execute(
        select(
            Item,
            Image,
            func.coalesce(Candidate.text, WrittenRationale.text),
            TrainingRow.weight,
            is_written,
        )
        .select_from(TrainingRow)
        .join(Item, Item.id == TrainingRow.item_id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .outerjoin(Candidate, Candidate.id == TrainingRow.candidate_id)
        .outerjoin(
            WrittenRationale,
            (WrittenRationale.judgement_id == TrainingRow.written_judgement_id)
            & (WrittenRationale.candidate_id == TrainingRow.written_candidate_id),
        )
        # What an erased person wrote is read no more; its row stays as the record of what was.
        .where(TrainingRow.run_id == run_id, WrittenRationale.erased_at.is_(None))
        .order_by(TrainingRow.id)
    ).all()
