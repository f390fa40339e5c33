"""The pages that tell of images without questions, and what they say to do."""

from datetime import UTC, datetime

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Job, Role, RoundStatus, RunStatus, Split
from app.models import Project, ProjectImage
from app.round_settings import LoopSettings, StopSettings
from app.run_results import ImportResult, QuestionTally, RoundFigures
from app.services.rounds.decision import decide_untrained
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
    make_image,
    make_item,
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def add_alone(session: Session, project: Project, n: int, split: Split = Split.TRAIN) -> None:
    for number in range(n):
        image = make_image(session)
        name = f"{split}/{number:03}.png"
        session.add(
            ProjectImage(
                project_id=project.id, image_sha256=image.sha256, split=split, image_name=name
            )
        )
    session.commit()


def test_a_project_of_images_alone_says_what_to_do(
    admin: TestClient, session: Session, project: Project
) -> None:
    add_alone(session, project, 3)
    add_alone(session, project, 1, Split.TEST)
    shown = admin.get(f"/projects/{project.slug}")
    assert text_of(shown, "#next-title") == "Let the model ask, or bring questions"
    assert one(shown, f'a[href="/projects/{project.slug}/images"]').text == (
        "4 images without questions"
    )
    form = admin.get(f"/projects/{project.slug}/rounds/new")
    assert "Choose the strategy self_questioning" in form.text
    assert one(form, "form button.btn--primary").has_attr("disabled")
    settings = LoopSettings(strategy="self_questioning")
    project.settings = settings.model_dump(mode="json")
    session.commit()
    assert text_of(admin.get(f"/projects/{project.slug}"), "#next-title") == "Let the model ask"
    form = admin.get(f"/projects/{project.slug}/rounds/new")
    assert "about 3 images that have no question yet, 5 times each" in form.text
    assert not one(form, "form button.btn--primary").has_attr("disabled")
    started = admin.post(f"/projects/{project.slug}/rounds")
    assert started.status_code == 303
    assert admin.get(started.headers["Location"]).status_code == 200


def test_the_list_of_images_without_questions(
    admin: TestClient, session: Session, project: Project
) -> None:
    address = f"/projects/{project.slug}/images"
    assert "Every image of the project has a question." in admin.get(address).text
    add_alone(session, project, 52)
    make_item(session, project)
    session.commit()
    first = admin.get(address)
    assert len(page(first).select("tbody tr")) == 50
    second = admin.get(str(one(first, "a[rel=next]")["href"]))
    assert len(page(second).select("tbody tr")) == 2
    assert not page(second).select("a[rel=next]")
    assert admin.get(f"{address}?after=%00x").status_code == 422


def test_who_may_see_the_list(client: TestClient, session: Session, project: Project) -> None:
    address = f"/projects/{project.slug}/images"
    stranger, annotator = make_user(session), make_user(session)
    make_membership(session, project, annotator)
    session.commit()
    assert client.get(address).status_code == 303
    assert sign_in(client, session, stranger).get(address).status_code == 404
    assert sign_in(client, session, annotator).get(address).status_code == 403


def test_an_import_tells_how_many_came_without_questions(
    admin: TestClient, session: Session, project: Project
) -> None:
    run = make_run(session, project, Job.IMPORT)
    run.status, run.finished_at = RunStatus.SUCCEEDED, datetime.now(UTC)
    result = ImportResult(n_images=3, n_pictures=3, n_pictures_added=2, picture_splits={"test": 3})
    run.result = result.dump()
    session.commit()
    shown = admin.get(f"/runs/{run.id}")
    tiles = " ".join(page(shown).select_one("dl.tiles").get_text(" ").split())  # type: ignore[union-attr]
    assert "Images without questions 3 2 of them new" in tiles
    assert "Rows" not in tiles
    assert "test: 3. Nobody has asked" in text_of(shown, "#run-status")
    former = admin.get(f"/projects/{project.slug}/imports")
    assert "3 images without questions" in page(former).select_one("tbody").text  # type: ignore[union-attr]


def test_a_round_without_any_item_that_is_over_can_be_looked_at(
    admin: TestClient, session: Session, project: Project
) -> None:
    add_alone(session, project, 2)
    round_ = make_round(session, project, status=RoundStatus.CLOSING)
    asked = QuestionTally(n_images=2, n_drawn=10, n_proposed=4)
    figures = RoundFigures(
        n_items=0, n_open=0, n_covered=0, newly_covered=0, improved=0, regressed=0, questions=asked,
        n_alone=2,
    )  # fmt: skip
    round_.figures = figures.dump()
    round_.status = RoundStatus.COMPLETED
    round_.decision, round_.decision_reason = decide_untrained(1, figures, StopSettings())
    session.commit()
    assert "4 wait for people" in text_of(admin.get(f"/rounds/{round_.id}"), "main")
    shown = admin.get(f"/projects/{project.slug}")
    assert shown.status_code == 200
    assert text_of(shown, "#next-title").startswith("Let the model ask")
