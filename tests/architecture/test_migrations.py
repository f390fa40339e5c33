"""Every migration goes up, down and up again, and together they make what the models say."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, make_url, text

from app.embedded import EmbeddedServices
from app.settings import get_settings
from tests.architecture.lock import REPOSITORY

NAME = "migrations_only"

# What the schema consists of, apart from Alembic's own table.
CONTENT = """
SELECT 'relation ' || relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
 WHERE nspname = 'public' AND relname NOT LIKE 'alembic_version%'
UNION ALL
SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable,
              column_default)
  FROM information_schema.columns
 WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT format('constraint %s %s', conname, pg_get_constraintdef(pg_constraint.oid))
  FROM pg_constraint JOIN pg_namespace ON pg_namespace.oid = connamespace
 WHERE nspname = 'public' AND conname NOT LIKE 'alembic_version%'
UNION ALL
SELECT 'type ' || typname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
 WHERE nspname = 'public' AND typname NOT LIKE '%alembic_version'
UNION ALL
SELECT 'function ' || proname FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
 WHERE nspname = 'public'
"""


@pytest.fixture
def empty_database(
    services: EmbeddedServices, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """A database without any table, named by the settings as long as the test runs."""
    admin = create_engine(str(services.database_url), isolation_level="AUTOCOMMIT")
    url = make_url(str(services.database_url)).set(database=NAME)
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {NAME}"))
        monkeypatch.setenv("DATABASE_URL", url.render_as_string(hide_password=False))
        get_settings.cache_clear()
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as inside:
            yield inside
        engine.dispose()
        connection.execute(text(f"DROP DATABASE {NAME} WITH (FORCE)"))
    admin.dispose()
    monkeypatch.undo()
    get_settings.cache_clear()


def read_config() -> Config:
    return Config(toml_file=str(REPOSITORY / "pyproject.toml"))


def content(connection: Connection) -> set[str]:
    return set(connection.execute(text(CONTENT)).scalars())


def test_there_is_one_newest_revision() -> None:
    assert len(ScriptDirectory.from_config(read_config()).get_heads()) == 1


def test_every_revision_goes_up_down_and_up(empty_database: Connection) -> None:
    config = read_config()
    revisions = list(ScriptDirectory.from_config(config).walk_revisions())
    before = content(empty_database)
    assert before == set()
    for revision in reversed(revisions):
        command.upgrade(config, revision.revision)
        after = content(empty_database)
        command.downgrade(config, "-1")
        assert content(empty_database) == before
        command.upgrade(config, revision.revision)
        assert content(empty_database) == after
        before = after
    command.downgrade(config, "base")
    assert content(empty_database) == set()


def test_models_and_migrations_agree(empty_database: Connection) -> None:
    config = read_config()
    command.upgrade(config, "head")
    command.check(config)  # raises with the differences where there are any
    version = empty_database.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    assert version == ScriptDirectory.from_config(config).get_current_head()
