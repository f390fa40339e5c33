"""What is stored of how each person judged in the rounds of a project, and who judged there."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    cast,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB, JSONPATH
from sqlalchemy.orm import Session

from app.evidence import EACH_PERSON
from app.lifecycle import EvidenceKind, RoundStatus
from app.models import (
    Item,
    Json,
    Judgement,
    Membership,
    Project,
    Round,
    RoundAnnotator,
    RoundEvidence,
    RoundItem,
    User,
)

KINDS = (EvidenceKind.PEOPLE, EvidenceKind.AGREEMENT, EvidenceKind.POSITIONS)
"""Those whose figures are of single people."""


@dataclass(frozen=True, slots=True)
class StoredOfPerson:
    """What is stored of one person in one round, of one kind, and when it was measured."""

    round_id: int
    kind: str
    at: datetime
    figures: Json
    user_id: int


def list_of_people(
    session: Session, round_ids: Collection[int], *, user_id: int | None = None
) -> list[StoredOfPerson]:
    """Returns what is stored of all people of these rounds; with `user_id` of that one only."""
    each = literal_column(f"'{EACH_PERSON}'", JSONPATH)
    entry = func.jsonb_path_query(RoundEvidence.figures, each).table_valued(
        column("value", JSONB), name="entry"
    )
    entry = entry.render_derived()
    own_id = cast(entry.c.value["user_id"].astext, BigInteger)
    statement = (
        select(RoundEvidence.round_id, RoundEvidence.kind, RoundEvidence.at, entry.c.value, own_id)
        .join(entry, onclause=true())
        .where(RoundEvidence.round_id.in_(round_ids), RoundEvidence.kind.in_(KINDS))
    )
    if user_id is not None:
        statement = statement.where(own_id == user_id)
    return [StoredOfPerson(*row) for row in session.execute(statement)]


def list_people(session: Session, project_id: int) -> Sequence[User]:
    """Returns the members of a project, and all who were handed something there, by name."""
    return session.scalars(
        select(User).where(_is_of(project_id)).order_by(func.lower(User.name), User.id)
    ).all()


def find_person(session: Session, project_id: int, user_id: int) -> User | None:
    """Returns somebody who is a member of a project, or was handed something there."""
    return session.scalars(select(User).where(User.id == user_id, _is_of(project_id))).one_or_none()


def _is_of(project_id: int) -> ColumnElement[bool]:
    return or_(
        exists().where(Membership.project_id == project_id, Membership.user_id == User.id),
        exists().where(
            RoundAnnotator.user_id == User.id,
            RoundAnnotator.round_id == Round.id,
            Round.project_id == project_id,
        ),
    )


@dataclass(frozen=True, slots=True)
class OwnRound:
    """A round in which somebody judged."""

    id: int
    number: int
    status: RoundStatus
    project_name: str


def list_own_rounds(
    session: Session, user_id: int, *, sees_all: bool, limit: int
) -> list[OwnRound]:
    """Returns the newest rounds in which a person judged, of the projects that they may see."""
    statement = (
        select(Round.id, Round.number, Round.status, Project.name)
        .join(RoundAnnotator, RoundAnnotator.round_id == Round.id)
        .join(Project, Project.id == Round.project_id)
        .where(RoundAnnotator.user_id == user_id)
        .order_by(Round.id.desc())
        .limit(limit)
    )
    if not sees_all:
        statement = statement.join(
            Membership,
            (Membership.project_id == Round.project_id) & (Membership.user_id == user_id),
        )
    return [OwnRound(*row) for row in session.execute(statement)]


@dataclass(frozen=True, slots=True)
class NamedAnswer:
    """An answer that figures name, with its item."""

    judgement: Judgement
    item_id: int
    question: str


def list_named(
    session: Session, judgement_ids: Collection[int], *, project_id: int, user_id: int
) -> dict[int, NamedAnswer]:
    """Returns these answers of a person in a project, by their numbers."""
    rows = session.execute(
        select(Judgement, Item.id, Item.question)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Item, Item.id == RoundItem.item_id)
        .where(
            Judgement.id.in_(judgement_ids),
            Judgement.user_id == user_id,
            Item.project_id == project_id,
        )
    )
    return {row[0].id: NamedAnswer(*row) for row in rows}
