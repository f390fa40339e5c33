"""What admins do, in a real browser: with and without script, on small screens, in the dark."""

import io
import json
import re
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus
from app.models import Item, Project, Round, Run, User
from app.queries.runs.runs import claim_run
from app.run_results import TrainingResult
from app.run_results.training import TrainingStep, Validated
from app.services.accounts import accounts
from app.services.dataset.imports import perform_import
from app.services.projects import removal
from tests.browser.conftest import PHONE, NewContext, Site
from tests.support.factories import (
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
    png_bytes,
)
from tests.support.rounds.mixed import make_found_round
from tests.support.rounds_in_process import close_now
from tests.support.serving import WebServer

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"

FAULTS = """() => {
  const faults = [];
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!field.labels?.length && !field.ariaLabel) faults.push("no label: " + field.outerHTML);
  }
  for (const part of document.querySelectorAll("button, a[href], summary")) {
    const name = part.textContent.trim() || part.ariaLabel || part.querySelector("img[alt]")?.alt;
    if (!name) faults.push("no name: " + part.outerHTML);
  }
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) faults.push("wider than the screen by " + wide);
  return faults;
}"""
CUT = """[...document.querySelectorAll(".table-wrap:not(figure *)")]
  .filter((wrap) => wrap.clientWidth && wrap.scrollWidth > wrap.clientWidth + 1)
  .map((wrap) => `${wrap.innerText.slice(0, 40)}: ${wrap.scrollWidth} px in ${wrap.clientWidth}`)"""
"""Tables that have to be scrolled sideways, the numbers of charts aside."""


def sign_in_as_admin(page: Page, site: Site) -> None:
    page.goto(site.link("Ada", is_admin=True))


def newest_run(job: Job) -> Run:
    with session_scope() as session:
        return session.scalars(select(Run).where(Run.job == job).order_by(Run.id.desc())).first()


def test_from_an_empty_installation_to_a_running_round(
    web: WebServer, database: sessionmaker[Session], new_context: NewContext, tmp_path: Path
) -> None:
    """Sign in by the printed link, make a project, bring data, start a round: all by clicking."""
    with session_scope() as session:
        ada = accounts.add_user(session, name="Ada", is_admin=True)
        link = accounts.make_sign_in_link(session, ada, is_reset=True)
    page = new_context().new_page()
    page.goto(web.url + link)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_label("The same again").fill(PASSWORD)
    page.get_by_role("button", name="Set the password").click()
    page.goto(web.url + "/projects")
    page.get_by_role("link", name="Create a project").click()
    page.get_by_label("Name").fill("Balls")
    page.get_by_role("button", name="Create the project").click()
    expect(page.locator("#toasts")).to_contain_text("Balls is created.")

    page.get_by_role("link", name="Import a dataset").click()
    page.get_by_label("Files").set_input_files([dataset(tmp_path), pictures(tmp_path)])
    page.get_by_role("button", name="Upload and check").click()
    expect(page.locator("#run-status")).to_contain_text("no live worker")
    do_import(newest_run(Job.IMPORT))
    expect(page.locator("#run-status")).to_contain_text("Stored.")  # by itself
    expect(page.locator("#run-status")).not_to_have_attribute("hx-get", "")
    page.get_by_role("link", name="Go on to the project").click()

    page.get_by_role("link", name="Look at round 1").click()
    expect(page.locator(".facts")).to_contain_text("3 items × 25 draws = 75 draws")
    page.get_by_role("button", name="Start round 1").click()
    expect(page.locator("#round-status")).to_contain_text("illume worker --queues gpu")
    expect(page.locator(".steps .is-current")).to_have_text("Sample")


def dataset(folder: Path) -> Path:
    path = folder / "balls.jsonl"
    rows = [
        {"id": f"b{n}", "image": f"{n}.png", "question": "what is it?", "answer": "a ball",
         "split": "train"}
        for n in range(3)
    ]  # fmt: skip
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def pictures(folder: Path) -> Path:
    path = folder / "pictures.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(3):
            archive.writestr(f"{number}.png", png_bytes((90 * number, 40, 120)))
    return path


def do_import(run: Run) -> None:
    with session_scope() as session:
        attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    perform_import(run.id, attempt=attempt, progress=lambda _: None)


