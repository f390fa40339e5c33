"""The time of the database, which is the same for all processes on all machines."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

DATABASE_TIME = func.clock_timestamp()
"""To be put into a column in the place of a time: when the statement is done, not when it began."""


def read_clock(session: Session) -> datetime:
    """Returns the time as it is now."""
    now: datetime = session.execute(select(DATABASE_TIME)).scalar_one()
    return now
