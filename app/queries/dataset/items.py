"""Items: lists with filters, and all that is known of one: candidates, votes, lineage."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.orm import Session

from app.lifecycle import (
    CLOSED_ROUND,
    JUDGEABLE_ITEM,
    Job,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    Split,
    UserKind,
)
from app.models import (
    Adapter,
    Adjudication,
    Admission,
    Candidate,
    Item,
    Judgement,
    Prediction,
    Round,
    RoundCandidate,
    RoundItem,
    Run,
    Sample,
    User,
    VerdictRow,
    WrittenRationale,
)
from app.queries.counted import counted_items, counted_judgements

PAGE_SIZE = 50


class ItemFilter(StrEnum):
    """The filter of the list of items."""

    ALL = "all"
    COVERED = "covered"
    UNCOVERED = "uncovered"
    SET_ASIDE = "set_aside"
    EXCLUDED = "excluded"


@dataclass(frozen=True)
class ItemRow:
    item: Item
    n_candidates: int
    n_admitted: int
    is_set_aside: bool


def _has_admission() -> ColumnElement[bool]:
    return exists().where(Admission.item_id == Item.id)


def _is_set_aside() -> ColumnElement[bool]:
    return exists().where(RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE)


def _conditions(
    project_id: int, split: Split | None, only: ItemFilter, text: str
) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [Item.project_id == project_id]
    if split is not None:
        conditions.append(Item.split == split)
    is_in, is_out = Item.excluded_at.is_(None), Item.excluded_at.is_not(None)
    match only:
        case ItemFilter.COVERED:
            conditions += [is_in, _has_admission()]
        case ItemFilter.UNCOVERED:
            conditions += [is_in, Item.split == Split.TRAIN, ~_has_admission()]
        case ItemFilter.SET_ASIDE:
            conditions += [is_in, _is_set_aside()]
        case ItemFilter.EXCLUDED:
            conditions.append(is_out)
        case ItemFilter.ALL:
            pass
    if text:
        conditions.append(
            or_(
                Item.question.icontains(text, autoescape=True),
                Item.answer.icontains(text, autoescape=True),
                Item.external_id.icontains(text, autoescape=True),
            )
        )
    return conditions


def list_items(
    session: Session,
    project_id: int,
    *,
    split: Split | None = None,
    only: ItemFilter = ItemFilter.ALL,
    text: str = "",
    after: int = 0,
    limit: int = PAGE_SIZE,
) -> list[ItemRow]:
    """Returns items with an id above `after` in the order of ids: pages stay in place while rows
    come and go.
    """
    n_candidates = select(func.count()).where(Candidate.item_id == Item.id).scalar_subquery()
    n_admitted = (
        select(func.count(Admission.candidate_id.distinct()))
        .where(Admission.item_id == Item.id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(Item, n_candidates, n_admitted, _is_set_aside())
        .where(*_conditions(project_id, split, only, text), Item.id > after)
        .order_by(Item.id)
        .limit(limit)
    )
    return [ItemRow(*row) for row in rows]


def count_items(
    session: Session,
    project_id: int,
    *,
    split: Split | None = None,
    only: ItemFilter = ItemFilter.ALL,
    text: str = "",
) -> int:
    return session.execute(
        select(func.count()).where(*_conditions(project_id, split, only, text))
    ).scalar_one()


def count_round_items(session: Session, round_id: int) -> dict[RoundItemState, int]:
    rows = session.execute(
        select(counted_items.state, func.count())
        .where(counted_items.round_id == round_id)
        .group_by(counted_items.state)
    )
    return {state: n for state, n in rows}  # noqa: C416 - typed unpacking


def has_been_used(session: Session, item_id: int) -> bool:
    """Whether any round or evaluation has touched the item: then its wording is history."""
    used = or_(
        exists().where(RoundItem.item_id == item_id),
        exists().where(Candidate.item_id == item_id),
        exists().where(Prediction.item_id == item_id),
    )
    return session.scalar(select(used)) or False


def find_item_by_external_id(session: Session, project_id: int, external_id: str) -> Item | None:
    return session.scalars(
        select(Item).where(Item.project_id == project_id, Item.external_id == external_id)
    ).one_or_none()


def lock_item(session: Session, item_id: int) -> Item:
    return session.scalars(
        select(Item)
        .where(Item.id == item_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def take_out_of_open_round(session: Session, item_id: int) -> list[int]:
    """Let an unfinished item of an open round rest, and free who holds it; rounds it was in."""
    open_rounds = select(Round.id).where(Round.status.not_in(CLOSED_ROUND))
    taken = session.execute(
        update(RoundItem)
        .where(
            RoundItem.item_id == item_id,
            RoundItem.round_id.in_(open_rounds),
            RoundItem.state.in_([RoundItemState.WAITING, *JUDGEABLE_ITEM]),
        )
        .values(state=RoundItemState.RESTING)
        .returning(RoundItem.id, RoundItem.round_id)
    ).all()
    session.execute(
        update(Judgement)
        .where(
            Judgement.round_item_id.in_([round_item_id for round_item_id, _ in taken]),
            Judgement.status.in_([JudgementStatus.LEASED, JudgementStatus.DRAFT]),
        )
        .values(status=JudgementStatus.RELEASED, slot=None, lease_until=None)
    )
    return [round_id for _, round_id in taken]


# --- One item -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Votes:
    """The votes of one kind of judge on one candidate in one round."""

    judge_kind: UserKind
    n_fits: int
    n_votes: int
    positions: tuple[int, ...]


@dataclass(frozen=True)
class CandidateInRound:
    candidate_id: int
    round_id: int
    round_number: int
    is_shown: bool
    rank: int
    n_draws: int
    chosen_by: str
    admission: Admission | None
    adjudicated: bool | None
    """What an adjudicator decided of it; None where nobody did."""


def list_candidates(session: Session, item_id: int) -> Sequence[Candidate]:
    return session.scalars(
        select(Candidate).where(Candidate.item_id == item_id).order_by(Candidate.id)
    ).all()


def list_candidate_rounds(session: Session, item_id: int) -> list[CandidateInRound]:
    rows = session.execute(
        select(RoundCandidate, Round.number, Admission, Adjudication.fits)
        .join(Round, Round.id == RoundCandidate.round_id)
        .outerjoin(
            Admission,
            (Admission.round_id == RoundCandidate.round_id)
            & (Admission.candidate_id == RoundCandidate.candidate_id),
        )
        .outerjoin(
            Adjudication,
            (Adjudication.round_id == RoundCandidate.round_id)
            & (Adjudication.candidate_id == RoundCandidate.candidate_id),
        )
        .where(RoundCandidate.item_id == item_id)
        .order_by(Round.number, RoundCandidate.rank)
    )
    return [
        CandidateInRound(
            candidate_id=entry.candidate_id,
            round_id=entry.round_id,
            round_number=number,
            is_shown=entry.is_shown,
            rank=entry.rank,
            n_draws=entry.n_draws,
            chosen_by=entry.chosen_by,
            admission=admission,
            adjudicated=adjudicated,
        )
        for entry, number, admission, adjudicated in rows
    ]


def list_votes(session: Session, item_id: int) -> dict[tuple[int, int], list[Votes]]:
    """Returns votes by (round, candidate); people's and critics' apart."""
    rows = session.execute(
        select(
            VerdictRow.round_id,
            VerdictRow.candidate_id,
            counted_judgements.user_kind,
            func.count().filter(VerdictRow.fits),
            func.count(),
            func.array_agg(VerdictRow.position),
        )
        .join(counted_judgements, counted_judgements.id == VerdictRow.judgement_id)
        .join(Candidate, Candidate.id == VerdictRow.candidate_id)
        .where(Candidate.item_id == item_id)
        .group_by(VerdictRow.round_id, VerdictRow.candidate_id, counted_judgements.user_kind)
        .order_by(counted_judgements.user_kind.desc())
    )
    votes: dict[tuple[int, int], list[Votes]] = {}
    for round_id, candidate_id, kind, n_fits, n_votes, positions in rows:
        entry = Votes(kind, n_fits, n_votes, tuple(sorted(positions)))
        votes.setdefault((round_id, candidate_id), []).append(entry)
    return votes


@dataclass(frozen=True)
class SampleRow:
    sample: Sample
    round_id: int | None
    adapter_digest: str | None


def list_samples(session: Session, item_id: int) -> list[SampleRow]:
    rows = session.execute(
        select(Sample, Run.round_id, Adapter.digest)
        .join(Run, Run.id == Sample.run_id)
        .outerjoin(Adapter, Adapter.id == Sample.adapter_id)
        .where(Sample.item_id == item_id)
        .order_by(Sample.run_id, Sample.prompt, Sample.temperature, Sample.number)
    )
    return [SampleRow(*row) for row in rows]


@dataclass(frozen=True)
class JudgementRow:
    judgement: Judgement
    user_name: str
    round_number: int


def list_judgements(session: Session, item_id: int) -> list[JudgementRow]:
    """Returns the judgements of the item, submitted or skipped, newest round first."""
    rows = session.execute(
        select(Judgement, User.name, Round.number)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Round, Round.id == Judgement.round_id)
        .join(User, User.id == Judgement.user_id)
        .where(
            RoundItem.item_id == item_id,
            Judgement.status.in_([JudgementStatus.SUBMITTED, JudgementStatus.SKIPPED]),
        )
        .order_by(Round.number.desc(), Judgement.id)
    )
    return [JudgementRow(*row) for row in rows]


@dataclass(frozen=True)
class WrittenRow:
    written: WrittenRationale
    user_name: str
    round_number: int


def list_written_rationales(session: Session, item_id: int) -> list[WrittenRow]:
    """Returns candidates of the item as annotators corrected them, oldest first."""
    rows = session.execute(
        select(WrittenRationale, User.name, Round.number)
        .join(Judgement, Judgement.id == WrittenRationale.judgement_id)
        .join(Round, Round.id == Judgement.round_id)
        .join(User, User.id == Judgement.user_id)
        .where(WrittenRationale.item_id == item_id, WrittenRationale.erased_at.is_(None))
        .order_by(WrittenRationale.at, WrittenRationale.judgement_id)
    )
    return [WrittenRow(*row) for row in rows]


@dataclass(frozen=True)
class PlaceInRound:
    round_item: RoundItem
    round_number: int
    round_status: RoundStatus


def list_places(session: Session, item_id: int) -> list[PlaceInRound]:
    rows = session.execute(
        select(RoundItem, Round.number, Round.status)
        .join(Round, Round.id == RoundItem.round_id)
        .where(RoundItem.item_id == item_id)
        .order_by(Round.number.desc())
    )
    return [PlaceInRound(*row) for row in rows]


@dataclass(frozen=True)
class PredictionRow:
    prediction: Prediction
    job: Job
    round_number: int | None


def list_predictions(session: Session, item_id: int) -> list[PredictionRow]:
    rows = session.execute(
        select(Prediction, Run.job, Round.number)
        .join(Run, Run.id == Prediction.run_id)
        .outerjoin(Round, Round.id == Run.round_id)
        .where(Prediction.item_id == item_id)
        .order_by(Prediction.id)
    )
    return [PredictionRow(*row) for row in rows]