@pytest.mark.slow
def test_round_page_follows_the_round_and_stops_at_its_end(
    site: Site, new_context: NewContext
) -> None:
    page = new_context().new_page()
    sign_in_as_admin(page, site)
    page.goto(f"{site.web.url}/rounds/{site.round_id}")
    status = page.locator("#round-status")
    expect(status).to_have_attribute("data-status", "judging")
    page.locator("#close-round").focus()
    with session_scope() as session:
        round_ = session.get_one(Round, site.round_id)
        round_.status = RoundStatus.TRAINING
        run = make_run(
            session, session.get_one(Project, site.project_id), Job.TRAIN, round_=round_,
            status=RunStatus.RUNNING,
        )  # fmt: skip
        run.progress = {"step": 2, "n_steps": 8, "curve": curve(2)}
        run.heartbeat_at = run.started_at = func.now()
        run_id = run.id
    expect(status).to_have_attribute("data-status", "training")
    expect(page.locator("#round-announcement")).to_have_text("Round 1 trains the model.")
    expect(page.locator("svg.chart polyline").first).to_have_attribute("points", has_points(2))
    expect(page.locator("progress")).to_have_attribute("value", "2")
    with session_scope() as session:
        session.get_one(Run, run_id).progress = {"step": 5, "n_steps": 8, "curve": curve(5)}
    expect(page.locator("progress")).to_have_attribute("value", "5")
    with session_scope() as session:
        run = session.get_one(Run, run_id)
        run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
        run.result = {"n_steps": 8, "epochs_run": 1, "chosen_epoch": 1, "n_rows": 4,
                      "n_rationale_rows": 2, "curve": curve(8), "validations": []}  # fmt: skip
        round_ = session.get_one(Round, site.round_id)
        round_.status, round_.decision = RoundStatus.COMPLETED, Decision.ALL_COVERED
        round_.decision_reason = "All are covered."
    expect(status).to_have_attribute("data-status", "completed")
    assert status.get_attribute("hx-get") is None
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []


def curve(n: int) -> list[dict[str, float | None]]:
    return [
        {"step": step, "answer_loss": 1 / step, "rationale_loss": 2 / step}
        for step in range(1, n + 1)
    ]


def has_points(n: int) -> "re.Pattern[str]":
    return re.compile(rf"^\S+( \S+){{{n - 1}}}$")


