"""Projects: the list, the overview, the settings, members and invites."""

from collections.abc import Callable

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus, Split
from app.models import Membership, Project, Score
from app.round_settings import LoopSettings
from app.services.projects import projects
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
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


def become(
    client: TestClient, session: Session, project: Project, role: Role | None
) -> Membership | None:
    user = make_user(session)
    membership = make_membership(session, project, user, role) if role else None
    sign_in(client, session, user)
    return membership


CountQueries = Callable[[Callable[[], object]], int]

MANAGED_PAGES = ["/settings", "/members", "/items", "/imports", "/releases", "/rounds/new"]


def test_pages_of_a_project_by_who_asks(
    client: TestClient, session: Session, project: Project
) -> None:
    base = f"/projects/{project.slug}"
    session.commit()
    for path in ["", *MANAGED_PAGES]:
        assert client.get(base + path).headers["Location"].startswith("/sign-in?next="), path
    become(client, session, project, None)
    for path in ["", *MANAGED_PAGES]:
        assert client.get(base + path).status_code == 404, path
    become(client, session, project, Role.ANNOTATOR)
    assert client.get(base).status_code == 200
    for path in MANAGED_PAGES:
        assert client.get(base + path).status_code == 403, path
    become(client, session, project, Role.ADMIN)
    for path in ["", *MANAGED_PAGES]:
        assert client.get(base + path).status_code == 200, path


def test_list_shows_own_projects_and_all_to_administrators(
    client: TestClient, session: Session, project: Project
) -> None:
    other = make_project(session, name="Other scenes")
    become(client, session, project, Role.ANNOTATOR)
    titles = [heading.text for heading in page(client.get("/projects")).select("article h2")]
    assert titles == ["Street scenes"]
    sign_in(client, session, make_user(session, is_admin=True))
    titles = [heading.text for heading in page(client.get("/projects")).select("article h2")]
    assert titles == [other.name, project.name]


def test_list_needs_no_more_queries_for_more_projects(
    client: TestClient, session: Session, count_queries: CountQueries
) -> None:
    sign_in(client, session, make_user(session, is_admin=True))
    make_project(session)

    def show() -> None:
        assert client.get("/projects").status_code == 200

    few = count_queries(show)
    for number in range(8):
        make_round(session, make_project(session, name=f"p{number}"))
    assert count_queries(show) == few


def test_administrator_creates_a_project_and_is_its_admin(
    client: TestClient, session: Session
) -> None:
    sign_in(client, session, make_user(session, is_admin=True))
    assert client.get("/projects/new").status_code == 200
    response = client.post("/projects", data={"name": "Ünïcode Scenes!", "description": "d"})
    assert response.headers["Location"] == "/projects/unicode-scenes"
    overview = client.get("/projects/unicode-scenes")
    assert "Bring the data" in text_of(overview, "#next-title")
    again = client.post("/projects", data={"name": "unicode scenes"})
    assert again.headers["Location"] == "/projects/unicode-scenes-2"
    nameless = client.post("/projects", data={"name": " "})
    assert nameless.status_code == 422
    assert "name is needed" in text_of(nameless, "#field-name-error")
    assert one(nameless, "#field-name")["aria-invalid"] == "true"


def test_only_administrators_create_projects(
    client: TestClient, session: Session, project: Project
) -> None:
    become(client, session, project, Role.ADMIN)
    assert client.get("/projects/new").status_code == 403
    assert client.post("/projects", data={"name": "Mine"}).status_code == 403


def test_annotators_see_guidelines_and_nobodys_answers(
    client: TestClient, session: Session, project: Project
) -> None:
    project.guidelines = "Pick **all** that fit. <script>alert(1)</script>"
    become(client, session, project, Role.ANNOTATOR)
    response = client.get(f"/projects/{project.slug}")
    assert one(response, ".prose strong").text == "all"
    assert not page(response).select(".prose script, .tiles, table")


# --- Overview -------------------------------------------------------------------------------


def test_overview_shows_what_each_round_brought(
    client: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project)
    first = make_round(session, project, status=RoundStatus.JUDGING)
    baseline = make_run(session, project, Job.BASELINE, round_=first)
    evaluation = make_run(session, project, Job.EVALUATE, round_=first)
    for run, value in ((baseline, 0.25), (evaluation, 0.5)):
        finish(session, run)
        session.add(
            Score(
                run_id=run.id, run_attempt=run.attempt, split=Split.TEST, name="fit",
                value=value, n=200, low=value - 0.1, high=value + 0.1,
            )
        )  # fmt: skip
    first.figures = {
        "n_items": 10, "n_open": 10, "n_covered": 4, "newly_covered": 4, "n_admitted": 9,
        "n_draws_fitting": 30, "n_draws_judged": 120,
    }  # fmt: skip
    first.status = RoundStatus.COMPLETED
    first.decision, first.decision_reason = Decision.CONTINUE, "4 newly covered."
    become(client, session, project, Role.ADMIN)
    response = client.get(f"/projects/{project.slug}")
    rows = [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("th, td")]
        for row in page(response).select('section[aria-labelledby="rounds-title"] tbody tr')
    ]
    assert rows[0][:2] == ["Base model", ""]
    assert rows[0][8] == "25.0 %"
    assert rows[1] == [
        "Round 1", "completed continue", "10", "4 / 10", "+4", "9", "25.0 %", "–", "50.0 %", "–",
    ]  # fmt: skip
    assert text_of(response, "#next-title") == "Start the next round"
    assert "50.0\u00a0%" in one(response, "svg.chart")["aria-label"]


