"""Adapters as downloads: what the zip holds, and who gets it."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.storage import adapter_folder
from app.lifecycle import Job, Role, Split
from app.models import Adapter, Project, Round, RoundModel, Run, Score
from app.queries.rounds.adapters import find_trained_adapter
from app.services.releases.adapters import prepare_download
from tests.support.browsing import page, sign_in
from tests.support.dataset_files import own_store
from tests.support.factories import make_membership, make_run, make_user
from tests.support.released_project import make_released_project

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(3 << 20)}


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    return make_released_project(session, tmp_path)[0]


@pytest.fixture
def adapter(session: Session, project: Project) -> Adapter:
    """That of round 1, trained on a base that lies in a folder of this machine."""
    found = session.scalars(select(Adapter).where(Adapter.project_id == project.id)).one()
    found.base_model = "/home/ann/models/tiny-vlm"
    found.meta = {"base_model": found.base_model, "n_rationale_rows": 7, "training": {"rank": 8}}
    session.commit()
    return found


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def store_files(adapter: Adapter, files: dict[str, bytes] = FILES) -> None:
    folder = adapter_folder(adapter.digest)
    for name, content in {**files, "meta.json": b'{"base_model": "/home/ann"}'}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def fetch(browser: TestClient, adapter: Adapter) -> dict[str, bytes]:
    answer = browser.get(f"/adapters/{adapter.id}/file")
    assert answer.status_code == 200
    assert "-round-1-explainer-adapter.zip" in answer.headers["Content-Disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


def test_the_page_of_releases_offers_it(
    admin: TestClient, session: Session, project: Project, adapter: Adapter
) -> None:
    links = page(admin.get(f"/projects/{project.slug}/releases")).select("td.actions a")
    assert [link["href"] for link in links] == [f"/adapters/{adapter.id}/file"]


def test_the_files_are_untouched_and_the_card_says_where_they_come_from(
    admin: TestClient, session: Session, project: Project, adapter: Adapter
) -> None:
    store_files(adapter)
    run = make_run(session, project, Job.EVALUATE)
    run.round_id = session.get_one(Run, adapter.run_id).round_id
    session.add(
        Score(run_id=run.id, run_attempt=run.attempt, split=Split.TEST, name="fit", value=0.5, n=90)
    )
    session.commit()
    found = fetch(admin, adapter)
    assert {name: found[name] for name in FILES} == FILES
    assert not any(b"/home/ann" in content for content in found.values())
    assert json.loads(found["meta.json"])["base_model"] == "tiny-vlm"
    card = found["README.md"].decode()
    head = yaml.safe_load(card.split("---\n")[1])
    assert (head["base_model"], head["library_name"]) == ("tiny-vlm", "peft")
    assert head["license"] == "cc-by-4.0"
    assert adapter.digest in card
    assert "trained on 7 rationales" in card
    assert "| test | fit | 0.5 |  | 90 |" in card
    assert "- `rank`: 8" in card
    assert "PeftModel.from_pretrained" in card


def test_the_card_names_the_base_of_the_other_role_where_it_is_another(
    session: Session, project: Project, adapter: Adapter
) -> None:
    store_files(adapter)
    model = session.scalars(select(RoundModel).where(RoundModel.new_adapter_id == adapter.id)).one()
    model.strategy, model.role = "monologue", "reasoner"
    round_ = session.get_one(Round, model.round_id)
    for own, is_told in (("/home/ann/models/seer", True), (None, False)):
        round_.settings = {**round_.settings, "monologue": {"observer_model": own}}
        session.flush()
        trained = find_trained_adapter(session, adapter.id)
        assert trained is not None
        card = dict(prepare_download(session, project, trained).written)["README.md"].decode()
        assert ("- asked beside the observer, which stands on seer\n" in card) == is_told


def test_of_an_adapter_with_more_parts_the_card_says_to_merge(
    admin: TestClient, session: Session, project: Project, adapter: Adapter
) -> None:
    store_files(adapter, {**FILES, "sets/tower/adapter_config.json": b"{}"})
    card = fetch(admin, adapter)["README.md"].decode()
    assert f"illume model merge {project.slug} merged/" in card
    assert "PeftModel" not in card


def test_one_that_the_store_lost_is_told(admin: TestClient, adapter: Adapter) -> None:
    answer = admin.get(f"/adapters/{adapter.id}/file")
    assert answer.status_code == 404
    assert "not in the store" in answer.text


def test_only_an_admin_of_the_project_gets_it(
    client: TestClient, session: Session, project: Project, adapter: Adapter
) -> None:
    store_files(adapter)
    annotator = make_user(session)
    make_membership(session, project, annotator)
    session.commit()
    url = f"/adapters/{adapter.id}/file"
    assert client.get(url).status_code == 303
    assert sign_in(client, session, make_user(session)).get(url).status_code == 404
    assert sign_in(client, session, annotator).get(url).status_code == 403