def test_items_are_found_while_typing(site: Site, new_context: NewContext) -> None:
    page = new_context().new_page()
    sign_in_as_admin(page, site)
    with session_scope() as session:
        slug = session.get_one(Project, site.project_id).slug
    page.goto(f"{site.web.url}/projects/{slug}/items")
    expect(page.locator("#items tbody tr")).to_have_count(6)
    # At once: a pause between two letters would be a search, and a step back, of its own.
    page.get_by_label("Find").fill("number 4")
    expect(page.locator("#items tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile("q=number"))
    page.get_by_label("Split").select_option("test")
    expect(page.locator("#items")).to_contain_text("Nothing matches")
    expect(page).to_have_url(re.compile("split=test"))
    page.go_back()
    expect(page.locator("#items tbody tr")).to_have_count(1)
    page.go_back()
    expect(page.locator("#items tbody tr")).to_have_count(6)
    expect(page.locator("header.topbar")).to_have_count(1)  # a page, not a fragment of one


@pytest.mark.slow
def test_without_script_everything_works_by_forms(site: Site, new_context: NewContext) -> None:
    """Password, invite, settings, correct an item, exclude one, close the round: plain HTML."""
    with session_scope() as session:
        accounts.add_user(session, name="Ada", password=PASSWORD, is_admin=True)
        slug = session.get_one(Project, site.project_id).slug
    base = f"{site.web.url}/projects/{slug}"
    page = new_context(javascript=False).new_page()
    page.goto(f"{base}/members")
    page.get_by_label("Name").fill("Ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{base}/members")
    page.get_by_role("button", name="Make a link").click()
    invite = page.locator(".copy code").inner_text()

    guest = new_context(javascript=False).new_page()
    guest.goto(invite)
    guest.get_by_label("Your name").fill("Noor")
    guest.get_by_label("New password").fill(PASSWORD)
    guest.get_by_label("The same again").fill(PASSWORD)
    guest.get_by_role("button", name="Make my account and join").click()
    expect(guest.locator("#toasts")).to_contain_text("Welcome to Things in boxes, Noor.")

    page.goto(f"{base}/settings")
    page.get_by_label("Annotators per item").fill("0")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.get_by_label("Annotators per item")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Annotators per item").fill("2")
    page.get_by_role("button", name="Save the settings").click()
    expect(page.locator("#toasts")).to_contain_text("Saved.")

    page.goto(f"{base}/items")
    page.get_by_label("Find").fill("number 3")
    page.get_by_role("button", name="Find").click()
    page.locator("#items tbody a").click()
    page.get_by_role("link", name="Exclude").click()
    page.get_by_label("Why").fill("blurred")
    page.get_by_role("button", name="Exclude the item").click()
    expect(page.locator(".notice--warn")).to_contain_text("blurred")

    page.goto(f"{site.web.url}/rounds/{site.round_id}")
    page.get_by_role("link", name="Close judging").click()
    expect(page.locator("main")).to_contain_text("5 items are not judged by enough people")
    page.get_by_role("button", name="Close judging and train").click()
    expect(page.locator("#round-status")).to_have_attribute("data-status", "closing")
    with session_scope() as session:
        close_now(session, session.get_one(Round, site.round_id))
    # The page loads itself again, without a script.
    expect(page.locator("#round-status")).to_have_attribute("data-status", "completed")
    expect(page.locator("main")).to_contain_text("nothing to train on")


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param((1280, 900), "light", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", marks=pytest.mark.slow),
        (PHONE, "dark"),
    ],
)
def test_every_page_fits_its_screen_and_names_its_parts(
    site: Site, new_context: NewContext, size: tuple[int, int], scheme: str
) -> None:
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        item = session.scalars(select(Item).where(Item.project_id == project.id)).first()
        assert item is not None
        other = make_project(session, name="A project with a rather long name of many words")
        failed = make_run(session, other, Job.TRAIN, round_=make_round(session, other))
        failed.status, failed.finished_at = RunStatus.FAILED, func.now()
        failed.error = "OutOfMemory: " + "x" * 300 + "\n\nFile " + "y" * 300
        lost = make_run(session, project, Job.IMPORT)
        lost.status, lost.finished_at, lost.error = RunStatus.FAILED, func.now(), "2 problems"
        lost.result = {"errors": ["items.jsonl line 3: " + "z" * 200, "line 4: no image"]}
        make_membership(session, other, make_user(session, name="M" * 60), Role.ADMIN)
        base = f"/projects/{project.slug}"
        paths = [
            "/projects", "/projects/new", base, f"{base}/members", f"{base}/settings",
            f"{base}/items", f"{base}/imports", f"{base}/releases", f"{base}/rounds/new",
            f"/rounds/{site.round_id}", f"/rounds/{site.round_id}/close",
            f"/rounds/{site.round_id}/cancel", f"/rounds/{failed.round_id}",
            f"/projects/{other.slug}/members", f"/runs/{lost.id}", f"/items/{item.id}",
            f"/items/{item.id}/correct", f"/items/{item.id}/exclude", "/account", "/people",
            "/nowhere",
        ]  # fmt: skip
    context = new_context(size, scheme=scheme, touch=size == PHONE)
    page = context.new_page()
    anonymous = context.new_page()
    anonymous.goto(site.web.url + "/sign-in")
    assert anonymous.evaluate(FAULTS) == []
    sign_in_as_admin(page, site)
    for path in paths:
        page.goto(site.web.url + path)
        assert page.evaluate(FAULTS) == [], path


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "de"])
def test_no_table_of_a_round_is_cut_on_a_wide_screen(
    site: Site, new_context: NewContext, language: str
) -> None:
    losses = ("answer", "question", "rationale", "description", "dropped")
    curve = tuple(TrainingStep(step=at, losses=dict.fromkeys(losses, 0.5)) for at in (1, 2))
    notes = TrainingResult(
        n_rows=46, n_steps=2, epochs_run=1, n_useless_questions=1, n_dropped=2, curve=curve,
        validations=(Validated(epoch=1, loss=0.25),),
    )  # fmt: skip
    with session_scope() as session:
        round_ = make_found_round(session)
        project = session.get_one(Project, round_.project_id)
        training = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
        training.strategy, training.role, training.result = "monologue", "reasoner", notes.dump()
        training.status, training.finished_at = RunStatus.SUCCEEDED, func.now()
        address = f"{site.web.url}/rounds/{round_.id}"
    context = new_context()
    context.set_extra_http_headers({"Accept-Language": language})
    page = context.new_page()
    sign_in_as_admin(page, site)
    page.goto(address)
    page.evaluate("document.querySelectorAll('main details').forEach(it => { it.open = true })")
    expect(page.locator("#strategies-found")).to_be_visible()
    expect(page.locator(".legend__key")).to_have_count(6)
    assert page.evaluate(CUT) == []


def test_uploaded_files_with_problems_are_told_line_by_line(
    site: Site, new_context: NewContext
) -> None:
    page = new_context().new_page()
    sign_in_as_admin(page, site)
    with session_scope() as session:
        slug = session.get_one(Project, site.project_id).slug
    page.goto(f"{site.web.url}/projects/{slug}/imports")
    rows = b'{"id": "a", "image": "no.png", "question": "", "answer": "x"}\n{"id": 7}\n'
    page.get_by_label("Files").set_input_files(
        {"name": "rows.jsonl", "mimeType": "application/jsonl", "buffer": io.BytesIO(rows).read()}
    )
    page.get_by_role("button", name="Upload and check").click()
    run = newest_run(Job.IMPORT)
    with pytest.raises(Exception, match="rows"):
        do_import(run)
    with session_scope() as session:
        stored = session.get_one(Run, run.id)
        stored.status, stored.finished_at, stored.error = RunStatus.FAILED, func.now(), "problems"
    expect(page.locator("#run-status")).to_contain_text("Nothing was stored.")
    expect(page.locator("#run-status li").first).to_contain_text("rows.jsonl")


