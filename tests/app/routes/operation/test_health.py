import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.kit import db
from app.kit.settings import get_settings


def test_live_answers_without_services(client: TestClient) -> None:
    response = client.get("/health/live")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}


def test_ready_names_each_part(client: TestClient) -> None:
    response = client.get("/health/ready")
    assert response.status_code == 200
    assert response.json() == {
        "status": "ok",
        "checks": {"store": "ok", "database": "ok", "redis": "ok", "migrations": "ok"},
    }


def test_ready_fails_without_redis(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", f"unix://{tmp_path / 'nobody.sock'}")
    get_settings.cache_clear()
    try:
        response = client.get("/health/ready")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert response.status_code == 503
    assert response.json()["checks"]["redis"] == "Redis cannot be reached."
    assert response.json()["checks"]["database"] == "ok"


def test_ready_fails_where_the_store_cannot_be_written(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("STORE", str(tmp_path / "file" / "store"))
    get_settings.cache_clear()
    try:
        response = client.get("/health/ready")
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert response.status_code == 503
    assert response.json()["checks"]["store"].startswith("The store cannot be written")


READINESS = """
import json
from app.services.operation.readiness import check_readiness
print(json.dumps(check_readiness()))
"""


def test_nothing_is_ready_where_the_database_may_only_be_read(
    database: sessionmaker[Session],
) -> None:
    """Asked by a process of its own: what is connected already may still write."""
    set_read_only(database, "on")
    try:
        asked = subprocess.run(
            [sys.executable, "-c", READINESS], check=True, capture_output=True, text=True
        )
    finally:
        set_read_only(database, "off")
    assert json.loads(asked.stdout) == {
        "store": "ok",
        "database": "The database cannot store anything: it may only be read.",
        "redis": "ok",
        "migrations": "ok",
    }


def set_read_only(database: sessionmaker[Session], value: str) -> None:
    with database.begin() as session:
        name = session.scalar(text("SELECT current_database()"))
        session.execute(
            text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {value}')
        )


def test_ready_fails_behind_the_newest_migration(client: TestClient, session: Session) -> None:
    with db.get_engine().begin() as connection:
        current = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(text("UPDATE alembic_version SET version_num = 'old'"))
    try:
        response = client.get("/health/ready")
    finally:
        with db.get_engine().begin() as connection:
            connection.execute(
                text("UPDATE alembic_version SET version_num = :version"), {"version": current}
            )
    assert response.status_code == 503
    assert "illume migrate" in response.json()["checks"]["migrations"]
