"""Finds work that a crash left behind; beat asks for it every few seconds."""

import logging
from datetime import timedelta

import redis

from app.kit.errors import AppError
from app.kit.processes.children import is_alive
from app.kit.settings import get_settings
from app.kit.storage import remove_old_uploads
from app.queries.rounds.rounds import list_rounds_in_judging
from app.services.accounts import accounts
from app.services.judging import leases
from app.services.judging.ending import end_if_all_judged
from app.services.judging.questions import handing_out
from app.services.projects import removal
from app.services.rounds import tryouts
from app.services.runs import runs
from worker.host.persist import persist

logger = logging.getLogger(__name__)

KEPT_UPLOADS = timedelta(days=7)
"""How long a file that was imported, or refused, can still be looked at."""


def sweep() -> None:
    """Release expired leases, forget dead workers, end judging that is done, resend lost nudges."""
    persist(leases.free_expired_leases)
    persist(handing_out.free_expired)
    persist(lambda session: runs.release_dead_workers(session, is_alive))
    persist(runs.forget_old_workers)
    persist(accounts.forget_old_sessions)
    persist(tryouts.forget_old_tryouts)
    remove_old_uploads(KEPT_UPLOADS)
    removal.delete_requested()
    for round_id in persist(list_rounds_in_judging):
        try:
            persist(lambda session: end_if_all_judged(session, round_id))  # noqa: B023
        except AppError as error:
            logger.warning("judging of round %s was not ended: %s", round_id, error.message)
    broker = redis.Redis.from_url(get_settings().resolve_redis_url())
    try:
        n_sent = persist(
            lambda session: runs.nudge_lost_runs(session, lambda queue: int(broker.llen(queue)))
        )
    finally:
        broker.close()
    if n_sent:
        logger.info("sent %s nudges again", n_sent)
