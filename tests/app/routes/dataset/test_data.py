"""Imports and releases: what is asked for, and the page of the run that does it."""

import errno
import json
from collections.abc import Iterator, MutableMapping
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.settings import get_settings
from app.kit.storage import atomic_file, one_upload_of, upload_path
from app.lifecycle import Job, Role, RunStatus
from app.models import Membership, Project, Release, Run
from app.queries.projects.overview import list_project_runs
from app.services.releases.files import FILES, ReleaseFile, archive_path
from app.services.releases.releases import create_release
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_round, make_run, make_user


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def upload(browser: TestClient, project: Project, **data: str) -> object:
    line = json.dumps({"id": "a", "image": "a.png", "question": "q?", "answer": "a"})
    files = [("files", ("items.jsonl", line, "application/jsonl")), ("files", ("im.zip", b"PK"))]
    return browser.post(f"/projects/{project.slug}/imports", files=files, data=data)


def test_runs_and_releases_by_who_asks(
    client: TestClient, session: Session, project: Project
) -> None:
    run = make_run(session, project, Job.IMPORT)
    release = create_release(session, project, actor=None)
    stranger, annotator = make_user(session), make_user(session)
    make_membership(session, project, annotator)
    session.commit()
    base = f"/projects/{project.slug}"
    gets = [f"/runs/{run.id}", f"/runs/{run.id}/status", f"/releases/{release.id}",
            f"/releases/{release.id}/files/jsonl"]  # fmt: skip
    posts = [f"/runs/{run.id}/cancel", f"/runs/{run.id}/retry", f"/runs/{run.id}/update",
             f"{base}/imports", f"{base}/releases", f"/releases/{release.id}/build"]  # fmt: skip

    def statuses() -> set[int]:
        return {client.get(url).status_code for url in gets} | {
            client.post(url).status_code for url in posts
        }

    assert statuses() == {303}
    sign_in(client, session, stranger)
    assert statuses() == {404}
    sign_in(client, session, annotator)
    assert statuses() == {403}


# --- Imports --------------------------------------------------------------------------------


def test_upload_is_kept_and_queued(admin: TestClient, session: Session, project: Project) -> None:
    response = upload(admin, project, layout="jsonl", update="true")
    (run,) = list_project_runs(session, project.id, Job.IMPORT)
    assert response.status_code == 303  # type: ignore[attr-defined]
    assert response.headers["Location"] == f"/runs/{run.id}"  # type: ignore[attr-defined]
    assert (run.status, run.parameters["format"]) == (RunStatus.QUEUED, "jsonl")
    assert run.parameters["update"] is True
    first, second = run.parameters["uploads"]
    assert (first["filename"], second["filename"]) == ("items.jsonl", "im.zip")
    assert upload_path(first["name"]).read_text().startswith('{"id": "a"')
    shown = admin.get(f"/runs/{run.id}")
    assert text_of(shown, ".lede") == "items.jsonl, im.zip"
    assert "illume worker --queues cpu" in text_of(shown, "#run-status .notice")
    assert one(shown, "#run-status")["hx-get"] == f"/runs/{run.id}/status"


def test_upload_without_a_file_says_so(admin: TestClient, project: Project) -> None:
    # What browsers send for a file field that was left empty.
    part = 'Content-Disposition: form-data; name="files"; filename=""\r\n'
    body = f"--line\r\n{part}Content-Type: application/octet-stream\r\n\r\n\r\n--line--\r\n"
    response = admin.post(
        f"/projects/{project.slug}/imports",
        content=body,
        headers={"Content-Type": "multipart/form-data; boundary=line"},
    )
    assert response.status_code == 422
    assert "Choose at least one file" in text_of(response, "[role=alert]")


def test_upload_that_is_too_large_is_413(
    admin: TestClient, session: Session, project: Project
) -> None:
    limit = get_settings().max_upload_mb * 2**20
    response = admin.post(
        f"/projects/{project.slug}/imports",
        content=b"x",
        headers={"Content-Length": str(limit + 10_000_000), "Content-Type": "text/plain"},
    )
    assert response.status_code == 413
    assert "larger than" in text_of(response, ".lede")


def test_nobody_fills_the_disk_without_a_session(client: TestClient, project: Project) -> None:
    sent: list[int] = []

    def body() -> Iterator[bytes]:
        for _ in range(5):
            sent.append(1)
            yield b"x" * (1 << 20)

    kind = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(5 << 20)}
    response = client.post(f"/projects/{project.slug}/imports", content=body(), headers=kind)
    assert response.status_code == 303
    assert response.headers["Location"].startswith("/sign-in")
    assert response.headers["Connection"] == "close"


