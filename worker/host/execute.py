"""One run, from nudge to end: claim, do, and record what went wrong.

The stages that need torch are imported when first used: a light worker never loads it.
"""

import logging
import traceback
from collections.abc import Callable

from app.kit.errors import AppError, LostRun
from app.lifecycle import LIVE_RUN, SHARDED, Job
from app.models import Run
from app.queries.runs import runs as run_queries
from app.services.runs import runs
from worker.host.heart import Heart
from worker.host.persist import persist

logger = logging.getLogger(__name__)

MAX_ATTEMPTS = 5
"""A run that took so many workers with it fails instead of taking the next."""


def execute(run_id: int, heart: Heart) -> None:
    """Do what a nudge asks for. A run that is over, removed, or in good hands, is left alone."""
    run = persist(lambda session: run_queries.find_run(session, run_id))
    if run is None or run.status not in LIVE_RUN:
        return
    if run.job in SHARDED:
        _recording_failure(run_id, max(run.attempt, 1), lambda: _work_shards(run, heart))
        return
    attempt = persist(
        lambda session: run_queries.claim_run(
            session, run_id, worker_id=heart.worker_id, stale_after=runs.stale_after()
        )
    )
    if attempt is None:
        return
    with heart.holding_run(run_id, attempt):
        _recording_failure(run_id, attempt, lambda: _work_alone(run, attempt, heart))


def _work_shards(run: Run, heart: Heart) -> None:
    if run.job is Job.GENERATE:
        from worker.stages.generate import generate

        # People judge meanwhile; they need not wait until the last shard is sampled.
        generate(run.id, heart, between=lambda: _do_aside(heart))
    elif run.job is Job.COMPARE:
        from worker.stages.compare import compare

        compare(run.id, heart)
    else:
        from worker.stages.evaluate import evaluate

        evaluate(run.id, heart)


def _do_aside(heart: Heart) -> None:
    """Do what waits beside the rounds, while nothing else is held. A failure of it is its own."""
    for run_id in persist(run_queries.list_queued_aside):
        try:
            execute(run_id, heart)
        except Exception as error:
            logger.error("run %s failed: %s", run_id, error, exc_info=not is_expected(error))


def _work_alone(run: Run, attempt: int, heart: Heart) -> None:
    if attempt > MAX_ATTEMPTS:
        raise AppError(
            f"This run was started {MAX_ATTEMPTS} times and its worker died each time. Look at "
            "the workers' logs (memory?), then retry."
        )
    match run.job:
        case Job.TRAIN:
            from worker.stages.train import train

            train(run.id, attempt, heart)
        case Job.REINFORCE:
            from worker.stages.reinforce import reinforce_role

            reinforce_role(run.id, attempt, heart)
        case Job.JUDGE:
            from worker.stages.close import judge

            judge(run.id, attempt)
        case Job.BRANCH:
            from worker.stages.aside.branch import branch

            branch(run.id, attempt, heart)
        case Job.TRY:
            from worker.stages.aside.tryout import try_models

            try_models(run.id, attempt, heart)
        case Job.CLOSE:
            from worker.stages.close import close

            close(run.id, attempt, heart)
        case Job.ASSESS:
            from worker.stages.close import assess

            assess(run.id, attempt, heart)
        case Job.IMPORT:
            from app.services.dataset.imports import perform_import

            perform_import(run.id, attempt=attempt, progress=heart.report)
        case Job.RELEASE:
            from app.services.releases.releases import perform_release

            perform_release(run.id, attempt=attempt, progress=heart.report)
        case _:
            raise AppError(f"There is no work for the job {run.job}.")


def _recording_failure(run_id: int, attempt: int, work: Callable[[], None]) -> None:
    """Do the work; an error that is not just the loss of the run becomes the run's error."""
    try:
        work()
    except LostRun as loss:
        logger.warning("%s", loss.message)
    except Exception as error:
        from worker.ml.errors import Stopped  # torchvision comes with it, where there is one

        if isinstance(error, Stopped):
            logger.warning("run %s was stopped: it is no longer ours", run_id)
            return
        message = _describe(error)
        persist(lambda session: runs.fail_run(session, run_id, attempt=attempt, error=message))
        raise


def is_expected(error: Exception) -> bool:
    """Whether it is a failure with a sentence for people, and no mistake of ours."""
    from worker.ml.errors import MlError

    return isinstance(error, AppError | MlError)


def _describe(error: Exception) -> str:
    """Returns the message that a person can act on, then where it happened."""
    message = getattr(error, "message", None) or str(error) or type(error).__name__
    if is_expected(error):
        return message
    last_lines = "".join(traceback.format_exception(error)).splitlines()[-12:]
    return f"{type(error).__name__}: {message}\n\n" + "\n".join(last_lines)