@pytest.mark.parametrize("javascript", [True, False])
def test_a_corrected_answer_leaves_every_other_line_as_it_was(
    site: Site, new_context: NewContext, *, javascript: bool
) -> None:
    question = "What is in the field?\nA) red\r\nB) green\n\n  C) blue  "
    gold = ["first\nsecond\nthird\nfourth", "\n one line, with blanks around \r\n"]
    with session_scope() as session:
        item = session.scalars(select(Item).where(Item.project_id == site.project_id)).first()
        assert item is not None
        item.question, item.gold_rationales = question, gold
        item_id = item.id
    page = new_context(javascript=javascript).new_page()
    sign_in_as_admin(page, site)
    page.goto(f"{site.web.url}/items/{item_id}/correct")
    page.get_by_role("button", name="Another gold rationale").click()
    expect(page.get_by_role("textbox", name="Gold rationale")).to_have_count(4)
    page.get_by_label("Answer").fill("green")
    page.get_by_role("textbox", name="Gold rationale 3").fill("new\nof two lines")
    page.get_by_role("button", name="Remove gold rationale 1").click()
    page.get_by_role("button", name="Replace by the corrected item").click()
    expect(page.get_by_role("status").or_(page.locator(".toast")).first).to_be_visible()
    with session_scope() as session:
        new = session.scalars(select(Item).order_by(Item.id.desc())).first()
        assert new is not None
        assert (new.question, new.answer) == (question, "green")
        assert new.gold_rationales == [gold[1], "new\nof two lines"]


def test_a_project_is_archived_taken_out_and_deleted(site: Site, new_context: NewContext) -> None:
    with session_scope() as session:
        slug = make_project(session, name="Street scenes").slug
    page = new_context().new_page()
    sign_in_as_admin(page, site)
    page.goto(f"{site.web.url}/projects/{slug}/settings")
    page.get_by_role("link", name="Archive or delete the project").click()
    page.get_by_role("button", name="Archive the project").click()
    expect(page.get_by_role("heading", name="Street scenes is archived")).to_be_visible()
    page.goto(f"{site.web.url}/projects")
    expect(page.get_by_role("link", name="Street scenes")).to_have_count(0)
    page.get_by_role("link", name="1 archived project").click()
    page.get_by_role("link", name="Street scenes").click()
    page.get_by_role("link", name="Take it out, or delete it").click()
    page.get_by_role("button", name="Take it out of the archive").click()
    expect(page.get_by_role("heading", name="Street scenes", exact=True)).to_be_visible()

    page.goto(f"{site.web.url}/projects/{slug}/archive")
    page.get_by_role("button", name="Archive the project").click()
    page.get_by_label("Type “Street scenes” to delete it").fill("Street")
    page.get_by_role("button", name="Delete the project").click()
    expect(page.get_by_text("Type the name of the project as it stands here.")).to_be_visible()
    page.get_by_label("Type “Street scenes” to delete it").fill("Street scenes")
    page.get_by_role("button", name="Delete the project").click()
    expect(page.get_by_role("heading", name="Projects")).to_be_visible()
    assert page.goto(f"{site.web.url}/projects/{slug}").status == 404  # type: ignore[union-attr]
    assert removal.delete_requested() == 1
    with session_scope() as session:
        assert session.scalars(select(Project.id).where(Project.slug == slug)).all() == []


def test_a_person_is_erased_after_the_page_has_said_what_goes(
    site: Site, new_context: NewContext
) -> None:
    with session_scope() as session:
        user_id = make_user(session, name="Noor of the Journey").id
    page = new_context().new_page()
    sign_in_as_admin(page, site)
    page.goto(f"{site.web.url}/people")
    page.get_by_role("link", name="Erase Noor of the Journey").click()
    expect(page.get_by_role("heading", name="Erase Noor of the Journey?")).to_be_visible()
    expect(page.get_by_text("Releases made before never change")).to_be_visible()
    field = page.get_by_label("Type “Noor of the Journey” to erase this person")
    field.fill("Noor")
    page.get_by_label("Delete judgements that are in no release, too").check()
    page.get_by_role("button", name="Erase this person").click()
    expect(page.get_by_text("Type the name of the person as it stands here.")).to_be_visible()
    assert page.evaluate(FAULTS) == []
    field.fill("Noor of the Journey")
    page.get_by_role("button", name="Erase this person").click()
    expect(page.get_by_text("The account and its texts are erased.")).to_be_visible()
    expect(page.get_by_role("link", name="Erase Noor of the Journey")).to_have_count(0)
    with session_scope() as session:
        assert session.get_one(User, user_id).erased_at is not None