def test_a_body_is_not_read_before_it_is_clear_who_may_send_it(
    client: TestClient, session: Session, project: Project
) -> None:
    """Read from the application itself: a test client would collect the whole body first."""
    closed, annotator, stranger = make_user(session), make_user(session), make_user(session)
    make_membership(session, project, closed, Role.ADMIN)
    make_membership(session, project, annotator)
    for user, status in ((closed, 303), (annotator, 403), (stranger, 404)):
        sign_in(client, session, user)
        if user is closed:
            user.disabled_at = datetime.now(UTC)
            session.commit()
        headers = client.build_request("POST", "/").headers
        scope = {
            "type": "http", "method": "POST", "path": f"/projects/{project.slug}/imports",
            "raw_path": b"", "query_string": b"", "root_path": "", "scheme": "http",
            "headers": [
                (b"cookie", headers["Cookie"].encode()), (b"content-length", b"100000000"),
                (b"content-type", b"multipart/form-data; boundary=x"),
            ],
            "client": ("testclient", 1), "server": ("testserver", 80), "state": {},
        }  # fmt: skip
        answers: list[MutableMapping[str, Any]] = []

        async def receive() -> MutableMapping[str, Any]:
            raise AssertionError("the body is read")

        async def send(
            message: MutableMapping[str, Any],
            answers: list[MutableMapping[str, Any]] = answers,
        ) -> None:
            answers.append(message)

        assert client.portal is not None
        client.portal.call(client.app, scope, receive, send)
        assert answers[0]["status"] == status


def test_a_person_sends_one_upload_at_a_time(
    admin: TestClient, session: Session, project: Project
) -> None:
    (member,) = session.scalars(select(Membership).where(Membership.project_id == project.id))
    lock = one_upload_of(member.user_id)
    assert lock.take()
    refused = upload(admin, project)
    assert refused.status_code == 409  # type: ignore[attr-defined]
    assert "still on its way" in text_of(refused, ".lede")  # type: ignore[arg-type]
    lock.give_back()
    assert upload(admin, project).status_code == 303  # type: ignore[attr-defined]
    assert upload(admin, project).status_code == 303  # type: ignore[attr-defined]


def test_whoever_is_closed_while_a_file_arrives_does_not_import_it(
    admin: TestClient, session: Session, project: Project
) -> None:
    (member,) = session.scalars(select(Membership).where(Membership.project_id == project.id))

    def body() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.csv"\r\n\r\na\r\n'
        member.role = Role.ANNOTATOR
        session.commit()
        yield b"--x--\r\n"

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    response = admin.post(f"/projects/{project.slug}/imports", content=body(), headers=kind)
    assert response.status_code == 403
    assert not list_project_runs(session, project.id, Job.IMPORT)


