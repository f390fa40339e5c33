"""The time of the database, which is the same for all processes on all machines."""

from sqlalchemy import func

DATABASE_TIME = func.clock_timestamp()
"""To be put into a column in the place of a time: when the statement is done, not when it began."""
