"""Settling items: done, one more person asked, or set aside with a reason."""

from sqlalchemy.orm import Session

from app.events.dataset import ItemSlotAdded
from app.kit.sentences import Sentence
from app.lifecycle import Purpose, RoundItemState
from app.models import Judgement, Round, RoundItem
from app.queries.judging import settling as queries
from app.queries.judging.submissions import get_item_votes
from app.round_settings import JudgingSettings
from app.services.events import record
from app.services.judging.leases import judging_settings
from app.uncertainty import ItemVotes, is_contested, judged_priority

ANSWER_IS_WRONG = Sentence("Most of its annotators say that the answer is wrong.")
IMAGE_UNUSABLE = Sentence("Its image cannot be used.")
PROMPT_REFUSED = Sentence("The model cannot be asked about it.")
N_SKIP_REASONS = 3
"""So many different reasons are named of an item that was skipped."""


def settle_first(round_item: RoundItem, judgement: Judgement) -> None:
    """Settle a locked item of which a judgement is about to be the first submission, and the last.

    One person's word is all that there is, so it can be stored together with the judgement. A check
    item never settles, here or below.
    """
    if round_item.state is RoundItemState.STANDING:
        return
    if round_item.n_submitted == 0 and round_item.slots == 1:
        _finish_item(round_item, n_wrong=int(judgement.answer_is_wrong), n_submitted=1)


def settle_further(session: Session, round_item: RoundItem, settings: JudgingSettings) -> None:
    """Look at a locked item after a submission was stored, where others were before.

    An item with all its slots submitted is done, or set aside where most say that the answer is
    wrong. Where people disagree, and somebody is left who could be asked, it gets one slot more,
    up to the round's limit.
    """
    if round_item.state is RoundItemState.STANDING:
        return
    n_submitted = round_item.n_submitted
    is_full = n_submitted >= round_item.slots
    if n_submitted == 1 or not (is_full or settings.order == "uncertainty"):
        return
    votes = get_item_votes(session, round_item.id)
    if settings.order == "uncertainty":
        round_item.priority = judged_priority(votes)
    if is_full and not _adds_slot(session, round_item, votes, settings):
        _finish_item(round_item, n_wrong=votes.n_wrong, n_submitted=n_submitted)


def settle_again(session: Session, round_item: RoundItem, settings: JudgingSettings) -> None:
    """Settle a locked, open item to which votes came back, as after its last submission."""
    if round_item.state is not RoundItemState.OPEN:
        return
    votes = get_item_votes(session, round_item.id)
    if settings.order == "uncertainty":
        round_item.priority = judged_priority(votes)
    if round_item.n_submitted >= round_item.slots:
        _finish_item(round_item, n_wrong=votes.n_wrong, n_submitted=round_item.n_submitted)


def _adds_slot(
    session: Session, round_item: RoundItem, votes: ItemVotes, settings: JudgingSettings
) -> bool:
    """Give an item on which people disagree one slot more. False where it gets none."""
    if (
        round_item.slots >= round_item.max_slots
        or not is_contested(votes)
        or not queries.is_somebody_left(session, round_item.id, settings.max_per_annotator)
    ):
        return False
    round_item.slots += 1
    record(
        session,
        ItemSlotAdded(item_id=round_item.item_id, slots=round_item.slots),
        project_id=round_item.project_id,
        round_id=round_item.round_id,
    )
    return True


def _finish_item(round_item: RoundItem, *, n_wrong: int, n_submitted: int) -> None:
    if 2 * n_wrong > n_submitted:
        set_aside(round_item, ANSWER_IS_WRONG)
    else:
        round_item.state = RoundItemState.DONE


def set_aside(round_item: RoundItem, reason: str) -> None:
    """Set an item aside with the reason. One that measures is done instead: what is said of it may
    touch nothing that is trained on."""
    if round_item.purpose is not Purpose.TRAINING:
        round_item.state = RoundItemState.DONE
        return
    round_item.state = RoundItemState.SET_ASIDE
    round_item.set_aside_reason = reason


def settle_skip(session: Session, round_item: RoundItem, settings: JudgingSettings) -> None:
    """Set a locked item aside once as many people skipped it as the round takes."""
    if settings.max_skips is None or round_item.state is not RoundItemState.OPEN:
        return
    session.refresh(round_item)
    reasons = queries.list_skip_reasons(session, round_item.id)
    n_skips = sum(n for _, n in reasons)
    # What somebody is judging, or has judged, is not taken from them.
    if n_skips >= settings.max_skips and round_item.n_taken == 0:
        why = Sentence(
            "%(n)s people skipped it: %(reasons)s.", n=n_skips, reasons=_list_in_words(reasons)
        )
        set_aside(round_item, why)


def is_all_settled(session: Session, round_id: int) -> bool:
    """Whether nothing of the round is left that anybody could judge. It locks nothing."""
    round_ = session.get(Round, round_id)
    return round_ is not None and not queries.has_unsettled_items(
        session, round_id, judging_settings(round_).max_per_annotator
    )


def settle_skipped(session: Session, round_: Round) -> int:
    """Settle the items that nobody can take any more, because of those who skipped them.

    Returns how many were settled. That happens only once nothing else of the round is left: until
    then somebody may join. An item that nobody submitted is set aside; one that somebody did is
    done with the votes that it has. The caller holds the round's lock, so that nobody is judging
    meanwhile.
    """
    limit = judging_settings(round_).max_per_annotator
    if queries.has_unsettled_items(session, round_.id, limit):
        return 0
    blocked = queries.list_blocked(session, round_.id, limit)
    for round_item in blocked:
        if round_item.n_submitted:
            votes = get_item_votes(session, round_item.id)
            round_item.slots = round_item.n_submitted
            _finish_item(round_item, n_wrong=votes.n_wrong, n_submitted=round_item.n_submitted)
        else:
            reasons = queries.list_skip_reasons(session, round_item.id)
            why = Sentence(
                "Everybody who could judge it skipped it: %(reasons)s.",
                reasons=_list_in_words(reasons),
            )
            set_aside(round_item, why)
    session.flush()  # callers look at what is still open
    return len(blocked)


def _list_in_words(reasons: list[tuple[str, int]]) -> str:
    return ", ".join(f"“{reason}” ({n})" for reason, n in reasons[:N_SKIP_REASONS])
