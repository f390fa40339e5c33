"""Branches: a draw goes on from a turn of which a person sees something else.

Asked for on the judging page, made by a worker while the item is still in front of that person; of
a round that is judged blind, once it is submitted and opened, and its verdicts stand.
The request is a row from the first moment, so that asking twice is asking once; what came of it is
written once and whole. A correction is part of the opinion and is kept whatever becomes of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput, LostRun
from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND, LIVE_RUN, Job, JudgementStatus, RunStatus, Split
from app.models import Branch, Judgement, Round
from app.opinions import Opinion
from app.queries.judging import branches as queries
from app.queries.judging.access import LockedJudgement
from app.queries.judging.branches import BranchWithRun
from app.queries.judging.leases import HELD
from app.queries.runs.runs import lock_run
from app.run_results import BranchResult
from app.services.judging.leases import require_judgeable
from app.services.judging.opinions import opinion_of
from app.services.judging.ways import is_blind, strategy_of
from app.services.refusals import AlreadySubmitted, LeaseLost, NothingCorrected, NotSubmitted
from app.services.runs import runs
from app.strategies import STRATEGIES, Strategy


@dataclass(frozen=True)
class Branched:
    """A branch that was played, as a worker hands it over; the fields are those of `Branch`."""

    seed: int
    trace: Mapping[str, Any]
    text: str
    log_probability: float
    n_tokens: int
    is_cut: bool


def ask_for_branch(
    session: Session, locked: LockedJudgement, *, draw: int, turn: int
) -> BranchWithRun:
    """Ask a worker to play a draw on from a turn that the person corrected, as it is stored.

    Returns the branch, which is the one of before where the same was asked for already. One whose
    run failed, or found nobody waiting for it, is asked for again.

    Raises:
        Conflict: the round is closed, or the item submitted or no longer this person's; where it is
            judged blind, the item is not submitted and opened.
        InvalidInput: nothing is corrected there, or there is nothing to go on from.
    """
    judgement, round_ = locked.judgement, locked.round_
    _require_waiting(judgement, round_)
    strategy = _strategy_of(session, round_, draw)
    if strategy is None or strategy.branch_template is None:
        raise InvalidInput(
            Sentence("Rationales of this round came without looks: there is none to continue from.")
        )
    correction = opinion_of(judgement).corrections.get(draw, {}).get(turn)
    if correction is None:
        raise NothingCorrected(
            Sentence(
                "Write what you see instead first, in other words than what was seen: the model "
                "continues from that."
            )
        )
    asked = queries.find_branch(
        session, judgement.id, sample_id=draw, turn=turn, correction=correction
    )
    if asked is not None and (asked.branch.trace is not None or asked.status in LIVE_RUN):
        return asked
    item_id, split = queries.find_parent(session, draw)
    if split is not Split.TRAIN:
        raise InvalidInput(
            Sentence("This item is kept for measuring: the model does not continue from it.")
        )
    run = runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.BRANCH,
        strategy=strategy.name,
        actor=locked.user,
    )
    if asked is not None:
        asked.branch.run_id = run.id
        return BranchWithRun(asked.branch, run.status, None, strategy.name)
    branch = Branch(
        judgement_id=judgement.id,
        round_id=round_.id,
        sample_id=draw,
        turn=turn,
        correction=correction,
        item_id=item_id,
        split=split,
        run_id=run.id,
    )
    session.add(branch)
    session.flush()  # the table says now whether it may be there
    return BranchWithRun(branch, run.status, None, strategy.name)


def with_text_of_branch(
    session: Session, locked: LockedJudgement, opinion: Opinion, *, draw: int, turn: int
) -> Opinion:
    """Returns an opinion with the text of the branch of one of its corrections as the better text
    of the rationale that the draw led to.

    Raises InvalidInput where there is no such branch, or it ended without a text.
    """
    correction = opinion.corrections.get(draw, {}).get(turn, "")
    found = queries.find_branch(
        session, locked.judgement.id, sample_id=draw, turn=turn, correction=correction
    )
    if found is None or not found.branch.text:
        raise InvalidInput(
            Sentence("There is no text to use: the model has not continued from this look.")
        )
    sample, _, _ = queries.get_parent(session, found.branch)
    assert sample.candidate_id is not None  # noqa: S101 - the table refuses others
    edits = {**opinion.edits, sample.candidate_id: found.branch.text}
    return opinion.model_copy(update={"edits": edits})


def find_wanted(session: Session, run_id: int) -> Branch | None:
    """Returns the branch that a run is to make, held until the transaction ends. None where nobody
    waits for it: the item is not theirs any more, the correction another one, or the round is no
    longer judged."""
    found = queries.lock_asked(session, run_id)
    if found is None:
        return None
    branch, judgement, round_ = found
    corrections = opinion_of(judgement).corrections
    is_wanted = (
        round_.status in JUDGEABLE_ROUND
        and can_wait(judgement, round_)
        and corrections.get(branch.sample_id, {}).get(branch.turn) == branch.correction
    )
    return branch if is_wanted else None


def store_branch(
    session: Session,
    run_id: int,
    *,
    attempt: int,
    made: Branched,
    adapter_id: int | None,
    seconds: float,
) -> None:
    """Write what came of a branch and finish its run, in one transaction. Nothing is written where
    nobody waits for it any more.

    Raises LostRun when the run was taken over, or cancelled, meanwhile.
    """
    branch = find_wanted(session, run_id)
    if branch is None:
        drop_branch(session, run_id, attempt=attempt)
        return
    run = lock_run(session, run_id)
    runs.finish_run(session, run, attempt=attempt, result=BranchResult())
    branch.run_attempt = attempt
    branch.adapter_id = adapter_id
    branch.seed = made.seed
    branch.trace = dict(made.trace)
    branch.text = made.text
    branch.log_probability = made.log_probability
    branch.n_tokens = made.n_tokens
    branch.is_cut = made.is_cut
    branch.seconds = seconds
    branch.made_at = datetime.now(UTC)


def drop_branch(session: Session, run_id: int, *, attempt: int) -> None:
    """End the run of a branch that nobody waits for. Raises LostRun as `store_branch` does."""
    run = lock_run(session, run_id)
    if run.status is not RunStatus.RUNNING or run.attempt != attempt:
        raise LostRun(f"Run {run.id} was taken over, cancelled or finished elsewhere.")
    runs.set_run_status(session, run, RunStatus.CANCELLED)


def cancel_branches(session: Session, round_id: int) -> None:
    """Cancel the branches of a locked round that are waited for: nobody judges it any more."""
    for run in queries.list_live_runs(session, round_id):
        runs.cancel_run(session, run, actor=None)


def can_wait(judgement: Judgement, round_: Round) -> bool:
    """Whether the author of a judgement has its looks in front of them, to go on from: while the
    item is theirs, and in a round that is judged blind once it is submitted and opened."""
    if is_blind(round_):
        is_submitted = judgement.status is JudgementStatus.SUBMITTED
        return is_submitted and judgement.traces_opened_at is not None
    return judgement.status in HELD


def _strategy_of(session: Session, round_: Round, draw: int) -> Strategy | None:
    """The strategy of a draw: that of the round, or one of several."""
    if not is_blind(round_):
        return strategy_of(round_)
    return STRATEGIES.get(queries.find_strategy(session, draw) or "")


def _require_waiting(judgement: Judgement, round_: Round) -> None:
    require_judgeable(round_)
    if can_wait(judgement, round_):
        return
    if is_blind(round_):
        raise NotSubmitted(
            Sentence(
                "Submit this item first and open how its rationales came about: the model "
                "continues from a look afterwards."
            )
        )
    if judgement.status is JudgementStatus.SUBMITTED:
        raise AlreadySubmitted(
            Sentence("This item is already submitted. Take it back to continue from a look.")
        )
    raise LeaseLost(
        Sentence("Your reservation of this item ended. Take it up again to continue from a look.")
    )
