"""A base model whose files were replaced: the page asks, and an administrator goes on with it."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.lifecycle import Job, Role, RoundStatus, RunStatus, Split
from app.models import Event, Project, ProjectBase, Round, RoundModel, Run
from app.round_settings import LoopSettings
from app.services.rounds import bases
from app.services.runs import runs
from app.web.language.languages import speaking, translate
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.command_line import output_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
)

OLD, NEW = "a" * 64, "b" * 64


def make_refused_round(session: Session, project: Project, *, found: str | None) -> Round:
    """A round whose sampling failed; `found`: the changed content that a worker refused, if so."""
    settings = LoopSettings()
    round_ = make_round(session, project, status=RoundStatus.GENERATING, settings=settings)
    session.add(RoundModel(round_id=round_.id, strategy="direct", role="explainer"))
    session.add(
        ProjectBase(
            project_id=project.id,
            base_model=settings.base_model,
            asked_revision="",
            digest=OLD,
            found_digest=found,
        )
    )
    run = make_run(session, project, Job.GENERATE, round_=round_)
    run.status, run.error, run.finished_at = RunStatus.FAILED, "It was changed.", func.now()
    session.commit()
    return round_


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


def sign_in_as(client: TestClient, session: Session, project: Project, role: Role) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, role)
    return sign_in(client, session, user)


def test_the_page_asks_and_who_accepts_moves_the_pin_and_measures_anew(
    client: TestClient, session: Session, project: Project
) -> None:
    admin = sign_in_as(client, session, project, Role.ADMIN)
    make_item(session, project, split=Split.TEST)  # what a baseline is measured on
    round_ = make_refused_round(session, project, found=NEW)
    url = f"/rounds/{round_.id}"
    asked = one(admin.get(url), "section[aria-labelledby=base-title]")
    assert "what was trained before is then left behind" in asked.get_text()
    assert len(asked.select("form")) == 2  # retried with restored files, or gone on with
    form = one(admin.get(url), "form:has(#changed-base)")
    assert "Go on with the changed base" in form.get_text()
    assert admin.post(str(form["action"])).status_code == 303
    session.expire_all()
    pin = session.scalars(select(ProjectBase)).one()
    assert (pin.digest, pin.found_digest) == (NEW, None)
    assert pin.changed_at is not None
    queued = session.scalars(select(Run.job).where(Run.status == RunStatus.QUEUED)).all()
    assert set(queued) == {Job.GENERATE, Job.BASELINE}
    event = session.scalars(select(Event).where(Event.tag == "base:changed")).one()
    assert event.actor_id is not None
    assert (event.details["old"], event.details["new"]) == (OLD, NEW)
    again = admin.get(url)
    assert not page(again).select("#changed-base")
    assert admin.post(f"{url}/changed-base").status_code == 409


def test_the_refusal_is_told_in_the_language_of_the_page(
    session: Session, project: Project
) -> None:
    round_ = make_refused_round(session, project, found=None)
    refusal = bases.note_found(session, round_, LoopSettings().base, NEW)
    assert refusal is not None
    with speaking("de"):
        told = translate(refusal.message)
    assert told.startswith("Das Basismodell demo wurde geändert")
    assert OLD in told
    assert NEW in told


def test_who_restores_the_files_retries_and_the_pin_stays(
    client: TestClient, session: Session, project: Project
) -> None:
    admin = sign_in_as(client, session, project, Role.ADMIN)
    round_ = make_refused_round(session, project, found=NEW)
    form = one(admin.get(f"/rounds/{round_.id}"), "form:has(#retry-round)")
    assert admin.post(str(form["action"])).status_code == 303
    session.expire_all()
    assert session.scalars(select(ProjectBase.digest)).one() == OLD
    assert session.scalars(select(Event).where(Event.tag == "base:changed")).all() == []


def test_nothing_is_asked_where_the_base_is_the_same(
    client: TestClient, session: Session, project: Project
) -> None:
    admin = sign_in_as(client, session, project, Role.ADMIN)
    round_ = make_refused_round(session, project, found=None)
    shown = page(admin.get(f"/rounds/{round_.id}"))
    assert shown.select("#retry-round")
    assert not shown.select("#changed-base")
    refused = admin.post(f"/rounds/{round_.id}/changed-base")
    assert refused.status_code == 409
    assert "there is nothing to go on with" in text_of(refused, "main")


def test_an_annotator_cannot_go_on_with_a_changed_base(
    client: TestClient, session: Session, project: Project
) -> None:
    annotator = sign_in_as(client, session, project, Role.ANNOTATOR)
    round_ = make_refused_round(session, project, found=NEW)
    assert annotator.post(f"/rounds/{round_.id}/changed-base").status_code in (403, 404)
    session.expire_all()
    assert session.scalars(select(ProjectBase.digest)).one() == OLD


def test_the_command_line_goes_on_with_a_changed_base(database: sessionmaker[Session]) -> None:
    with database() as session:
        project = make_project(session, name="Street scenes")
        make_refused_round(session, project, found=NEW)
        slug = project.slug
    said = output_of("round", "retry", slug, "--changed-base")
    assert said.strip() == "Queued a new generate run."
    with database() as session:
        assert session.scalars(select(ProjectBase.digest)).one() == NEW
        event = session.scalars(select(Event).where(Event.tag == "base:changed")).one()
        assert event.actor_id is None


def test_a_run_says_while_the_model_is_being_tried(
    client: TestClient, session: Session, project: Project
) -> None:
    admin = sign_in_as(client, session, project, Role.ADMIN)
    round_ = make_round(session, project, status=RoundStatus.GENERATING)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    session.commit()
    note = "the model is being tried before anything is sampled"
    url = f"/rounds/{round_.id}"
    assert note not in admin.get(url).text
    runs.note_doing(session, run.id, "trying the model")
    session.commit()
    assert note in text_of(admin.get(url), 'article[aria-label="Sample rationales"]')
    runs.note_doing(session, run.id, None)
    session.commit()
    assert note not in admin.get(url).text
