"""Real services for the tests: an embedded PostgreSQL and Redis per test process.

A test that commits nothing uses `session` (and `client`): all it does is rolled back. A test of
concurrency or of worker processes uses `database`, which is emptied afterwards.
"""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from fastapi import FastAPI
from redis import Redis
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.embedded import EmbeddedServices, embedded_services
from app.kit import db
from app.kit.settings import Settings, get_settings
from app.main import create_app, set_state
from app.models import Base
from app.web.access.deps import get_session

# One thread each: several test processes share the cores, and torch would start one per core.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_finish() -> None:
    """Leave torch, the program and all tests out of what the collector of garbage looks through.

    Each training ends with a whole collection, which took longer than the training of a tiny model.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServices]:
    """Servers of this test process, migrated once, named by the environment."""
    home = tmp_path_factory.mktemp("home")
    with embedded_services(home) as running:
        environment = {
            "ILLUME_HOME": str(home),
            "DATABASE_URL": running.database_url,
            "REDIS_URL": running.redis_url,
        }
        before = {name: os.environ.get(name) for name in environment}
        os.environ.update(environment)
        get_settings.cache_clear()
        migrate()
        yield running
        db.get_engine().dispose()
        db.get_engine.cache_clear()
        db.get_session_factory.cache_clear()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        get_settings.cache_clear()


def migrate() -> None:
    config = Config(toml_file=str(Path(__file__).parents[1] / "pyproject.toml"))
    command.upgrade(config, "head")


@pytest.fixture
def session(services: EmbeddedServices) -> Iterator[Session]:
    """A session inside an outer transaction: code under test may commit, nothing stays."""
    with db.get_engine().connect() as connection:
        transaction = connection.begin()
        with Session(
            bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as joined:
            yield joined
        transaction.rollback()


@pytest.fixture
def database(services: EmbeddedServices) -> Iterator[sessionmaker[Session]]:
    """A session factory with real commits, for threads and processes; emptied afterwards."""
    yield db.get_session_factory()
    tables = ", ".join(f'"{table.name}"' for table in Base.metadata.sorted_tables)
    with db.get_engine().begin() as connection:
        connection.execute(text(f"TRUNCATE {tables} RESTART IDENTITY CASCADE"))


def forget_attempts(services: EmbeddedServices) -> None:
    """All tests of a process ask from one address: no test is locked out by guesses of another."""
    with Redis.from_url(services.redis_url) as redis:
        for key in redis.scan_iter("illume:attempts:*"):
            redis.delete(key)


@pytest.fixture(scope="session")
def shared_app(services: EmbeddedServices) -> tuple[Settings, FastAPI]:
    """Finding out at the first request what each route needs takes long: once per process."""
    return get_settings(), create_app()


@pytest.fixture
def app(shared_app: tuple[Settings, FastAPI]) -> FastAPI:
    """The application of `client`; a module whose tests add routes to it makes its own."""
    settings, app = shared_app
    if get_settings() != settings:
        return create_app()
    set_state(app, settings)
    return app


@pytest.fixture
def client(app: FastAPI, services: EmbeddedServices, session: Session) -> Iterator[TestClient]:
    """An anonymous browser on the test's own session, which forgets what the test had loaded."""
    forget_attempts(services)

    def same_session() -> Iterator[Session]:
        session.commit()  # a refused request rolls back, and must not take the test's rows along
        session.expire_all()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise

    app.dependency_overrides[get_session] = same_session
    with TestClient(app, follow_redirects=False) as test_client:
        yield test_client
    app.dependency_overrides.clear()
