"""The history: stored events as their classes read them, and conditions on what they say."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Row, Select, and_, select
from sqlalchemy.orm import Session

from app.events import BaseEvent, UnknownEvent, read_event
from app.events.dataset import ItemEvent
from app.events.judging import (
    JudgementStatusChanged,
    QuestionsDecided,
    QuestionsTakenBack,
    TracesOpened,
)
from app.models import Event, Item, User

_OF_ONE_IMAGE = (
    JudgementStatusChanged.tag,
    TracesOpened.tag,
    QuestionsDecided.tag,
    QuestionsTakenBack.tag,
)
"""The tags of events of which a round has as many as people answer."""


@dataclass(frozen=True)
class HistoryLine:
    """An event of the history, with its time and the name of the person who did it."""

    at: datetime
    event: BaseEvent | UnknownEvent
    actor_name: str | None


def says(kind: type[BaseModel], **details: object) -> ColumnElement[bool]:
    """Returns the condition that the details of a stored event have these values.

    `kind` is the class, or a base of classes, whose fields they are.
    """
    if unknown := details.keys() - kind.model_fields.keys():
        raise TypeError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}.")
    return Event.details.contains(details)


def happened(kind: type[BaseEvent], **details: object) -> ColumnElement[bool]:
    """Returns the condition that a stored event is one of `kind`, with these details."""
    return and_(Event.tag == kind.tag, says(kind, **details))


def list_round_events(session: Session, round_id: int, *, limit: int = 100) -> list[HistoryLine]:
    """Returns the history of a round without single answers of people, the newest first."""
    return _read(
        session,
        _lines().where(Event.round_id == round_id, Event.tag.not_in(_OF_ONE_IMAGE)).limit(limit),
    )


def list_item_events(session: Session, item: Item) -> list[HistoryLine]:
    """Returns the history of an item, the newest first."""
    return _read(
        session,
        _lines().where(
            Event.project_id == item.project_id,
            Event.tag.startswith(ItemEvent.PREFIX),
            says(ItemEvent, item_id=item.id),
        ),
    )


def _lines() -> Select[Event, str | None]:
    return (
        select(Event, User.name)
        .outerjoin(User, User.id == Event.actor_id)
        .order_by(Event.id.desc())
    )


def _read(session: Session, statement: Select[Event, str | None]) -> list[HistoryLine]:
    rows: Iterable[Row[Event, str | None]] = session.execute(statement)
    return [HistoryLine(row.at, read_event(row.tag, row.details), name) for row, name in rows]
