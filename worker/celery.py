"""The Celery app of the workers: `python -m celery -A worker.celery worker -Q gpu -c 1`.

Use `illume worker`, which sets the queues, the pool and the concurrency.
"""

import logging
from typing import Any

from celery.signals import setup_logging, worker_init, worker_process_init

from app.kit.jobs import get_celery
from app.kit.logs import configure_logging
from app.kit.settings import get_settings
from worker.host.process import start_process

celery = get_celery()
celery.autodiscover_tasks(["worker"], force=True)

_queues: list[str] = []


@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    configure_logging(get_settings().log_format)
    # Celery's own lines on every message would bury what the runs have to say.
    for name in ("celery.app.trace", "celery.worker", "celery.beat", "celery.apps"):
        logging.getLogger(name).setLevel(logging.WARNING)


@worker_init.connect
def _remember_queues(sender: Any, **_: Any) -> None:
    _queues[:] = sorted(str(name) for name in sender.app.amqp.queues.consume_from)


@worker_process_init.connect
def _start(**_: Any) -> None:
    start_process(_queues)
