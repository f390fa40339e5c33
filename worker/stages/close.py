"""What a worker without torch does with a round: judges it as a critic, closes it, and gathers its
evidence."""

import time
from collections.abc import Callable

from sqlalchemy.orm import Session

from app.kit.errors import LostRun
from app.models import Round
from app.queries.runs.runs import get_run
from app.round_settings import LoopSettings
from app.run_results import WorkProgress
from app.services.quality.evidence import gather_evidence
from app.services.rounds.closing import close_round
from app.services.rounds.critic_judging import judge_round
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.questions import decide_by_critic
from worker.host.heart import Heart
from worker.host.persist import persist

SECONDS_BETWEEN_REPORTS = 1.0


def judge(run_id: int, attempt: int) -> None:
    """Judge a whole round in one transaction; a second try after a crash starts clean."""

    def action(session: Session) -> None:
        run = get_run(session, run_id)
        round_ = session.get_one(Round, run.round_id)
        figures = judge_round(session, round_)
        judges = LoopSettings.model_validate(round_.settings).judging.judges
        decide_by_critic(session, round_, judges)
        finish_round_run(session, run_id, attempt=attempt, result=figures)

    persist(action)


def close(run_id: int, attempt: int, heart: Heart) -> None:
    """Close the round of a run in one transaction; a second try after a crash starts clean.

    Stops, and leaves nothing behind, when the run is cancelled or taken over meanwhile.
    """
    report = _reporter(run_id, heart)
    persist(lambda session: close_round(session, run_id, attempt=attempt, on_progress=report))


def assess(run_id: int, attempt: int, heart: Heart) -> None:
    """Measure and store all evidence of the round of a run, in one transaction as well."""
    report = _reporter(run_id, heart)
    persist(lambda session: gather_evidence(session, run_id, attempt=attempt, on_progress=report))


def _reporter(run_id: int, heart: Heart) -> Callable[[str, int, int], None]:
    """Returns what a job tells its step, how much of it is done, and of how much.

    It raises LostRun when the run was cancelled or taken over, so that the job stops there.
    """
    reported = float("-inf")

    def report(step: str, done: int, total: int) -> None:
        nonlocal reported
        if heart.lost.is_set():
            raise LostRun(f"Run {run_id} was taken over or cancelled.")
        heart.report(WorkProgress(step=step, done=done, total=total))
        # People watch this, and a beat may be longer than the whole job takes.
        if time.monotonic() - reported >= SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            heart.beat()

    return report
