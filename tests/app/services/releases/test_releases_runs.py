"""A release as a run: made once, its files whole, and taken up again after a crash."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import LostRun
from app.lifecycle import RunStatus
from app.models import Project, Release, Run
from app.run_results import WorkProgress
from app.services.releases.files import FILES, USUAL_FILES, ReleaseFile, archive_path
from app.services.releases.releases import (
    perform_release,
    request_release,
)
from tests.support.dataset_files import own_store
from tests.support.factories import make_user
from tests.support.released_project import make_released_project

Database = sessionmaker[Session]


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(database: Database, tmp_path: Path) -> Project:
    with database.begin() as session:
        return make_released_project(session, tmp_path)[0]


def running(
    database: Database,
    project: Project,
    release: Release | None = None,
    files: Sequence[ReleaseFile] = (),
) -> int:
    with database.begin() as session:
        actor = make_user(session)
        run = request_release(session, project, release=release, files=files, actor=actor)
        run.status, run.attempt = RunStatus.RUNNING, 1
        return run.id


def ignore(_: object) -> None:
    pass


def only_release(database: Database) -> Release:
    with database() as session:
        return session.scalars(select(Release)).one()


def test_the_run_makes_a_release_and_its_files(database: Database, project: Project) -> None:
    run_id = running(database, project)
    told: list[WorkProgress] = []
    perform_release(run_id, attempt=1, progress=told.append)
    release = only_release(database)
    with database() as session:
        run = session.get_one(Run, run_id)
        assert run.status is RunStatus.SUCCEEDED
        assert run.result == {
            "release_id": release.id,
            "number": 1,
            "n_rows": 2,
            "content_hash": release.content_hash,
        }
        assert release.created_by_id == run.requested_by_id
    for name in USUAL_FILES:
        with zipfile.ZipFile(archive_path(release, FILES[name])) as archive:
            assert "README.md" in archive.namelist()
    assert [progress.step for progress in told] == ["writing jsonl", "writing huggingface"]


def test_a_crash_after_the_release_makes_no_second_one(
    database: Database, project: Project
) -> None:
    run_id = running(database, project)

    def crash(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform_release(run_id, attempt=1, progress=crash)
    assert only_release(database).number == 1
    with database.begin() as session:
        session.get_one(Run, run_id).attempt = 2
    perform_release(run_id, attempt=2, progress=ignore)
    release = only_release(database)
    assert all(archive_path(release, FILES[name]).is_file() for name in USUAL_FILES)


def test_a_worker_that_lost_the_run_makes_no_release(database: Database, project: Project) -> None:
    run_id = running(database, project)
    with database.begin() as session:
        session.get_one(Run, run_id).attempt = 2
    with pytest.raises(LostRun):
        perform_release(run_id, attempt=1, progress=ignore)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Release)) == 0


def test_lost_files_are_built_again_to_the_byte(database: Database, project: Project) -> None:
    files = list(FILES.values())
    perform_release(running(database, project, files=files), attempt=1, progress=ignore)
    release = only_release(database)
    before = {}
    for file in files:
        path = archive_path(release, file)
        before[file] = path.read_bytes()
        path.unlink()
    again = running(database, project, release, files)
    perform_release(again, attempt=1, progress=ignore)
    assert only_release(database).id == release.id
    for file in files:
        assert archive_path(release, file).read_bytes() == before[file]


def test_only_the_files_that_are_asked_for_are_built(database: Database, project: Project) -> None:
    wanted = FILES["preference-policy"]
    perform_release(running(database, project, files=[wanted]), attempt=1, progress=ignore)
    release = only_release(database)
    built = [name for name, file in FILES.items() if archive_path(release, file).is_file()]
    assert built == ["preference-policy"]
