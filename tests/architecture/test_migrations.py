"""Migrations go up, down and up again, and end where the models are."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from app.embedded import EmbeddedServices
from app.models import Base
from app.resources import MIGRATIONS
from app.settings import get_settings
from tests.architecture.lock import REPOSITORY
from tests.databases import connected, new_database

# What PostgreSQL itself says about every table, constraint, index, trigger and function of ours.
# `alembic check` compares neither checks nor triggers; this does.
STRUCTURE = """
SELECT 'column', table_name || '.' || column_name,
       concat_ws(' ', udt_name, character_maximum_length, is_nullable, column_default, is_identity)
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL
SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT 'sequence', sequencename, data_type::text FROM pg_sequences WHERE schemaname = 'public'
"""
# Made by migrations only: the models know neither.
ONLY_MIGRATED = {"trigger", "function"}

Structure = dict[tuple[str, str], str]


@pytest.fixture
def fresh_database(services: EmbeddedServices) -> Iterator[str]:
    """The address of an empty database in the tests' server."""
    with new_database(services) as url:
        yield url


@pytest.fixture
def alembic(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """Alembic's commands, turned to the fresh database."""
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    get_settings.cache_clear()
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    yield config
    monkeypatch.undo()
    get_settings.cache_clear()


def read_structure(url: str) -> Structure:
    with connected(url) as connection:
        rows = connection.execute(text(STRUCTURE)).all()
    return {
        (kind, name): definition
        for kind, name, definition in rows
        if "alembic_version" not in name and not name.startswith("alembic")
    }


def test_up_down_up_leads_to_the_same_schema(alembic: Config, fresh_database: str) -> None:
    command.upgrade(alembic, "head")
    first = read_structure(fresh_database)
    assert ("trigger", "judgement.count_slots") in first
    command.downgrade(alembic, "base")
    assert read_structure(fresh_database) == {}
    command.upgrade(alembic, "head")
    assert read_structure(fresh_database) == first


def test_every_revision_can_be_taken_back_alone(alembic: Config, fresh_database: str) -> None:
    revisions = [
        script.revision for script in ScriptDirectory.from_config(alembic).walk_revisions()
    ]
    for revision in reversed(revisions):
        before = read_structure(fresh_database)
        command.upgrade(alembic, revision)
        after = read_structure(fresh_database)
        command.downgrade(alembic, "-1")
        assert read_structure(fresh_database) == before
        command.upgrade(alembic, revision)
        assert read_structure(fresh_database) == after


def test_there_is_one_head(alembic: Config) -> None:
    assert len(ScriptDirectory.from_config(alembic).get_heads()) == 1


def test_models_need_no_migration_that_is_not_there(alembic: Config) -> None:
    command.upgrade(alembic, "head")
    command.check(alembic)  # raises and names the difference


def test_migrated_schema_is_that_of_the_models(
    alembic: Config, fresh_database: str, services: EmbeddedServices
) -> None:
    """Also where Alembic does not look: checks, index conditions, what a delete does."""
    command.upgrade(alembic, "head")
    with new_database(services) as url:
        with connected(url) as connection:
            Base.metadata.create_all(connection)
        modelled = read_structure(url)
    migrated = read_structure(fresh_database)
    migrated = {key: value for key, value in migrated.items() if key[0] not in ONLY_MIGRATED}
    assert migrated == modelled


def test_processes_that_start_together_migrate_one_after_the_other(
    alembic: Config, fresh_database: str
) -> None:
    upgrade = [sys.executable, "-m", "alembic", "upgrade", "head"]
    started = [
        subprocess.Popen(upgrade, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(3)
    ]
    for process in started:
        output = process.communicate(timeout=120)[0].decode()
        assert process.returncode == 0, output
    assert ("trigger", "judgement.count_slots") in read_structure(fresh_database)
