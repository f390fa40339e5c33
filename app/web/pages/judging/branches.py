"""Branches on the judging page: how far each is, or what came of it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND, Job, JudgementStatus, RunStatus
from app.models import Judgement, Round
from app.opinions import Opinion
from app.queries.judging.branches import BranchWithRun, list_branches
from app.queries.judging.leases import HELD
from app.services.judging.ways import is_blind, strategy_of
from app.services.runs.runs import count_live_workers
from app.strategies import Trace
from app.web.pages.runs.runs import split_error


@dataclass(frozen=True)
class ShownBranch:
    """A draw that a worker plays on from a corrected turn, as its person sees it.

    `trace`: how it went, None while nothing is there; `note` then says why, and the page looks
    again where it `is_coming`. `text` is empty where it ended without a rationale.
    """

    draw: int
    turn: int
    correction: str
    trace: Trace | None = None
    text: str = ""
    note: str = ""
    is_coming: bool = False


def build_branches(
    session: Session, judgement: Judgement, round_: Round, opinion: Opinion
) -> dict[int, dict[int, ShownBranch]]:
    """Returns, by draw and turn, the branches of the corrections in an opinion. Those of other
    words than are written now stay stored, and are shown when these words are written again."""
    strategy = strategy_of(round_)
    if is_blind(round_) or strategy.branch_template is None or not opinion.corrections:
        return {}
    found: dict[int, dict[int, ShownBranch]] = {}
    for asked in list_branches(session, judgement.id):
        branch = asked.branch
        corrected = opinion.corrections.get(branch.sample_id, {}).get(branch.turn)
        if corrected == branch.correction:
            shown = _show(session, asked, judgement, round_, strategy.trace)
            found.setdefault(branch.sample_id, {})[branch.turn] = shown
    return found


def _show(
    session: Session,
    asked: BranchWithRun,
    judgement: Judgement,
    round_: Round,
    trace: type[Trace] | None,
) -> ShownBranch:
    branch = asked.branch
    where = (branch.sample_id, branch.turn, branch.correction)
    if branch.trace is not None and trace is not None:
        return ShownBranch(*where, trace.model_validate(branch.trace), branch.text or "")
    if why_not := _why_not(judgement, round_):
        return ShownBranch(*where, note=why_not)
    note, is_coming = _stands(session, asked)
    return ShownBranch(*where, note=note, is_coming=is_coming)


def _why_not(judgement: Judgement, round_: Round) -> str:
    """Returns why nobody makes a branch any more; empty where somebody may."""
    if round_.status not in JUDGEABLE_ROUND:
        return Sentence("The round is no longer judged, so no new way is made. Your text is kept.")
    if judgement.status is JudgementStatus.SUBMITTED:
        return Sentence(
            "This item is submitted, so no new way is made. Take it back to continue from here."
        )
    if judgement.status not in HELD:
        return Sentence(
            "Your reservation of this item ended, so no new way is made. Your text is kept."
        )
    return ""


def _stands(session: Session, asked: BranchWithRun) -> tuple[str, bool]:
    """Returns how far the run of a branch is, and whether it is worth to look again."""
    match asked.status:
        case RunStatus.FAILED:
            reason, _ = split_error(asked.error)
            return Sentence("The model could not continue: %(reason)s", reason=reason), False
        case RunStatus.CANCELLED | RunStatus.SUCCEEDED:
            return Sentence("No new way was made while the item was away. Ask for it again."), False
        case RunStatus.RUNNING:
            return Sentence("The model continues from here …"), True
    if count_live_workers(session, Job.BRANCH):
        return Sentence("The model continues from here as soon as a worker is free …"), True
    return (
        Sentence(
            "No model worker is running. Your text is kept, and the model continues from here as "
            "soon as one runs."
        ),
        True,
    )
