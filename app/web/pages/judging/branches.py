"""Branches on the judging page: how far each is, or what came of it."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND, Job, JudgementStatus, RunStatus
from app.models import Judgement, Round
from app.opinions import Opinion
from app.queries.judging.branches import BranchWithRun, list_branches
from app.services.judging.branches import can_wait
from app.services.judging.ways import may_see_traces
from app.services.runs.runs import count_live_workers
from app.strategies import STRATEGIES, Strategy, Trace
from app.web.pages.runs.runs import split_error


@dataclass(frozen=True)
class ShownBranch:
    """A draw that a worker plays on from a corrected turn, as its person sees it.

    `template` shows it. `trace`: how it went, None while nothing is there; `note` then says why,
    and the page looks again where it `is_coming`. `text` is empty where it ended without a
    rationale.
    """

    template: str
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
    if not opinion.corrections or not may_see_traces(round_, judgement):
        return {}
    found: dict[int, dict[int, ShownBranch]] = {}
    for asked in list_branches(session, judgement.id):
        branch, strategy = asked.branch, STRATEGIES.get(asked.strategy or "")
        corrected = opinion.corrections.get(branch.sample_id, {}).get(branch.turn)
        if corrected == branch.correction and strategy is not None:
            shown = _show(session, asked, judgement, round_, strategy)
            found.setdefault(branch.sample_id, {})[branch.turn] = shown
    return found


def _show(
    session: Session,
    asked: BranchWithRun,
    judgement: Judgement,
    round_: Round,
    strategy: Strategy,
) -> ShownBranch:
    branch = asked.branch
    where = (strategy.branch_template or "", branch.sample_id, branch.turn, branch.correction)
    if branch.trace is not None and strategy.trace is not None:
        return ShownBranch(*where, strategy.trace.model_validate(branch.trace), branch.text or "")
    if why_not := _why_not(judgement, round_):
        return ShownBranch(*where, note=why_not)
    note, is_coming = _stands(session, asked)
    return ShownBranch(*where, note=note, is_coming=is_coming)


def _why_not(judgement: Judgement, round_: Round) -> str:
    """Returns why nobody makes a branch any more; empty where somebody may."""
    if round_.status not in JUDGEABLE_ROUND:
        return Sentence("The round is no longer judged, so no new way is made. Your text is kept.")
    if can_wait(judgement, round_):
        return ""
    if judgement.status is JudgementStatus.SUBMITTED:
        return Sentence(
            "This item is submitted, so no new way is made. Take it back to continue from here."
        )
    return Sentence(
        "Your reservation of this item ended, so no new way is made. Your text is kept."
    )


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
