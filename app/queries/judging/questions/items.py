"""Items that were made of questions, and their end where the decision is taken back."""

from collections.abc import Collection, Sequence

from sqlalchemy import ColumnElement, delete, exists, or_, select, update
from sqlalchemy.orm import Session

from app.lifecycle import QuestionState
from app.models import (
    AskedImage,
    AskedQuestion,
    CheckItem,
    Item,
    PracticeItem,
    Prediction,
    PriorEpisode,
    RoundItem,
)


def lock_items(session: Session, item_ids: Collection[int]) -> Sequence[Item]:
    return session.scalars(
        select(Item)
        .where(Item.id.in_(item_ids))
        .order_by(Item.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


_USING = (RoundItem, Prediction, PriorEpisode, PracticeItem, CheckItem)


def are_used(session: Session, item_ids: Collection[int]) -> bool:
    """Whether one of these items is in a round, or anything else hangs on it."""
    uses = (exists().where(model.item_id.in_(item_ids)) for model in _USING)
    return bool(session.scalar(select(or_(*uses))))


def has_used_items() -> ColumnElement[bool]:
    """Returns the condition that an item made of the questions of an `AskedImage` was used or
    corrected since, so that it stays."""
    return exists().where(
        AskedQuestion.asked_image_id == AskedImage.id,
        Item.id == AskedQuestion.item_id,
        or_(Item.version > 1, *(exists().where(model.item_id == Item.id) for model in _USING)),
    )


def delete_items(session: Session, item_ids: Collection[int]) -> None:
    session.execute(delete(Item).where(Item.id.in_(item_ids)))


def undecide_questions(session: Session, ids: Collection[int]) -> None:
    """Let questions wait again, as if nobody had decided on them."""
    session.execute(
        update(AskedQuestion)
        .where(AskedQuestion.id.in_(ids))
        .values(
            state=QuestionState.PROPOSED,
            decided_by_id=None,
            edited_text=None,
            kept_answer=None,
            is_about_image=None,
            is_worth_asking=None,
            item_id=None,
        )
    )
