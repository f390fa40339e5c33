"""Judgements: every click kept, submitted, taken back, or the item skipped.

- An opinion that was acknowledged is never lost: an expired lease frees the slot, not the content.
- The same request twice (double Enter, retried after a lost reply) does the same as once.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.judging import JudgementStatusChanged
from app.kit.errors import InvalidInput, StaleVersion
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Json, Judgement, JudgementRevision
from app.opinions import Opinion, clean_text
from app.queries.judging import submissions as queries
from app.queries.judging.access import LockedItem, LockedJudgement
from app.services.events import row_of
from app.services.judging.leases import (
    change_status,
    judging_settings,
    lease_end,
    renew_lease_or_explain,
    require_judgeable,
)
from app.services.judging.opinions import (
    Kept,
    Stored,
    check_opinion,
    count_time,
    opinion_of,
    sort_edits,
    store_opinion,
)
from app.services.judging.settling import settle_first, settle_further, settle_skip
from app.services.judging.turns import check_turns, write_turns
from app.services.refusals import (
    AlreadySubmitted,
    AnswersSetApart,
    ItemTakenOut,
    NothingChosen,
    TooLateToTakeBack,
    TracesAreOpen,
)

N_TAKE_BACK = 10
"""So many of their newest submissions may people take back."""

MAX_SKIP_REASON = 500


def save_draft(
    session: Session,
    locked: LockedJudgement,
    opinion: Opinion,
    *,
    version: int,
    active_ms: int = 0,
    now: datetime | None = None,
) -> Stored | Kept:
    """Store what was chosen so far. Returns `Kept` where the item went to somebody else meanwhile.

    Raises:
        InvalidInput: the opinion contradicts itself or what was shown.
        StaleVersion: another tab stored something else since `version`, or it is submitted already.
        Conflict: the round is closed.
    """
    now = now or datetime.now(UTC)
    outcome = _take(session, locked, opinion, version=version, active_ms=active_ms, now=now)
    if isinstance(outcome, Stored):
        _make_draft(session, outcome.judgement)
    return outcome


def submit(
    session: Session,
    locked: LockedItem,
    opinion: Opinion,
    *,
    version: int,
    active_ms: int = 0,
    now: datetime | None = None,
) -> Stored | Kept:
    """Make an opinion count: verdicts, a revision, an event, and the item done when all slots are.

    The same opinion again is a success that changes nothing. A lease that ran out meanwhile is
    taken up again if the item still has room; else the opinion is only `Kept`.

    Raises InvalidInput, StaleVersion and Conflict as `save_draft` does, and InvalidInput for an
    opinion without any verdict.
    """
    now = now or datetime.now(UTC)
    outcome = _take(
        session, locked, opinion, version=version, active_ms=active_ms, now=now, is_final=True
    )
    judgement = locked.judgement
    if isinstance(outcome, Kept) or judgement.status is JudgementStatus.SUBMITTED:
        return outcome
    if outcome.too_long:
        _make_draft(session, judgement)
        return outcome
    old = judgement.status
    change_status(session, judgement, JudgementStatus.SUBMITTED)
    judgement.submitted_at = now
    judgement.lease_until = None
    settle_first(locked.round_item, judgement)
    stored = opinion_of(judgement)
    queries.store_submission(
        session,
        judgement,
        locked.round_item,
        content=revision_content(judgement, stored),
        event=row_of(
            JudgementStatusChanged(
                judgement_id=judgement.id, old=old, new=JudgementStatus.SUBMITTED
            ),
            project_id=locked.round_.project_id,
            round_id=judgement.round_id,
            actor=judgement.user_id,
        ),
    )
    write_further(session, judgement, locked.round_item.item_id, stored)
    settle_further(session, locked.round_item, judging_settings(locked.round_))
    return outcome


def _take(
    session: Session,
    locked: LockedJudgement,
    opinion: Opinion,
    *,
    version: int,
    active_ms: int,
    now: datetime,
    is_final: bool = False,
) -> Stored | Kept:
    """Write an opinion to its row, and renew the lease. A submitted row is only compared."""
    judgement = locked.judgement
    if judgement.status is JudgementStatus.WITHDRAWN:
        raise AnswersSetApart(
            Sentence(
                "An admin set your answers of this round apart. What you submitted is kept as it "
                "was, and cannot be changed now."
            )
        )
    opinion, too_long = sort_edits(session, judgement, opinion)
    check_opinion(opinion, judgement.shown_order)
    opinion = check_turns(session, locked.round_, judgement, opinion)
    is_submitted = judgement.status is JudgementStatus.SUBMITTED
    if is_submitted and opinion == opinion_of(judgement):
        return Stored(judgement, too_long)
    require_judgeable(locked.round_)
    if is_submitted:
        raise StaleVersion(
            Sentence(
                "This item is already submitted with another answer. Take it back to change it."
            )
        )
    if is_final and not too_long and not opinion.says_something:
        raise NothingChosen(
            Sentence(
                "Nothing is chosen yet: pick at least one rationale, or say that none fits or that "
                "the answer is wrong. An item can also be skipped."
            )
        )
    store_opinion(judgement, opinion, version=version, now=now)
    count_time(judgement, active_ms, now)
    why_not = renew_lease_or_explain(session, judgement, now)
    return Kept(judgement, why_not) if why_not else Stored(judgement, too_long)


def _make_draft(session: Session, judgement: Judgement) -> None:
    if judgement.status is JudgementStatus.LEASED:
        change_status(session, judgement, JudgementStatus.DRAFT)


def take_back(session: Session, locked: LockedItem, *, now: datetime | None = None) -> Judgement:
    """Turn one of the newest own submissions into a draft again. It keeps its slot.

    Raises Conflict where the round is closed, the submission too old, or its author has seen how
    the candidates came about, of a round in which that is hidden until they have judged.
    """
    now = now or datetime.now(UTC)
    round_, round_item, judgement = locked.round_, locked.round_item, locked.judgement
    if judgement.status is not JudgementStatus.SUBMITTED:
        return judgement  # asked twice: it is a draft already
    require_judgeable(round_)
    if judgement.traces_opened_at is not None:
        raise TracesAreOpen(
            Sentence(
                "You have seen how these rationales came about, so what you said of them stands. "
                "An admin can set your answers apart."
            )
        )
    newest = queries.list_recent_submissions(
        session, judgement.round_id, judgement.user_id, N_TAKE_BACK
    )
    if judgement.id not in newest:
        raise TooLateToTakeBack(
            Sentence("Only your last %(n)s submissions can be taken back.", n=N_TAKE_BACK)
        )
    if queries.is_excluded(session, round_item.item_id):
        raise ItemTakenOut(
            Sentence("An admin took this item out; what you submitted stays as it is.")
        )
    session.add(
        JudgementRevision(
            judgement_id=judgement.id,
            number=queries.last_revision_number(session, judgement.id) + 1,
            action="take_back",
            content=revision_content(judgement, opinion_of(judgement)),
        )
    )
    queries.delete_verdicts(session, judgement.id)
    queries.delete_written_rationales(session, judgement.id)
    if judgement.marks or judgement.corrections or judgement.boxes:
        queries.delete_turns(session, judgement.id)
    change_status(session, judgement, JudgementStatus.DRAFT, round_=round_)
    judgement.submitted_at = None
    judgement.lease_until = lease_end(now)
    judgement.version += 1
    judgement.updated_at = now
    session.flush()  # the trigger counts the submission out before the item is looked at
    session.refresh(round_item)
    if round_item.state in (RoundItemState.DONE, RoundItemState.SET_ASIDE):
        round_item.state = RoundItemState.OPEN
        round_item.set_aside_reason = None
    return judgement


def skip(
    session: Session, locked: LockedItem, *, reason: str, now: datetime | None = None
) -> Judgement:
    """Leave the item to others, with a reason. What was chosen so far is kept.

    An item that too many have skipped is set aside. So is one that nobody is left for, as soon as
    nothing else of the round is to be judged (app/services/judging/settling.py).
    """
    now = now or datetime.now(UTC)
    round_, round_item, judgement = locked.round_, locked.round_item, locked.judgement
    if judgement.status is JudgementStatus.SKIPPED:
        return judgement
    require_judgeable(round_)
    if judgement.status is JudgementStatus.WITHDRAWN:
        raise AnswersSetApart(Sentence("An admin set your answers of this round apart."))
    reason = clean_text(reason)
    if not reason:
        raise InvalidInput(Sentence("Say in a word why this item cannot be judged."))
    if len(reason) > MAX_SKIP_REASON:
        raise InvalidInput(
            Sentence("The reason is longer than %(n)s characters.", n=MAX_SKIP_REASON)
        )
    if judgement.status is JudgementStatus.SUBMITTED:
        raise AlreadySubmitted(Sentence("This item is already submitted. Take it back to skip it."))
    if judgement.status is not JudgementStatus.RELEASED:
        change_status(session, judgement, JudgementStatus.SKIPPED, round_=round_, reason=reason)
        judgement.slot = None
        judgement.lease_until = None
    judgement.skip_reason = reason
    judgement.updated_at = now
    session.flush()  # this skip counts too
    settle_skip(session, round_item, judging_settings(round_))
    return judgement


# --- Steps ----------------------------------------------------------------------------------


def write_further(session: Session, judgement: Judgement, item_id: int, opinion: Opinion) -> None:
    """Write what a submitted judgement says beside its verdicts: corrected texts and turns."""
    _write_edits(session, judgement, item_id, opinion)
    write_turns(session, judgement, opinion)


def _write_edits(session: Session, judgement: Judgement, item_id: int, opinion: Opinion) -> None:
    """Corrected texts as rationales of this person."""
    if opinion.answer_is_wrong or not opinion.edits:
        return
    queries.insert_written_rationales(
        session,
        [
            {
                "judgement_id": judgement.id,
                "candidate_id": candidate_id,
                "item_id": item_id,
                "text": text,
            }
            for candidate_id, text in opinion.edits.items()
        ],
    )


def revision_content(judgement: Judgement, opinion: Opinion) -> Json:
    """Returns what a revision keeps of a judgement."""
    return {
        **opinion.model_dump(mode="json"),
        "shown_order": judgement.shown_order,
        "guidelines_version": judgement.guidelines_version,
        "active_ms": judgement.active_ms,
    }
