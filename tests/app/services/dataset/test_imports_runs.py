"""An import as a run: uploads in, report or row errors out."""

import io
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import InvalidInput, LostRun
from app.kit.sentences import unpack
from app.kit.storage import Upload, put_upload, remove_old_uploads, upload_path
from app.lifecycle import RunStatus
from app.models import Item, Project, Run
from app.services.dataset.imports import perform_import, request_import
from tests.support.dataset_files import count_rows, jsonl, own_store, picture, row, write_zip
from tests.support.factories import make_project, make_user

Database = sessionmaker[Session]


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(database: Database) -> Project:
    with database.begin() as session:
        return make_project(session)


def photos(tmp_path: Path, *numbers: int) -> Upload:
    files = {f"{number}.png": picture(number) for number in numbers}
    path = write_zip(tmp_path / "photos.zip", files)
    with path.open("rb") as stream:
        return put_upload(stream, "photos.zip")


def running(database: Database, project: Project, *uploads: Upload, update: bool = False) -> int:
    """The id of an import run that a worker has claimed."""
    with database.begin() as session:
        actor = make_user(session)
        run = request_import(session, project, uploads=uploads, update=update, actor=actor)
        run.status, run.attempt = RunStatus.RUNNING, 1
        return run.id


def ignore(_: object) -> None:
    pass


def get(database: Database, run_id: int) -> Run:
    with database() as session:
        return session.get_one(Run, run_id)


def test_the_run_holds_the_report(database: Database, project: Project, tmp_path: Path) -> None:
    data = put_upload(io.BytesIO(jsonl([row(1), row(2)])), "C:\\data\\my.jsonl")
    run_id = running(database, project, data, photos(tmp_path, 1, 2))
    perform_import(run_id, attempt=1, progress=ignore)
    run = get(database, run_id)
    assert run.status is RunStatus.SUCCEEDED
    assert (run.result["n_added"], run.result["n_images"], run.result["warnings"]) == (2, 2, [])
    with database() as session:
        assert count_rows(session) == (2, 2, 2)

    changed = put_upload(io.BytesIO(jsonl([row(1, answer="blue")])), "my.jsonl")
    run_id = running(database, project, changed, photos(tmp_path, 1), update=True)
    perform_import(run_id, attempt=1, progress=ignore)
    assert get(database, run_id).result["n_updated"] == 1
    with database() as session:
        assert {item.answer for item in session.query(Item)} == {"red", "blue"}


def test_the_run_holds_the_row_errors(database: Database, project: Project, tmp_path: Path) -> None:
    data = put_upload(io.BytesIO(jsonl([row(1), row(1), row(2)])), "my.jsonl")
    run_id = running(database, project, data, photos(tmp_path, 1))
    with pytest.raises(InvalidInput, match="2 problems"):
        perform_import(run_id, attempt=1, progress=ignore)
    errors = get(database, run_id).result["errors"]
    assert [unpack(line) for line in errors] == [
        "my.jsonl, line 2: the id 'q1' is taken already by my.jsonl, line 1",
        "my.jsonl, line 3: the image 2.png is not in photos.zip",
    ]
    with database() as session:
        assert count_rows(session) == (0, 0, 0)


def test_an_upload_cannot_show_another_upload(
    database: Database, project: Project, tmp_path: Path
) -> None:
    other = put_upload(io.BytesIO(picture(1)), "private.png")
    data = put_upload(io.BytesIO(jsonl([row(1, image=other.name)])), "my.jsonl")
    run_id = running(database, project, data)
    with pytest.raises(InvalidInput, match="came without a folder or zip of images"):
        perform_import(run_id, attempt=1, progress=ignore)


def test_a_worker_that_lost_the_run_stores_nothing(
    database: Database, project: Project, tmp_path: Path
) -> None:
    data = put_upload(io.BytesIO(jsonl([row(1)])), "my.jsonl")
    run_id = running(database, project, data, photos(tmp_path, 1))
    with database.begin() as session:
        session.get_one(Run, run_id).attempt = 2
    with pytest.raises(LostRun):
        perform_import(run_id, attempt=1, progress=ignore)
    with database() as session:
        assert count_rows(session) == (0, 0, 0)
    perform_import(run_id, attempt=2, progress=ignore)
    assert get(database, run_id).status is RunStatus.SUCCEEDED


def test_an_upload_that_is_gone_says_so(
    database: Database, project: Project, tmp_path: Path
) -> None:
    data = put_upload(io.BytesIO(jsonl([row(1)])), "my.jsonl")
    run_id = running(database, project, data)
    path = upload_path(data.name)
    os.utime(path, (time.time() - 8 * 86400,) * 2)
    assert remove_old_uploads(timedelta(days=7)) == 1
    with pytest.raises(InvalidInput, match="is not kept any more"):
        perform_import(run_id, attempt=1, progress=ignore)


@pytest.mark.slow
def test_thirty_thousand_rows_take_seconds(
    database: Database, project: Project, tmp_path: Path
) -> None:
    rows = [row(number, image=f"{number % 50}.png") for number in range(30_000)]
    data = put_upload(io.BytesIO(jsonl(rows)), "my.jsonl")
    uploads = (data, photos(tmp_path, *range(50)))
    for expected in ({"n_added": 30_000}, {"n_unchanged": 30_000}):
        run_id = running(database, project, *uploads)
        started = time.process_time()  # of this process: other load does not count
        perform_import(run_id, attempt=1, progress=ignore)
        seconds = time.process_time() - started
        assert expected.items() <= get(database, run_id).result.items()
        assert seconds < 20
