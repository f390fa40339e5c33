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


def test_ready_fails_where_the_database_may_only_be_read(
    client: TestClient, database: sessionmaker[Session]
) -> None:
    with database() as session:
        name = session.scalar(text("SELECT current_database()"))
        set_read_only(session, name, "on")
    db.get_engine().dispose()  # what is connected already may still write
    try:
        response = client.get("/health/ready")
    finally:
        with database() as session:
            session.execute(text("SET default_transaction_read_only = off"))
            session.commit()
            set_read_only(session, name, "off")
        db.get_engine().dispose()
    assert response.status_code == 503
    assert response.json()["checks"] == {
        "store": "ok",
        "database": "The database cannot store anything: it may only be read.",
        "redis": "ok",
        "migrations": "ok",
    }


def set_read_only(session: Session, database: str | None, value: str) -> None:
    session.execute(
        text(f'ALTER DATABASE "{database}" SET default_transaction_read_only = {value}')
    )
    session.commit()


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
