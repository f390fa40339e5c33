"""The pages of the playground: the form, and two models side by side once they have spoken."""

from datetime import timedelta

import pytest
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Job, Role, RunStatus, Split
from app.models import Item, Project, Run, TriedPicture
from app.queries.runs.runs import claim_run
from app.services.projects import removal
from app.services.rounds import tryouts
from app.services.rounds.tryouts import Tried
from tests.support.browsing import HTMX, page, sign_in, text_of
from tests.support.factories import make_item, make_membership, make_project, make_user, png_bytes
from tests.support.rounds.trained import make_trained_round

FORM = {
    "first": "0",
    "second": "1",
    "question": "what is it?",
    "opener": ", since",
    "temperature": "0.3",
    "seed": "7",
}
SENT = {"picture": ("own.png", png_bytes((200, 10, 10)), "image/png")}


@pytest.fixture
def project(session: Session) -> Project:
    project = make_project(session)
    make_trained_round(session, project, number=1)
    return project


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    return member(client, session, project, Role.ADMIN)


def member(client: TestClient, session: Session, project: Project, role: Role) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, role)
    return sign_in(client, session, user)


def base(project: Project) -> str:
    return f"/projects/{project.slug}/playground"


def ask(admin: TestClient, project: Project, **changes: str) -> Response:
    return admin.post(base(project), data=FORM | changes, files=SENT, follow_redirects=False)


def asked(admin: TestClient, project: Project, **changes: str) -> str:
    answer = ask(admin, project, **changes)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def find_run(session: Session) -> Run:
    return session.scalars(select(Run).where(Run.job == Job.TRY)).one()


def speak(session: Session, *tried: Tried) -> None:
    """Do as a worker does that has asked both models."""
    run = find_run(session)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    session.refresh(run)
    tryouts.store_tried(session, run.id, attempt=attempt, tried=tried)
    session.commit()


def test_the_form_begins_with_the_newest_round_and_what_it_is_asked_with(
    admin: TestClient, session: Session, project: Project
) -> None:
    shown = page(admin.get(base(project)))
    chosen = [option.get_text() for option in shown.select("option[selected]")]
    assert chosen == ["Base model", "Round 1"]
    values = {str(field["name"]): field.get("value") for field in shown.select("main input")}
    assert (values["opener"], values["temperature"]) == (", seeing that", "0.01")
    make_trained_round(session, project, number=2)
    session.commit()
    shown = page(admin.get(base(project)))
    chosen = [option.get_text() for option in shown.select("option[selected]")]
    assert chosen == ["Round 1", "Round 2"]


def test_a_picture_is_tried_and_both_models_stand_side_by_side(
    admin: TestClient, session: Session, project: Project
) -> None:
    address = asked(admin, project, answer="red")
    waiting = admin.get(address)
    # No worker lives here: the page says so, and how to start one.
    assert "no live worker does this kind of work" in text_of(waiting, "#tryout")
    assert "illume worker --queues gpu" in text_of(waiting, "#tryout")
    assert page(waiting).select_one("#tryout[hx-get]") is not None
    assert page(waiting).select_one("noscript meta") is not None
    assert page(waiting).select_one(f'#tryout a.no-js-only[href="{address}"]') is not None
    picture = admin.get(f"{address}/picture")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
    speak(
        session,
        Tried(answer="blue", rationale="it is the sea", is_right=False, seconds=1.2),
        Tried(answer="red", rationale="it is a rose", is_right=True, adapters=("ab" * 32,)),
    )
    done = admin.get(address, headers=HTMX)
    cards = [card.get_text(" ", strip=True) for card in page(done).select("#tryout .card")]
    assert cards == [
        "Base model 1.2 s blue wrong it is the sea",
        "Round 1 0.0 s red right it is a rose abababababab",
    ]
    assert page(done).select_one("[hx-get]") is None
    assert "<html" not in done.text
    listed = admin.get(base(project))
    assert "what is it? Base model · Round 1 succeeded" in text_of(listed, "main tbody")


