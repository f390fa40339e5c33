"""Items of a release whose question a model asked: how it came about, and who kept it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Adapter, AskedImage, AskedQuestion, Item, Round, User
from app.queries.blocks import blocks


@dataclass(frozen=True)
class AskedSource:
    """How the question of an item came about."""

    item_id: int
    round_number: int
    adapter_digest: str | None
    temperature: float
    seed: int
    text: str
    """As the model asked it."""
    edited_text: str | None
    answer: str | None
    """The model's own."""
    user_id: int
    user_name: str
    user_kind: UserKind


def list_asked(session: Session, item_ids: Sequence[int]) -> list[AskedSource]:
    """Returns those of these items that were made of questions of a model."""
    found: list[AskedSource] = []
    for block in blocks(item_ids):
        rows = session.execute(
            select(
                Item.id,
                Round.number,
                Adapter.digest,
                AskedQuestion.temperature,
                AskedQuestion.seed,
                AskedQuestion.text,
                AskedQuestion.edited_text,
                AskedQuestion.answer,
                User.id,
                User.name,
                User.kind,
            )
            .select_from(AskedQuestion)
            .join(Item, Item.id == AskedQuestion.item_id)
            .join(AskedImage, AskedImage.id == AskedQuestion.asked_image_id)
            .join(Round, Round.id == AskedImage.round_id)
            .join(User, User.id == AskedQuestion.decided_by_id)
            .outerjoin(Adapter, Adapter.id == AskedImage.adapter_id)
            .where(AskedQuestion.item_id.in_(block))
        )
        found += [AskedSource(*row) for row in rows]
    return found
