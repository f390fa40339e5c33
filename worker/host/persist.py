"""Short transactions that outlive a restart of the database."""

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from app.kit.db import session_scope

logger = logging.getLogger(__name__)

T = TypeVar("T")

GIVE_UP_SECONDS = 120.0


def persist(action: Callable[[Session], T]) -> T:
    """Run `action` in a transaction; while the database is away or refuses, try again.

    An action must be harmless to repeat: a commit whose answer was lost may have happened. Ours
    are, since each is fenced by an attempt or a unique key.
    """
    deadline = time.monotonic() + GIVE_UP_SECONDS
    pause = 0.1
    while True:
        try:
            with session_scope() as session:
                return action(session)
        except (OperationalError, InterfaceError) as error:
            if time.monotonic() > deadline:
                raise
            logger.warning("database is away, trying again: %s", str(error.orig).splitlines()[:1])
            time.sleep(pause)
            pause = min(pause * 2, 2.0)