def test_an_item_brings_its_picture_question_and_answer(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project, split=Split.VALIDATION, external_id="ä/1")
    session.commit()
    shown = page(admin.get(f"/items/{item.id}"))
    (link,) = (a for a in shown.select("a") if a.get_text() == "Try models on it")
    form = admin.get(str(link["href"]))
    assert item.question in text_of(form, "main figure")
    answer = admin.post(
        base(project),
        data=FORM | {"item": "ä/1", "question": ""},
        files={"picture": ("", b"", "application/octet-stream")},
        follow_redirects=False,
    )
    assert answer.status_code == 303
    tried = admin.get(answer.headers["location"])
    assert "A held-out item: it may be asked about here" in text_of(tried, "main aside")
    assert text_of(tried, "h1") == item.question
    assert admin.get(f"{answer.headers['location']}/picture").status_code == 404


def test_what_one_model_cannot_do_is_told_beside_what_the_other_said(
    admin: TestClient, session: Session, project: Project
) -> None:
    address = asked(admin, project)
    speak(session, Tried(error="The picture is refused."), Tried(answer="red", rationale="so"))
    shown = text_of(admin.get(address), "#tryout")
    assert "The picture is refused." in shown
    assert "red" in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"temperature": "warm"}, "The temperature is a number"),
        ({"seed": "x"}, "The seed is a whole number"),
        ({"item": "nowhere"}, "no item with that id"),
        ({"first": "1"}, "Choose two different models"),
    ],
)
def test_a_refused_form_comes_back_as_it_was_typed(
    admin: TestClient, project: Project, changes: dict[str, str], message: str
) -> None:
    answer = ask(admin, project, **changes)
    assert answer.status_code == 422
    assert message in text_of(answer, "[role=alert]")
    assert text_of(answer, "textarea[name=question]").strip() == "what is it?"
    for name, value in changes.items():
        if name != "first":
            field = page(answer).select_one(f"input[name={name}]")
            assert field is not None
            assert field["value"] == value


def test_a_file_that_is_no_picture_is_told(admin: TestClient, project: Project) -> None:
    files = {"picture": ("notes.png", b"no picture at all", "image/png")}
    answer = admin.post(base(project), data=FORM, files=files)
    assert answer.status_code == 422
    assert "notes.png" in text_of(answer, "[role=alert]")


def test_it_is_cancelled_and_removed(admin: TestClient, session: Session, project: Project) -> None:
    address = asked(admin, project)
    refused = admin.post(f"{address}/remove")
    assert refused.status_code == 409
    assert admin.post(f"{address}/cancel", follow_redirects=False).status_code == 303
    session.expire_all()
    assert find_run(session).status is RunStatus.CANCELLED
    assert admin.post(f"{address}/cancel").status_code == 409
    assert admin.post(f"{address}/remove", follow_redirects=False).status_code == 303
    assert admin.get(address).status_code == 404
    assert session.scalars(select(TriedPicture)).all() == []


def test_its_run_leads_there(admin: TestClient, session: Session, project: Project) -> None:
    address = asked(admin, project)
    answer = admin.get(f"/runs/{find_run(session).id}", follow_redirects=False)
    assert answer.headers["location"] == address


def test_without_an_adapter_the_page_says_when_there_is_one(
    client: TestClient, session: Session
) -> None:
    fresh = make_project(session, name="Fresh")
    shown = member(client, session, fresh, Role.ADMIN).get(base(fresh))
    assert "No adapter to try yet" in text_of(shown, "main")
    assert page(shown).select_one("main form") is None


def test_an_archived_project_is_read_and_not_tried(
    admin: TestClient, session: Session, project: Project
) -> None:
    address = asked(admin, project)
    speak(session, Tried(answer="red"), Tried(answer="red"))
    removal.archive_project(session, project, actor=None)
    session.commit()
    assert ask(admin, project, seed="8").status_code == 409
    shown = admin.get(address)
    assert shown.status_code == 200
    assert page(shown).select_one("#tryout form") is None


def test_only_admins_of_the_project_try_models(
    client: TestClient, session: Session, project: Project
) -> None:
    address = asked(member(client, session, project, Role.ADMIN), project)
    other = make_project(session, name="Other")
    make_trained_round(session, other, number=1)
    elsewhere = member(client, session, other, Role.ADMIN)
    number = address.rsplit("/", 1)[1]
    assert elsewhere.get(f"{base(other)}/{number}").status_code == 404
    assert elsewhere.get(address).status_code == 404
    annotator = member(client, session, project, Role.ANNOTATOR)
    for url in (base(project), address, f"{address}/picture"):
        assert annotator.get(url).status_code == 403
    assert ask(annotator, project).status_code == 403
    assert session.scalars(select(Item)).all() == []
