"""Runs migrations, one transaction each, one migrating process at a time."""

from alembic import context
from alembic.util import CommandError
from sqlalchemy import create_engine, pool, text

from app.kit.errors import SetupError
from app.kit.settings import get_settings
from app.models import Base

# Two processes that start together must not migrate together. The number is arbitrary, but fixed.
ADVISORY_LOCK = 7_351_902_644


def run_migrations() -> None:
    try:
        url = get_settings().resolve_database_url()
    except SetupError as error:
        if context.config.cmd_opts is None:  # called by a program of ours, which says it itself
            raise
        raise CommandError(error.message) from error
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A table lock that cannot be had soon must not queue every reader behind the migration.
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.execute(text(f"SELECT pg_advisory_lock({ADVISORY_LOCK})"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            compare_type=True,
            compare_server_default=True,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.execute(text(f"SELECT pg_advisory_unlock({ADVISORY_LOCK})"))
        connection.commit()
    engine.dispose()


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database only; there is no SQL output mode.")
run_migrations()
