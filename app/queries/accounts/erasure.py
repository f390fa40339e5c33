"""Taking a person out: their account, their words, and, where asked for, their judgements."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Row,
    Text,
    Update,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.events import EVENTS
from app.events.accounts import UserEvent
from app.lifecycle import CLOSED_ROUND, JudgementStatus, RoundItemState, RoundStatus, RunStatus
from app.models import (
    ApiToken,
    Branch,
    CorrectedObservation,
    Event,
    GuidelinesReading,
    Json,
    Judgement,
    JudgementRevision,
    Membership,
    PracticeAttempt,
    Project,
    QuestionReview,
    Release,
    ReleaseRow,
    Round,
    RoundItem,
    Run,
    SignInLink,
    SignInSession,
    TrainingRow,
    UntaughtLook,
    User,
    WrittenRationale,
)
from app.queries.history import says

_QUICK = {"synchronize_session": False}
_REVISED_WORDS = ("comment", "edits", "corrections")
"""The fields of `Opinion` that hold words of a person, as a revision of a judgement names them."""


@dataclass(frozen=True)
class PersonContent:
    """Counts of what a person has submitted and written so far."""

    n_judgements: int
    n_texts: int
    """Better texts and corrected observations."""
    n_trained: int
    """Of the texts: those that a training has read."""


def lock_person(session: Session, user_id: int) -> User:
    """Hold an account, as it stands now, until the transaction ends."""
    return session.scalars(
        select(User)
        .where(User.id == user_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


def lock_places(session: Session, user_id: int) -> None:
    """Hold all items that a person was handed, so that no answer of theirs is on its way."""
    places = select(Judgement.round_item_id).where(Judgement.user_id == user_id)
    session.execute(
        select(RoundItem.id)
        .where(RoundItem.id.in_(places))
        .order_by(RoundItem.id)
        .with_for_update()
    )


def count_content(session: Session, user_id: int) -> PersonContent:
    submitted = select(func.count()).where(
        Judgement.user_id == user_id, Judgement.status == JudgementStatus.SUBMITTED
    )
    texts = [
        (
            select(func.count()).where(model.judgement_id.in_(_own(user_id)), model.text != ""),
            is_trained,
        )
        for model, is_trained in (
            (WrittenRationale, _is_trained()),
            (CorrectedObservation, _is_learned()),
        )
    ]
    return PersonContent(
        n_judgements=session.execute(submitted).scalar_one(),
        n_texts=sum(session.execute(count).scalar_one() for count, _ in texts),
        n_trained=sum(session.execute(count.where(read)).scalar_one() for count, read in texts),
    )


def is_training_on(session: Session, user_id: int) -> bool:
    """Whether a training of an open round, under way or to be retried, reads texts of a person."""
    own = _own(user_id)
    reads = TrainingRow.written_judgement_id.in_(own) & (Run.id == TrainingRow.run_id)
    learns = UntaughtLook.judgement_id.in_(own) & (Run.id == UntaughtLook.run_id)
    is_open = (
        Run.status != RunStatus.SUCCEEDED,
        Round.id == Run.round_id,
        Round.status.not_in(CLOSED_ROUND),
    )
    return bool(
        session.scalar(select(exists().where(reads, *is_open) | exists().where(learns, *is_open)))
    )


def delete_account_rows(session: Session, user_id: int) -> None:
    """Delete sessions, links, tokens, memberships, readings and practice of a person."""
    for model in (
        SignInSession,
        SignInLink,
        ApiToken,
        Membership,
        GuidelinesReading,
        PracticeAttempt,
    ):
        session.execute(delete(model).where(model.user_id == user_id), execution_options=_QUICK)


def delete_words(
    session: Session,
    user_id: int,
    *,
    kept_reasons: Collection[str],
    instead: str,
    set_aside_reason: str,
    now: datetime,
) -> None:
    """Delete comments, better texts, corrections with their branches, and reasons of a person,
    wherever they were kept.

    `kept_reasons` can be chosen from a list: nobody's own words; `instead` stands for others.
    A text that a training has read leaves an empty row, which the manifest of the training names,
    and so does every correction: that the person found an observation untrue is no word of theirs.
    """
    own = _own(user_id)
    is_own_reason = Judgement.skip_reason.is_not(None) & Judgement.skip_reason.not_in(kept_reasons)
    places = select(Judgement.round_item_id).where(Judgement.user_id == user_id, is_own_reason)
    is_written = WrittenRationale.judgement_id.in_(own)
    session.execute(select(func.set_config("illume.erasing", "on", True)))
    for statement in (
        # The reasons of an item that was set aside quote those of its annotators.
        update(RoundItem)
        .where(RoundItem.id.in_(places), RoundItem.set_aside_reason.is_not(None))
        .values(set_aside_reason=set_aside_reason),
        delete(WrittenRationale).where(is_written, ~_is_trained()),
        update(WrittenRationale).where(is_written).values(text="", text_key="", erased_at=now),
        update(Judgement)
        .where(Judgement.user_id == user_id, is_own_reason)
        .values(skip_reason=instead),
        update(CorrectedObservation)
        .where(CorrectedObservation.judgement_id.in_(own))
        .values(text="", erased_at=now),
        delete(Branch).where(Branch.judgement_id.in_(own)),
        update(Judgement)
        .where(Judgement.user_id == user_id)
        .values(comment="", edits={}, corrections={}),
        update(JudgementRevision)
        .where(JudgementRevision.judgement_id.in_(own))
        .values(content=_without(JudgementRevision.content, _REVISED_WORDS)),
        # A wording that was kept is the question of an item by now, and stays with the data.
        update(QuestionReview).where(QuestionReview.user_id == user_id).values(choices={}),
        *_without_own_words(user_id),
    ):
        session.execute(statement, execution_options=_QUICK)
    session.execute(select(func.set_config("illume.erasing", "off", True)))


def list_judged_projects(session: Session, user_id: int) -> Sequence[Project]:
    """Returns the projects in which a person was handed anything."""
    rounds = select(Round.project_id).join(Judgement, Judgement.round_id == Round.id)
    return session.scalars(
        select(Project).where(Project.id.in_(rounds.where(Judgement.user_id == user_id)))
    ).all()


def list_released(session: Session, project_id: int, judge: str) -> set[tuple[int, int]]:
    """Returns (item, round number) of all that releases say of a pseudonym."""
    said = cast([{"judge": judge}], JSONB)
    rows = session.execute(
        select(ReleaseRow.item_id, ReleaseRow.payload["judgements"])
        .join(Release, Release.id == ReleaseRow.release_id)
        .where(
            Release.project_id == project_id,
            ReleaseRow.payload["judgements"].op("@>")(said),
        )
    )
    return {
        (item_id, int(entry["round"]))
        for item_id, entries in rows
        for entry in entries
        if entry["judge"] == judge
    }


def list_free_judgements(
    session: Session, user_id: int, project_id: int
) -> Sequence[Row[int, int, int, JudgementStatus]]:
    """Returns (judgement, item, round number, status) of a person's judgements whose texts no
    training has read.
    """
    trained = exists().where(TrainingRow.written_judgement_id == Judgement.id) | exists().where(
        UntaughtLook.judgement_id == Judgement.id
    )
    return session.execute(
        select(Judgement.id, RoundItem.item_id, Round.number, Judgement.status)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .join(Round, Round.id == Judgement.round_id)
        .where(Judgement.user_id == user_id, Round.project_id == project_id, ~trained)
    ).all()


def delete_judgements(session: Session, ids: Collection[int]) -> None:
    """Delete judgements with their verdicts; items of an open round wait for others again."""
    places = session.scalars(
        select(Judgement.round_item_id).where(Judgement.id.in_(ids)).distinct()
    ).all()
    session.execute(delete(Judgement).where(Judgement.id.in_(ids)), execution_options=_QUICK)
    session.execute(
        update(RoundItem)
        .where(
            RoundItem.id.in_(places),
            RoundItem.state == RoundItemState.DONE,
            RoundItem.n_submitted < RoundItem.slots,
            RoundItem.round_id.in_(select(Round.id).where(Round.status == RoundStatus.JUDGING)),
        )
        .values(state=RoundItemState.OPEN),
        execution_options=_QUICK,
    )


def _own(user_id: int) -> ColumnElement[int]:
    return select(Judgement.id).where(Judgement.user_id == user_id).scalar_subquery()


def _is_trained() -> ColumnElement[bool]:
    return exists().where(
        TrainingRow.written_judgement_id == WrittenRationale.judgement_id,
        TrainingRow.written_candidate_id == WrittenRationale.candidate_id,
    )


def _is_learned() -> ColumnElement[bool]:
    return exists().where(
        UntaughtLook.judgement_id == CorrectedObservation.judgement_id,
        UntaughtLook.sample_id == CorrectedObservation.sample_id,
        UntaughtLook.turn == CorrectedObservation.turn,
    )


def _without_own_words(user_id: int) -> Iterator[Update]:
    """Yields the statements that take a person's own words out of the history.

    Of an event that this version has no class for, nobody knows where its words are: all goes.
    """
    is_theirs = or_(Event.actor_id == user_id, says(UserEvent, user_id=user_id))
    for kind in EVENTS.values():
        if words := kind.own_words():
            yield (
                update(Event)
                .where(is_theirs, Event.tag == kind.tag)
                .values(details=_without(Event.details, words))
            )
    yield update(Event).where(is_theirs, Event.tag.not_in(list(EVENTS))).values(details={})


def _without(content: InstrumentedAttribute[Json], keys: Sequence[str]) -> ColumnElement[Json]:
    return type_coerce(content.op("-")(literal(list(keys), ARRAY(Text))), content.type)
