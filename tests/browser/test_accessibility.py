"""axe-core finds nothing on any page: wide and at 320 px, in the light and in the dark.

Every page that a route can answer with is visited, and the states of the judging page that only its
script makes. What axe cannot see (keys, focus, motion) has tests of its own.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.db import session_scope
from app.kit.storage import put_image
from app.lifecycle import Decision, Job, PracticeMode, Role, RoundStatus, RunStatus, Split
from app.models import Item, Project, ProjectImage, Release, Round, Score, User
from app.queries.admission.adjudications import find_undecided
from app.queries.rounds.round_items import open_mixed_in
from app.round_settings import AdmissionSettings, LoopSettings
from app.services.accounts import accounts
from app.services.admission.apply import admit
from app.services.judging import practice_items
from app.services.judging.practice_items import Expected, Lesson
from app.services.projects import guidelines, projects, removal
from app.services.releases.releases import create_release
from tests.architecture.lock import REPOSITORY
from tests.browser.conftest import DESKTOP, NewContext, Site
from tests.browser.trails import store_map
from tests.browser.trials import store_trials
from tests.support.factories import (
    make_image,
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
    png_bytes,
)
from tests.support.judging import gather_now, make_judged_items, make_people
from tests.support.quality.anchors import make_drifting_rounds, start_next
from tests.support.quality.checks import judge_some, make_checks, settings_with
from tests.support.quality.comparisons import (
    judge_for_the_new,
    make_compared_round,
    make_mixed,
    make_sampled,
)
from tests.support.quality.disputes import decide_item, make_disputed_round
from tests.support.rounds.asked_questions import QUESTIONS, AskedRound
from tests.support.rounds.mixed import make_found_round, put_under_floor
from tests.support.rounds.side_by_side import make_compared_project
from tests.support.rounds.trained import finish_tryout, make_trained_round, make_tryout

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
NARROW = (320, 640)

RUN = """async (rules) => {
  const only = rules ? { runOnly: { type: "rule", values: rules } } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...only });
  return violations.flatMap((violation) =>
    violation.nodes.map((node) => `${violation.id}: ${node.target} ${node.failureSummary}`));
}"""
OF_COLOURS = ["color-contrast", "link-in-text-block"]
"""The rules whose result depends on the colour scheme."""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

ARABIC = "ما لون الكرة الكبيرة في الصورة؟"

FIGURES = {
    "n_items": 1,
    "people": {"annotators": 1, "judgements": 1, "active_minutes": 1},
    "critics": {"names": []},
    "agreement": {"on_candidates": {"n": 0}},
}
# A fragment that is never a page: respond() wants a name for both.
NO_PAGE = {"judge/_lease.html", "judge/_saved.html"}


def test_axe_is_what_the_note_says() -> None:
    note = (AXE.parent / "README.md").read_text(encoding="utf-8")
    digest = re.findall(r"`([0-9a-f]{64})`", note)
    assert digest == [hashlib.sha256(AXE.read_bytes()).hexdigest()]


def rendered_pages() -> set[str]:
    """Every page that some handler names: `respond(..., page="...")`."""
    found = set()
    for path in (REPOSITORY / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            is_page = isinstance(node, ast.keyword) and node.arg == "page"
            if is_page and isinstance(node.value, ast.Constant):  # type: ignore[union-attr]
                found.add(str(node.value.value))  # type: ignore[union-attr]
    return found - NO_PAGE


def check(page: Page, where: str) -> list[str]:
    """What axe finds in the dark and in the light, and whether the page is too wide."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[str] = []
    for scheme, rules in (("dark", OF_COLOURS), ("light", None)):
        # Reduced motion: halfway from one colour to another there is no contrast to measure.
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
        found += [f"{where}, {scheme}: {line}" for line in page.evaluate(RUN, rules)]
    too_wide = page.evaluate(TOO_WIDE)
    return found + ([f"{where}: {too_wide} px wider than the screen"] if too_wide > 0 else [])


# --- What there is to see -------------------------------------------------------------------


