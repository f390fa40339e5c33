"""Nudges for workers: a message says only that a run exists; the row is the truth.

The Celery app here is the producer and the configuration; `worker.celery` builds on it. No result
backend: what came of a run is in its row.
"""

from functools import lru_cache

from celery import Celery
from sqlalchemy.orm import Session

from app.db import on_commit
from app.lifecycle import QUEUES, Job
from app.settings import get_settings

TASK_NAME = "illume.run"
SWEEP_TASK_NAME = "illume.sweep"
# Longer than the longest job, or Redis hands a running one out again. A second delivery would be
# harmless (the claim refuses it); lost ones are found by the sweep long before this.
VISIBILITY_TIMEOUT_SECONDS = 7 * 24 * 3600


@lru_cache
def get_celery() -> Celery:
    settings = get_settings()
    celery = Celery("illume", broker=settings.celery_broker_url())
    transport = {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        # A page must not hang on a broker that is away: the sweep sends the nudge again.
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


def send_nudges(job: Job, run_id: int, count: int = 1) -> None:
    """Tell up to `count` workers that there may be something to do for this run."""
    for _ in range(count):
        get_celery().send_task(TASK_NAME, args=[run_id], queue=QUEUES[job])


def enqueue(session: Session, job: Job, run_id: int, count: int = 1) -> None:
    """Send the nudges once the session's transaction is committed."""
    on_commit(session, lambda: send_nudges(job, run_id, count))