def test_without_any_verdict_the_chart_tells_whose_answers_it_shows(
    client: TestClient, session: Session, project: Project
) -> None:
    make_item(session, project)
    first = make_round(session, project)
    for job, value in ((Job.BASELINE, 0.5), (Job.EVALUATE, 0.6)):
        run = make_run(session, project, job, round_=first)
        finish(session, run)
        for split, shift in ((Split.VALIDATION, 0.0), (Split.TEST, 0.2)):
            session.add(
                Score(
                    run_id=run.id, run_attempt=run.attempt, split=split, name="answer_accuracy",
                    value=value + shift, n=200,
                )
            )  # fmt: skip
    become(client, session, project, Role.ADMIN)
    told = one(client.get(f"/projects/{project.slug}"), "svg.chart")["aria-label"]
    assert "test answers right" in told
    assert "80.0\u00a0%" in told
    assert "rationales that fit" not in told


def finish(session: Session, run: object) -> None:
    run.status = RunStatus.SUCCEEDED  # type: ignore[attr-defined]
    run.finished_at = func.now()  # type: ignore[attr-defined]
    session.flush()


def test_overview_says_who_judged_each_round_whatever_the_settings_say_now(
    client: TestClient, session: Session, project: Project
) -> None:
    become(client, session, project, Role.ADMIN)
    url = f"/projects/{project.slug}"
    assert "Judged by people" in client.get(url).text
    by_critic = LoopSettings.model_validate({"judging": {"judges": "rouge:0.5"}})
    make_round(session, project, number=1, status=RoundStatus.CANCELLED, settings=by_critic)
    shown = client.get(url).text
    assert "Judged by rouge:0.5" in shown
    assert "Judged by people" not in shown
    make_round(session, project, number=2, status=RoundStatus.CANCELLED)
    shown = client.get(url).text
    assert "Judged by people in rounds 2, by rouge:0.5 in rounds 1" in shown


def test_overview_points_at_a_failed_run(
    client: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.GENERATING)
    run = make_run(session, project, Job.GENERATE, round_=round_)
    run.status, run.error, run.finished_at = RunStatus.FAILED, "out of memory", func.now()
    become(client, session, project, Role.ADMIN)
    response = client.get(f"/projects/{project.slug}")
    assert text_of(response, "#next-title") == "Round 1 needs you"


# --- Settings -------------------------------------------------------------------------------


def settings_data(client: TestClient, project: Project) -> dict[str, str]:
    """The settings form as a browser without JavaScript would send it back."""
    form = one(
        client.get(f"/projects/{project.slug}/settings"),
        f'form[action="/projects/{project.slug}/settings"]',
    )
    data = {}
    for field in form.select("input, textarea, select"):
        if field.get("type") == "checkbox" and not field.has_attr("checked"):
            continue
        if field.name == "select":
            data[field["name"]] = field.select_one("option[selected]")["value"]
        elif field.name == "textarea":
            data[field["name"]] = field.text
        else:
            data[field["name"]] = field["value"]
    return data


def test_settings_sent_back_unchanged_change_nothing(
    client: TestClient, session: Session, project: Project
) -> None:
    custom = LoopSettings(seed=7, auto_advance=False, rest_control_share=0.125)
    project.settings = custom.model_dump(mode="json")
    become(client, session, project, Role.ADMIN)
    data = settings_data(client, project)
    assert client.post(f"/projects/{project.slug}/settings", data=data).status_code == 303
    session.refresh(project)
    assert projects.settings_of(project) == custom