def test_a_full_folder_for_incoming_files_is_not_the_senders_fault(
    admin: TestClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", full)
    answer = upload(admin, project)
    assert answer.status_code == 503  # type: ignore[attr-defined]
    assert "disk is full" in text_of(answer, ".lede")  # type: ignore[arg-type]
    form = {"name": (None, "x"), "file": ("a.txt", b"x")}
    answer = admin.post(f"/projects/{project.slug}/details", files=form)
    assert answer.status_code == 503


def finish(run: Run, status: RunStatus, result: dict[str, object], error: str | None) -> None:
    run.status, run.result, run.error, run.finished_at = status, result, error, func.now()


def test_failed_import_lists_every_problem_and_stops_polling(
    admin: TestClient, session: Session, project: Project
) -> None:
    run = make_run(session, project, Job.IMPORT, status=RunStatus.RUNNING)
    errors = [f"items.jsonl line {number}: no <image>" for number in range(1, 251)]
    finish(run, RunStatus.FAILED, {"errors": errors}, "250 problems")
    fragment = admin.get(f"/runs/{run.id}/status", headers=HTMX)
    assert "<html" not in fragment.text
    assert not one(fragment, "#run-status").has_attr("hx-get")
    lines = [line.text for line in page(fragment).select("#run-status li")]
    assert lines == errors[:200]
    assert "and 50 more" in fragment.text
    assert "Nothing was stored" in fragment.text
    assert not page(fragment).select("#retry-run")  # the same file would fail again
    index = admin.get(f"/projects/{project.slug}/imports")
    assert "and 249 more" in text_of(index, "tbody")


def test_finished_import_reports_and_offers_to_update(
    admin: TestClient, session: Session, project: Project
) -> None:
    upload(admin, project)
    (run,) = list_project_runs(session, project.id, Job.IMPORT)
    report = {
        "n_rows": 4, "n_added": 1, "n_updated": 0, "n_unchanged": 1, "n_images": 1,
        "splits": {"train": 4}, "changed": ["b"], "n_changed": 1, "refused": ["c: judged"],
        "n_refused": 1, "warnings": ["1 image is small"],
    }  # fmt: skip
    finish(run, RunStatus.SUCCEEDED, report, None)
    shown = admin.get(f"/runs/{run.id}")
    assert "1 row differs" in shown.text
    assert "c: judged" in shown.text
    assert "1 image is small" in shown.text
    again = admin.post(one(shown, 'form[action$="/update"]')["action"])
    newest = list_project_runs(session, project.id, Job.IMPORT)[0]
    assert again.headers["Location"] == f"/runs/{newest.id}"
    assert newest.parameters == run.parameters | {"update": True}


def test_lone_run_is_cancelled_and_retried(
    admin: TestClient, session: Session, project: Project
) -> None:
    run = make_run(session, project, Job.IMPORT)
    session.commit()
    url = f"/runs/{run.id}"
    assert admin.post(f"{url}/retry").status_code == 409
    assert admin.post(f"{url}/cancel").status_code == 303
    session.refresh(run)
    assert run.status is RunStatus.CANCELLED
    failed = make_run(session, project, Job.IMPORT, status=RunStatus.RUNNING)
    finish(failed, RunStatus.FAILED, {}, "The disk is full.")
    shown = admin.get(f"/runs/{failed.id}")
    assert "The disk is full." in text_of(shown, ".notice--bad")
    response = admin.post(one(shown, "form:has(#retry-run)")["action"])
    newest = list_project_runs(session, project.id, Job.IMPORT)[0]
    assert response.headers["Location"] == f"/runs/{newest.id}"
    assert newest.retry_of_id == failed.id


def test_run_of_a_round_is_handled_on_the_round(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    run = make_run(session, project, Job.GENERATE, round_=round_)
    session.commit()
    assert admin.get(f"/runs/{run.id}").headers["Location"] == f"/rounds/{round_.id}"
    assert admin.post(f"/runs/{run.id}/cancel").status_code == 409
    assert admin.post(f"/runs/{run.id}/update").status_code == 404


# --- Releases -------------------------------------------------------------------------------


def build(release: Release, file: ReleaseFile) -> None:
    with atomic_file(archive_path(release, file)) as stream:
        stream.write(b"PK the archive")


def test_release_is_asked_for_listed_and_downloaded(
    admin: TestClient, session: Session, project: Project
) -> None:
    base = f"/projects/{project.slug}/releases"
    assert "No release yet" in admin.get(base).text
    asked = admin.post(base)
    (run,) = list_project_runs(session, project.id, Job.RELEASE)
    assert asked.headers["Location"] == f"/runs/{run.id}"
    assert "is being built" in admin.get(base).text
    release = create_release(session, project, actor=None)
    finish(run, RunStatus.SUCCEEDED, {"release_id": release.id}, None)
    assert f"/releases/{release.id}" in admin.get(f"/runs/{run.id}").text
    url = f"/releases/{release.id}"
    session.commit()
    assert admin.get(f"{url}/files/jsonl").status_code == 404
    assert page(admin.get(url)).select('form[action$="/build"]')
    for file in FILES.values():
        build(release, file)
    listed = admin.get(base)
    links = [link["href"] for link in page(listed).select("td.actions a")]
    assert links == [f"{url}/files/{name}" for name in FILES]
    fetched = admin.get(links[0])
    assert fetched.content == b"PK the archive"
    assert f"{project.slug}-release-1-jsonl.zip" in fetched.headers["Content-Disposition"]
    shown = admin.get(url)
    assert text_of(shown, ".copy code") == release.content_hash
    assert not page(shown).select('form[action$="/build"]')
    unknown = admin.get(f"{url}/files/excel")
    assert unknown.status_code == 404
    assert "kto-policy" in unknown.text


def test_any_file_of_a_release_can_be_asked_for(
    admin: TestClient, session: Session, project: Project
) -> None:
    base = f"/projects/{project.slug}/releases"
    boxes = page(admin.get(base)).select("input[name=files]")
    assert [box["value"] for box in boxes if box.has_attr("checked")] == ["jsonl", "huggingface"]
    admin.post(base, data={"files": ["llava", "preference-policy", "llava"]})
    (run,) = list_project_runs(session, project.id, Job.RELEASE)
    assert run.parameters == {"files": ["llava", "preference-policy"]}
    finish(run, RunStatus.CANCELLED, {}, None)
    release = create_release(session, project, actor=None)
    session.commit()
    url = f"/releases/{release.id}"
    assert len(page(admin.get(url)).select('form[action$="/build"]')) == len(FILES)
    admin.post(f"{url}/build", data={"files": "parquet"})
    newest = list_project_runs(session, project.id, Job.RELEASE)[0]
    assert newest.parameters == {"release_id": release.id, "files": ["parquet"]}
    assert admin.post(f"{url}/build", data={"files": "excel"}).status_code == 404


def test_files_of_a_release_are_built_again(
    admin: TestClient, session: Session, project: Project
) -> None:
    release = create_release(session, project, actor=None)
    admin.post(f"/releases/{release.id}/build")
    (run,) = list_project_runs(session, project.id, Job.RELEASE)
    assert run.parameters == {"release_id": release.id}