def fill(site: Site) -> dict[str, str]:
    """Rows for every kind of page; the addresses of an administrator by page."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        item = session.scalars(select(Item).where(Item.project_id == project.id)).first()
        assert item is not None
        base = f"/projects/{project.slug}"
        guidelines.update_guidelines(
            session,
            project,
            guidelines=f"# Rules\n\n```fits\nso\n\nwhy\n```\n\n{ARABIC}",
            actor=None,
        )
        lesson = add_lesson(session, project, item)
        add_unasked(session, project)
        checked = make_project(session, name="Checked")
        make_item(session, checked)
        create_release(session, checked, actor=None)
        clicker = judge_checked(session, checked)
        later = create_release(session, checked, actor=None)
        (check,) = make_checks(session, checked, 1)
        projects.make_invite(session, project, actor=None)
        member = make_membership(session, project, make_user(session, name="M" * 60), Role.ADMIN)
        lost = make_run(session, project, Job.IMPORT)
        lost.status, lost.finished_at, lost.error = RunStatus.FAILED, func.now(), "2 problems"
        lost.result = {"errors": ["items.jsonl line 3: " + "z" * 200]}
        other = make_project(session, name="A finished project with a rather long name")
        done = make_round(session, other, settings=LoopSettings(auto_advance=False))
        make_judged_items(session, done, make_people(session, 3), n_items=4)
        gather_now(session, done)
        done.status, done.decision = RoundStatus.COMPLETED, Decision.ALL_COVERED
        done.decision_reason = "Every item is covered."
        run = make_run(session, other, Job.EVALUATE, round_=done)
        run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
        for name, value, n in (("fit", 0.4, 30), ("answer_accuracy", 0.8, 50)):
            session.add(
                Score(
                    run_id=run.id, run_attempt=run.attempt, split=Split.VALIDATION, name=name,
                    value=value, n=n, low=value - 0.1, high=value + 0.1,
                )
            )  # fmt: skip
        disputed = make_disputed_round(session, make_project(session, name="Disputed"))
        decided = find_undecided(session, disputed.id, 0, start=0)
        assert decided is not None
        decide_item(session, disputed, decided, make_user(session, name="A" * 60), True, False)
        failed_project = make_project(session, name="Failed")
        failed = make_round(session, failed_project, status=RoundStatus.TRAINING)
        broken = make_run(session, failed_project, Job.TRAIN, round_=failed)
        broken.status, broken.finished_at = RunStatus.FAILED, func.now()
        broken.error = "OutOfMemory: " + "x" * 300
        compared = make_compared_project(session)
        make_trained_round(session, compared, number=3)
        sampled = sampled_round(session)
        tried, waits = (
            make_tryout(session, compared, seed=1),
            make_tryout(session, compared, seed=2),
        )
        finish_tryout(session, tried)
        mapped = store_map(session)
        archived = make_project(session, name="Long over")
        removal.archive_project(session, archived, actor=None)
        release = Release(
            project_id=project.id,
            number=1,
            content_hash="0" * 64,
            n_rows=0,
            card={"figures": FIGURES},
        )
        session.add(release)
        session.flush()
        return {
            "home/show.html": "/",
            "mine/show.html": "/mine",
            "account/show.html": "/account",
            "account/keys.html": "/account/keys",
            "people/index.html": "/people",
            "people/erase.html": f"/people/{member.user_id}/erase",
            "project/index.html": "/projects",
            "project/new.html": "/projects/new",
            "project/show.html": base,
            "project/show.html finished": f"/projects/{other.slug}",
            "project/settings.html": f"{base}/settings",
            "project/archive.html": f"{base}/archive",
            "project/archive.html archived": f"/projects/{archived.slug}/archive",
            "project/index.html archived": "/projects?archived=true",
            "project/guidelines.html": f"{base}/guidelines",
            "practice/index.html": f"{base}/practice/items",
            "practice/edit.html": f"{base}/practice/items/{lesson}",
            "check/index.html": f"/projects/{checked.slug}/checks",
            "check/new.html": f"{base}/checks/new?item={item.external_id}",
            "check/show.html": f"/projects/{checked.slug}/checks/{check.id}",
            "adjudication/item.html": f"/rounds/{disputed.id}/adjudication",
            "adjudication/decided.html": f"/rounds/{disputed.id}/adjudication/decided",
            "adjudication/nothing.html": f"/rounds/{done.id}/adjudication",
            "round/close.html disputed": f"/rounds/{disputed.id}/close",
            "questions/show.html": f"/projects/{asked_project(session)}/questions",
            "questions/show.html nothing": f"{base}/questions",
            "project/show.html questions": f"/projects/{asked_project(session)}",
            "check/person.html": f"/projects/{checked.slug}/checks/people/{clicker.id}",
            "annotator/index.html": f"/projects/{checked.slug}/people",
            "annotator/show.html": f"/projects/{checked.slug}/people/{clicker.id}",
            "member/index.html": f"{base}/members",
            "member/remove.html": f"{base}/members/{member.id}/remove",
            "item/index.html": f"{base}/items",
            "image/index.html": f"{base}/images",
            "item/show.html": f"/items/{item.id}",
            "item/correct.html": f"/items/{item.id}/correct",
            "item/exclude.html": f"/items/{item.id}/exclude",
            "import/index.html": f"{base}/imports",
            "import/run.html": f"/runs/{lost.id}",
            "release/index.html": f"{base}/releases",
            "release/show.html": f"/releases/{release.id}",
            "release/changes.html": f"/releases/{later.id}/changes",
            "round/new.html": f"/projects/{other.slug}/rounds/new",
            "round/show.html": f"/rounds/{site.round_id}",
            "round/show.html finished": f"/rounds/{done.id}",
            "round/show.html failed": f"/rounds/{failed.id}",
            "round/show.html anchors": f"/rounds/{make_drifting_rounds(session).id}",
            "round/side_by_side.html": f"/projects/{compared.slug}/side-by-side",
            "round/changed.html": f"/projects/{compared.slug}/side-by-side/items?change=improved",
            "playground/index.html": f"/projects/{compared.slug}/playground",
            "playground/show.html": f"/projects/{compared.slug}/playground/{tried.id}",
            "playground/show.html waiting": f"/projects/{compared.slug}/playground/{waits.id}",
            "round/show.html to compare": f"/rounds/{compared_round(session, judged=False).id}",
            "round/show.html mixed": f"/rounds/{mixed_round(session).id}",
            "round/show.html mixed to compare": f"/rounds/{mixed_to_compare(session).id}",
            "round/show.html compared": f"/rounds/{compared_round(session, judged=True).id}",
            "round/cancel_comparison.html": f"/rounds/{sampled.id}/comparison/cancel",
            "round/close.html": f"/rounds/{site.round_id}/close",
            "round/policies.html": f"/rounds/{store_trials(session, site.round_id)}/policies",
            "round/show.html with a map": f"/rounds/{mapped}",
            "round/map.html": f"/rounds/{mapped}/map",
            "round/map.html stretch": f"/rounds/{mapped}/map?split=validation&first=3&last=9",
            "round/cancel.html": f"/rounds/{site.round_id}/cancel",
            "error.html 404": "/nowhere",
        }


def judge_checked(session: Session, project: Project) -> User:
    """A person who clicked through check items and others, in a round that is open."""
    round_ = make_round(session, project, settings=settings_with(0.15, check_floor=0.9))
    for _ in range(16):
        make_round_item(session, round_, make_item(session, project))
    make_checks(session, project, 3)
    user = make_user(session, name="C" * 60)
    for judgement in judge_some(session, round_, user, 16):
        judgement.active_ms = 300
    gather_now(session, round_)
    admit(session, round_, AdmissionSettings(policy="any"))
    return user


def asked_project(session: Session) -> str:
    """The address of a project with questions of the model about two images."""
    asked = AskedRound(session, n_images=2)
    for place in range(2):
        asked.ask(
            place, (*QUESTIONS, (ARABIC, None), ("what is " + "very " * 20 + "odd?", "x" * 60))
        )
    return asked.project.slug


def compared_round(session: Session, *, judged: bool) -> Round:
    """A round whose adapter can be compared with the base, or was: then people judged both."""
    people = make_people(session, 2)
    round_ = make_compared_round(session, people)
    if judged:
        comparison = make_sampled(session, round_)
        following = start_next(session, round_)
        open_mixed_in(session, following.id, 1.0)
        judge_for_the_new(session, following, people, comparison)
        gather_now(session, round_)
    return round_


def mixed_round(session: Session) -> Round:
    """A round of two strategies that is over, of which one sits out the next."""
    round_ = make_found_round(session)
    put_under_floor(session, round_)
    return round_


def mixed_to_compare(session: Session) -> Round:
    """A round of three strategies, two of which can be compared with what they were before."""
    round_ = compared_round(session, judged=False)
    make_mixed(session, round_)
    return round_


def sampled_round(session: Session) -> Round:
    """A round with a comparison that nobody has judged yet."""
    round_ = compared_round(session, judged=False)
    make_sampled(session, round_)
    return round_


def add_lesson(session: Session, project: Project, item: Item) -> int:
    practice_item = practice_items.add_item(session, project, item, actor=None)
    texts = (Expected("it is red", fits=True, explanation="So."), Expected(ARABIC, fits=False))
    lesson = Lesson(1, "red", False, "Look **here**.", texts)
    practice_items.save_lesson(session, practice_item, lesson, actor=None)
    return practice_item.id


# --- Pages ----------------------------------------------------------------------------------

Visit = Iterator[tuple[str, Page]]


def add_unasked(session: Session, project: Project) -> None:
    """An image that came without a question."""
    content = png_bytes((120, 60, 90))
    put_image(content, "image/png")
    image = make_image(session, content=content)
    session.add(
        ProjectImage(
            project_id=project.id,
            image_sha256=image.sha256,
            split=Split.TRAIN,
            image_name="holidays/" + "z" * 80 + ".png",
        )
    )


def admin_pages(page: Page, site: Site, addresses: dict[str, str]) -> Visit:
    page.goto(site.link("Ada", is_admin=True))
    for name, path in addresses.items():
        page.goto(site.web.url + path)
        page.evaluate("document.querySelectorAll('main details').forEach(it => { it.open = true })")
        yield name, page


def signed_out_pages(page: Page, site: Site) -> Visit:
    with session_scope() as session:
        user = make_user(session, name="New")
        reset = accounts.make_sign_in_link(session, user, is_reset=True)
        link = accounts.make_sign_in_link(session, user)
        project = session.get_one(Project, site.project_id)
        invite = projects.make_invite(session, project, actor=None)
    page.goto(f"{site.web.url}/sign-in")
    yield "account/sign_in.html", page
    page.get_by_label("Name").fill("Nobody")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    yield "account/sign_in.html refused", page
    for name, path in (("account/reset.html", reset), ("account/join.html", invite)):
        page.goto(site.web.url + path)
        yield name, page
    page.set_extra_http_headers({"Sec-Purpose": "prefetch"})
    page.goto(site.web.url + link)
    yield "account/link.html", page
    page.set_extra_http_headers({})
    page.goto(f"{site.web.url}/sign-in/link/over")
    yield "error.html 410", page


def practice_pages(page: Page, site: Site) -> Visit:
    page.goto(site.link("Lin"))
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        project.practice = PracticeMode.REQUIRED
        base = f"{site.web.url}/projects/{project.slug}"
    page.goto(base)
    yield "project/member.html", page
    page.goto(site.web.url)
    yield "home/show.html practise first", page
    page.goto(f"{base}/practice")
    yield "practice/start.html", page
    page.get_by_role("button", name="Begin").click()
    yield "practice/item.html", page
    page.locator(".bar__submit").click()
    expect(page.locator(".toast")).to_be_visible()
    yield "practice/item.html refused", page
    page.locator("input[name=picked]").nth(1).check()
    page.locator(".bar__submit").click()
    expect(page.locator("#result")).to_be_visible()  # the script goes there by itself
    yield "practice/answer.html", page
    page.locator(".bar__submit").click()
    page.wait_for_url(f"{base}/practice")
    yield "practice/start.html result", page
    with session_scope() as session:
        session.get_one(Project, site.project_id).practice = PracticeMode.OFF


def judging_pages(page: Page, site: Site) -> Visit:
    """The judging page in the states that its script makes."""
    with session_scope() as session:
        for item in session.scalars(select(Item).where(Item.project_id == site.project_id)):
            item.question = ARABIC
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    yield "judge/show.html with guidelines", page
    page.keyboard.press("g")
    yield "judge/show.html", page
    for key, name in (("?", "keys"), ("s", "skipping")):
        page.keyboard.press(key)
        yield f"judge/show.html {name}", page
        page.keyboard.press("Escape")
    page.keyboard.press("e")
    page.keyboard.press("2")
    expect(page.locator(".mend[open] [name=fault]").first).to_be_focused()
    page.keyboard.press("4")
    yield "judge/show.html mending", page
    page.keyboard.press("Escape")
    page.keyboard.press("1")
    page.keyboard.press("f")
    page.keyboard.press("c")
    yield "judge/show.html commenting", page
    page.keyboard.press("Escape")
    page.keyboard.press("n")
    expect(page.locator("#saved")).to_contain_text("Saved v")
    page.context.set_offline(True)
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_contain_text("for the connection")
    yield "judge/show.html offline", page
    page.context.set_offline(False)
    expect(page.locator("#saved")).to_contain_text("Saved v")
    other = page.context.new_page()
    other.goto(site.judge_url())
    other.keyboard.press("3")
    expect(other.locator("#saved")).to_contain_text("Saved v")
    other.close()
    page.keyboard.press("4")
    expect(page.locator("#dialog")).to_contain_text("another tab")
    yield "judge/show.html conflict", page
    page.goto(site.judge_url())
    before = page.get_attribute("#answer", "data-judgement-id")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).not_to_have_attribute("data-judgement-id", str(before))
    page.goto(f"{site.web.url}/judgements/{before}")
    yield "judge/show.html looking back", page
    page.goto(f"{site.web.url}/rounds/{site.round_id}/mine")
    yield "judge/mine.html", page
    page.goto(f"{site.web.url}/mine")
    yield "mine/show.html with work", page
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        guidelines.update_guidelines(session, project, guidelines="Other.", actor=None)
    page.goto(site.judge_url())
    yield "judge/show.html guidelines changed", page
    page.context.clear_cookies(name=re.compile("^(?!theme)"))
    page.keyboard.press("2")
    expect(page.locator("#dialog")).to_contain_text("signed out")
    yield "judge/show.html signed out", page


def refusals(page: Page, site: Site) -> Visit:
    """Pages that only a browser without script sees, and an empty queue."""
    page.goto(site.link("Rim"))
    page.goto(site.judge_url())
    judgement = page.get_attribute("#answer", "data-judgement-id")
    page.evaluate("document.querySelector('input[name=version]').value = 7")
    page.evaluate("document.querySelector('input[name=none_fits]').checked = true")
    page.evaluate("HTMLFormElement.prototype.submit.call(document.querySelector('#answer'))")
    page.wait_for_url(f"**/judgements/{judgement}/submit")
    yield "judge/conflict.html", page
    page.goto(f"{site.web.url}/people")
    yield "error.html 403", page
    with session_scope() as session:
        session.get_one(Round, site.round_id).status = RoundStatus.TRAINING
    page.goto(site.judge_url())
    yield "judge/show.html empty", page


@pytest.mark.slow
@pytest.mark.parametrize("size", [NARROW, DESKTOP], ids=["320 px", "wide"])
def test_axe_finds_nothing_on_any_page(
    site: Site, new_context: NewContext, size: tuple[int, int]
) -> None:
    addresses = fill(site)
    found: list[str] = []
    seen: set[str] = set()
    is_touch = size == NARROW

    def look(visit: Visit) -> None:
        for name, page in visit:
            seen.add(name.partition(" ")[0])
            found.extend(check(page, name))

    def new_page() -> Page:
        return new_context(size, touch=is_touch).new_page()

    look(signed_out_pages(new_page(), site))
    look(practice_pages(new_page(), site))
    look(admin_pages(new_page(), site, addresses))
    look(judging_pages(new_page(), site))
    look(refusals(new_page(), site))
    assert not found, "\n".join(found)
    assert seen >= rendered_pages()
