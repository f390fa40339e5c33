"""Nudges for workers: a message says only that a run exists; the row is the truth.

The Celery app here is the producer and the configuration; `worker.celery` builds on it. No result
backend: what came of a run is in its row.

Celery is loaded with the first message: most commands send none.

A broker that is away is tried once, shortly, and then left alone for a while: nobody waits for it,
and the sweep sends what was not sent.
"""

import logging
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from app.kit.db import on_commit
from app.kit.settings import get_settings
from app.lifecycle import QUEUES, Job

if TYPE_CHECKING:
    from celery import Celery

TASK_NAME = "illume.run"
SWEEP_TASK_NAME = "illume.sweep"
# Longer than the longest job, or Redis hands a running one out again. A second delivery would be
# harmless (the claim refuses it); lost ones are found by the sweep long before this.
VISIBILITY_TIMEOUT_SECONDS = 7 * 24 * 3600

PROCESS_START_SECONDS = 120.0
"""How long a worker process may take to start; the usual 4 s are too few on a busy machine."""

REST_SECONDS = 5.0
"""How long a broker that was away is not tried again."""

_ONE_SHORT_TRY = {
    "socket_connect_timeout": 1,
    "socket_timeout": 1,
    "max_retries": 0,
    "interval_start": 0,
}

logger = logging.getLogger(__name__)


@lru_cache
def get_celery() -> "Celery":
    from celery import Celery

    settings = get_settings()
    celery = Celery("illume", broker=settings.celery_broker_url())
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
    }
    celery.conf.update(
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_default_queue="cpu",
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        # A model worker loads torch before it says that it is up; one that is killed for that on a
        # busy machine begins anew, and never comes to its work.
        worker_proc_alive_timeout=PROCESS_START_SECONDS,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_transport_options=transport,
        visibility_timeout=VISIBILITY_TIMEOUT_SECONDS,
        task_publish_retry=False,
        enable_utc=True,
        timezone="UTC",
        beat_schedule={
            "sweep": {
                "task": SWEEP_TASK_NAME,
                "schedule": settings.sweep_seconds,
                # A sweep that nobody took in time is worthless: the next one is on its way.
                "options": {"queue": "cpu", "expires": max(settings.sweep_seconds, 5.0)},
            }
        },
    )
    return celery


class _Broker:
    """Sends to the broker of one Celery app, and leaves it alone for a while once it was away."""

    def __init__(self, celery: "Celery") -> None:
        self._celery = celery
        self._rests_until = float("-inf")

    def send(self, queue: str, run_id: int, count: int) -> None:
        from kombu.exceptions import OperationalError
        from redis.exceptions import RedisError

        if time.monotonic() < self._rests_until:
            logger.warning("the broker is away: run %s is left to the sweep", run_id)
            return
        try:
            # A connection of its own: one that was kept could lead to a server that is no more.
            with self._celery.connection_for_write(transport_options=_ONE_SHORT_TRY) as connection:
                producer = self._celery.amqp.Producer(connection, auto_declare=False)
                for _ in range(count):
                    self._celery.send_task(TASK_NAME, args=[run_id], queue=queue, producer=producer)
        except (OperationalError, RedisError, OSError) as error:
            self._rests_until = time.monotonic() + REST_SECONDS
            said = str(error).partition("\n")[0] or type(error).__name__
            logger.warning("the broker is away (%s): run %s is left to the sweep", said, run_id)


@lru_cache(maxsize=1)
def _broker_of(celery: "Celery") -> _Broker:
    return _Broker(celery)


def send_nudges(job: Job, run_id: int, count: int = 1) -> None:
    """Tell up to `count` workers that there may be something to do for this run."""
    _broker_of(get_celery()).send(QUEUES[job], run_id, count)


def enqueue(session: Session, job: Job, run_id: int, count: int = 1) -> None:
    """Send the nudges once the session's transaction is committed."""
    on_commit(session, lambda: send_nudges(job, run_id, count))
