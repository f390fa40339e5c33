"""The two tasks: do what a nudge says, and sweep for work whose nudge was lost."""

import logging

from celery import shared_task

from app.kit.jobs import SWEEP_TASK_NAME, TASK_NAME
from worker.host.execute import execute, is_expected
from worker.host.process import current_heart
from worker.sweep import sweep

logger = logging.getLogger(__name__)


@shared_task(name=TASK_NAME, acks_late=True, ignore_result=True)
def run(run_id: int) -> None:
    """Does the run that a message names. Harmless when repeated: the claim decides."""
    try:
        execute(run_id, current_heart())
    except Exception as error:
        if not is_expected(error):
            raise
        # The run keeps the whole sentence; where in our code it arose helps nobody.
        logger.error("run %s failed: %s", run_id, error)


@shared_task(name=SWEEP_TASK_NAME, ignore_result=True)
def sweep_for_lost_work() -> None:
    sweep()
