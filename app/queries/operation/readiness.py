"""Statements by which a database proves that it can do its work."""

from sqlalchemy import text
from sqlalchemy.orm import Session

# More than fits into the least memory that a sort may have, so that it goes to the disk.
_SPILL = text(
    "SELECT count(*) FROM (SELECT repeat(md5(n::text), 32) AS line"
    " FROM generate_series(1, 400) AS n ORDER BY line) AS sorted"
)


def try_writing(session: Session) -> bool:
    """Write to the log and to the disk of the database, and leave nothing behind.

    It is written when the caller commits. Returns False where the database may only be read; raises
    DBAPIError where it cannot write. No table takes part: every probe would leave a dead row.
    """
    if session.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
        return False
    session.execute(text("SET LOCAL work_mem = '64kB'"))
    session.execute(_SPILL)
    session.execute(text("SELECT pg_logical_emit_message(true, 'illume', 'ready')"))
    return True


def find_migration(session: Session) -> str | None:
    """Returns the newest migration that the database has."""
    version: str | None = session.scalar(text("SELECT version_num FROM alembic_version"))
    return version