def test_settings_are_saved_and_frozen_rounds_keep_theirs(
    client: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    become(client, session, project, Role.ADMIN)
    data = settings_data(client, project)
    data |= {
        "judging.overlap": "3",
        "admission.policy": "at_least",
        "admission.threshold": "2",
        "sampling.temperatures": "0.1, 0.7",
        "sampling.openers": ", because\n, seeing that",
        "max_items": "",
        "evaluation.max_items": "40",
    }
    data.pop("auto_advance")  # a box that is not ticked is not sent
    assert client.post(f"/projects/{project.slug}/settings", data=data).status_code == 303
    session.refresh(project)
    settings = projects.settings_of(project)
    assert settings.judging.overlap == 3
    assert settings.sampling.temperatures == (0.1, 0.7)
    assert settings.sampling.openers == (", because", ", seeing that")
    assert (settings.max_items, settings.evaluation.max_items) == (None, 40)
    assert settings.auto_advance is False
    session.refresh(round_)
    assert LoopSettings.model_validate(round_.settings).judging.overlap == 1


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("judging.overlap", "0", "greater than or equal to 1"),
        ("training.learning_rate", "fast", "valid number"),
        ("sampling.temperatures", "0.1 hot", "valid number"),
        ("sampling.openers", "", "at least 1"),
        ("training.dropout", "1", "less than 1"),
    ],
)
def test_wrong_setting_is_kept_and_marked(
    *, client: TestClient, session: Session, project: Project, name: str, value: str, message: str
) -> None:
    become(client, session, project, Role.ADMIN)
    data = settings_data(client, project) | {name: value}
    response = client.post(f"/projects/{project.slug}/settings", data=data)
    assert response.status_code == 422
    field = one(response, f'[name="{name}"]')
    assert field["aria-invalid"] == "true"
    assert (field.get("value") if field.name == "input" else field.text) == value
    error = one(response, f'[id="{field["aria-describedby"].split()[-1]}"]')
    assert message in error.text


def test_settings_that_contradict_each_other_are_refused(
    client: TestClient, session: Session, project: Project
) -> None:
    become(client, session, project, Role.ADMIN)
    data = settings_data(client, project)
    data |= {"admission.policy": "at_least", "admission.threshold": "3"}
    response = client.post(f"/projects/{project.slug}/settings", data=data)
    assert response.status_code == 422
    assert "raise the overlap" in text_of(response, "[role=alert]")


def test_details_and_guidelines(client: TestClient, session: Session, project: Project) -> None:
    become(client, session, project, Role.ADMIN)
    base = f"/projects/{project.slug}"
    details = {"name": "New name", "description": "About", "licence": "CC-BY-4.0"}
    assert client.post(f"{base}/details", data=details).status_code == 303
    assert client.post(f"{base}/details", data={"name": ""}).status_code == 422
    for text in ("New rules", "New rules", "Newer rules"):
        assert client.post(f"{base}/guidelines", data={"guidelines": text}).status_code == 303
    session.refresh(project)
    assert (project.name, project.licence) == ("New name", "CC-BY-4.0")
    assert (project.guidelines, project.guidelines_version) == ("Newer rules", 3)


@pytest.mark.parametrize("path", ["/settings", "/details", "/guidelines", "/invites"])
def test_annotators_change_nothing(
    client: TestClient, session: Session, project: Project, path: str
) -> None:
    become(client, session, project, Role.ANNOTATOR)
    assert client.post(f"/projects/{project.slug}{path}").status_code == 403


# --- Members --------------------------------------------------------------------------------


def test_admin_invites_and_revokes(client: TestClient, session: Session, project: Project) -> None:
    become(client, session, project, Role.ADMIN)
    base = f"/projects/{project.slug}"
    response = client.post(f"{base}/invites", data={"role": "annotator", "max_uses": "3"})
    assert "/join/" in text_of(response, ".copy code")
    assert "0 of 3" in response.text
    again = client.get(f"{base}/members")
    assert "/join/" not in again.text
    form = one(again, 'form[action$="/revoke"]')
    assert client.post(form["action"]).status_code == 303
    assert not page(client.get(f"{base}/members")).select('form[action$="/revoke"]')
    for data in ({"max_uses": "many"}, {"days": "0"}, {"days": "9999"}, {"max_uses": "0"}):
        assert client.post(f"{base}/invites", data=data).status_code == 422, data


def test_invites_and_members_of_another_project_are_out_of_reach(
    client: TestClient, session: Session, project: Project
) -> None:
    other = make_project(session)
    link = projects.make_invite(session, other, actor=None)
    invite, _ = projects.find_invite(session, link.rpartition("/")[2])
    stranger = make_membership(session, other, make_user(session))
    become(client, session, project, Role.ADMIN)
    base = f"/projects/{project.slug}"
    assert client.post(f"{base}/invites/{invite.id}/revoke").status_code == 404
    assert client.get(f"{base}/members/{stranger.id}/remove").status_code == 404
    assert client.post(f"{base}/members/{stranger.id}/remove").status_code == 404
    path = f"{base}/members/{stranger.id}/role"
    assert client.post(path, data={"role": "admin"}).status_code == 404


def test_members_change_role_and_leave(
    client: TestClient, session: Session, project: Project
) -> None:
    member = make_membership(session, project, make_user(session))
    me = become(client, session, project, Role.ADMIN)
    assert me is not None
    base = f"/projects/{project.slug}/members"
    assert client.post(f"{base}/{me.id}/remove").status_code == 409  # the last admin
    assert client.post(f"{base}/{me.id}/role", data={"role": "annotator"}).status_code == 409
    assert client.post(f"{base}/{member.id}/role", data={"role": "admin"}).status_code == 303
    assert client.get(f"{base}/{member.id}/remove").status_code == 200
    assert client.post(f"{base}/{member.id}/remove").status_code == 303
    assert session.get(Membership, member.id) is None
    assert client.post(f"{base}/{me.id}/role", data={"role": "chief"}).status_code == 422
