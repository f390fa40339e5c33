"""Practice and changed guidelines in a real browser: by keys, by thumb, and without script."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.db import session_scope
from app.lifecycle import PracticeMode
from app.models import (
    GuidelinesReading,
    Item,
    Judgement,
    PracticeAnswer,
    PracticeAttempt,
    Project,
    User,
)
from app.services.accounts.accounts import make_sign_in_link
from app.services.judging import practice_items
from app.services.judging.practice_items import Expected, Lesson
from app.services.projects.guidelines import update_guidelines
from tests.browser.conftest import NewContext, Site, add_items
from tests.browser.proxy import Proxy, proxy_before
from tests.support.factories import png_bytes

pytestmark = pytest.mark.browser

N_LESSONS = 2
SHIFT = """() => new Promise((resolve) => {
  let shift = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) shift += entry.value;
  }).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => resolve(shift), 100);
})"""


@pytest.fixture
def base(site: Site) -> str:
    """A project with required practice: of two texts the first one fits. Its practice page."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        project.practice = PracticeMode.REQUIRED
        items = session.scalars(select(Item).order_by(Item.id.desc()).limit(N_LESSONS)).all()
        for item in items:
            add_lesson(session, project, item)
        return f"{site.web.url}/projects/{project.slug}/practice"


def add_lesson(session: Session, project: Project, item: Item) -> None:
    added = practice_items.add_item(session, project, item, actor=None)
    texts = (
        Expected("it is the only red thing", fits=True, explanation="True, and a reason."),
        Expected("the answer is red", fits=False, explanation="Only says it again."),
    )
    lesson = Lesson(added.position, item.answer, False, "", texts)
    practice_items.save_lesson(session, added, lesson, actor=None)


def count(table: type[object]) -> int:
    with session_scope() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_practice_by_keyboard_alone_then_the_first_item(
    site: Site, base: str, new_context: NewContext
) -> None:
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    expect(page).to_have_url(base)
    page.get_by_role("button", name="Begin the practice").focus()
    page.keyboard.press("Enter")
    for number in range(N_LESSONS):
        expect(page.locator(".judge__where")).to_contain_text(f"{number + 1} of {N_LESSONS}")
        expect(page.locator("#question")).to_be_focused()
        page.keyboard.press("n")
        page.keyboard.press("1")  # takes "none fits" away
        expect(page.locator("input:checked:not(#keys-on)")).to_have_count(1)
        page.keyboard.press("z")
        expect(page.locator("#view")).to_have_class(re.compile("is-zoomed"))
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_contain_text("All right. 2 of 2 right.")
        expect(page.locator("#question")).to_be_focused()
        page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("You are ready")
    assert count(Judgement) == 0
    page.get_by_role("link", name="Start judging").click()
    expect(page.locator("#answer")).to_have_attribute("data-judgement-id", re.compile(r"\d+"))


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_practice_by_thumb_stops_and_goes_on(
    site: Site, base: str, new_context: NewContext, javascript: bool
) -> None:
    page = new_context((320, 640), touch=True, javascript=javascript).new_page()
    page.goto(site.link("Lin"))
    page.get_by_role("link", name="Practise first").click()
    page.get_by_role("button", name="Begin the practice").click()
    for target in page.locator(".choice, .bar .btn").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 40, target
    page.locator(".choice").nth(1).click()
    page.locator(".bar__submit").click()
    expect(page.locator("#result")).to_contain_text("Not quite. 0 of 2 right.")
    expect(page.locator(".lesson").nth(1)).to_contain_text("Only says it again.")
    page.get_by_role("link", name="Stop for now").click()
    page.get_by_role("link", name="Go on practising").click()
    expect(page.locator(".judge__where")).to_contain_text(f"2 of {N_LESSONS}")
    page.locator(".choice").nth(0).click()
    page.locator(".bar__submit").click()
    expect(page.locator("#result")).to_be_visible()
    page.locator(".bar__submit").click()
    expect(page.locator("h1")).to_have_text("Not there yet")
    page.get_by_role("button", name="Practise again").click()
    expect(page.locator(".judge__where")).to_contain_text(f"1 of {N_LESSONS}")
    assert count(PracticeAttempt) == 2


@pytest.mark.slow
def test_practice_loads_one_script_and_pictures_of_the_screen_s_size(
    site: Site, base: str, new_context: NewContext
) -> None:
    """And nothing jumps while they arrive."""
    with session_scope() as session:
        add_items(session, site.round_id, range(90, 91), size=(2400, 1800))
        newest = session.scalars(select(Item).order_by(Item.id.desc()).limit(1)).one()
        add_lesson(session, session.get_one(Project, site.project_id), newest)
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(base)
    page.get_by_role("button", name="Begin the practice").click()
    for number in range(N_LESSONS + 1):
        expect(page.locator(".judge__where")).to_contain_text(f"{number + 1} of")
        expect(page.locator("form#answer")).to_be_visible()
        is_large = number == N_LESSONS
        expect_light(page, is_large=is_large)
        page.keyboard.press("n")
        page.keyboard.press("Enter")
        expect(page.locator("#result")).to_be_visible()
        expect_light(page, is_large=is_large)
        page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Not there yet")


def expect_light(page: Page, *, is_large: bool) -> None:
    page.reload(wait_until="networkidle")
    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(it => new URL(it.name).pathname)"
        ".filter(path => path.endsWith('.js'))"
    )
    assert sorted(loaded) == ["/static/app.js", "/static/practice.bundle.js"]
    assert page.evaluate(SHIFT) < 0.01
    image = page.locator(".view__image")
    assert image.evaluate("image => image.currentSrc").count("?w=960&") == is_large


# --- Somebody between answers in the server's place -----------------------------------------


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    with proxy_before(site.web.url) as proxy:
        yield proxy


@pytest.fixture
def learner(site: Site, base: str, proxy: Proxy, new_context: NewContext) -> Page:
    """An annotator at her first practice item, through the proxy; time can be wound on."""
    page = new_context().new_page()
    page.clock.install()
    page.goto(site.link("Noor").replace(site.web.url, proxy.url))
    page.goto(base.replace(site.web.url, proxy.url))
    page.get_by_role("button", name="Begin the practice").click()
    expect(page.locator("form#answer")).to_be_visible()
    expect(page.locator("#question")).to_be_focused()  # the script listens by now
    return page


WAITS = "your answer waits for the connection and is sent by itself"


@pytest.mark.parametrize(
    "mode",
    [
        "login",
        "bad",
        *(pytest.param(mode, marks=pytest.mark.slow) for mode in ("empty", "hollow", "denied")),
    ],
)
def test_a_practice_answer_waits_until_our_server_takes_it(
    learner: Page, proxy: Proxy, mode: str
) -> None:
    proxy.stop_passing(mode)
    learner.keyboard.press("1")
    learner.keyboard.press("Enter")
    expect(learner.locator("#saved")).to_contain_text(WAITS)
    expect(learner.locator("input[name=picked]:checked")).to_have_count(1)
    learner.clock.run_for(6000)
    expect(learner.locator("#saved")).to_contain_text(WAITS)
    assert count(PracticeAnswer) == 0
    proxy.let_pass()
    learner.clock.run_for(6000)
    expect(learner.locator("#result")).to_contain_text("All right. 2 of 2 right.")
    assert count(PracticeAnswer) == 1


def test_a_practice_answer_survives_the_reload_that_signs_in_at_the_proxy(
    learner: Page, proxy: Proxy, base: str, site: Site
) -> None:
    proxy.stop_passing("login")
    learner.keyboard.press("2")
    learner.keyboard.press("Enter")
    expect(learner.locator("#saved")).to_contain_text(WAITS)
    learner.click("#toasts >> text=Reload >> nth=-1")
    expect(learner).to_have_title("Network sign-in")
    proxy.let_pass()
    learner.goto(base.replace(site.web.url, proxy.url))
    expect(learner.locator("#result")).to_contain_text("Not quite. 0 of 2 right.")


def test_a_practice_answer_whose_reply_was_lost_is_not_said_of_the_next_item(
    learner: Page, proxy: Proxy
) -> None:
    def lose(route: Route) -> None:
        route.fetch(max_redirects=0)
        route.fulfill(status=200, body="")

    learner.route("**/answer", lose)
    learner.keyboard.press("1")
    learner.keyboard.press("Enter")
    expect(learner.locator("#saved")).to_contain_text(WAITS)
    assert count(PracticeAnswer) == 1
    learner.unroute("**/answer")
    learner.reload()
    expect(learner.locator(".judge__where")).to_contain_text(f"2 of {N_LESSONS}")
    expect(learner.locator("#answer input:checked")).to_have_count(0)
    expect(learner.locator("#saved")).to_be_empty()


def test_a_refused_practice_answer_stays_with_its_reason(learner: Page) -> None:
    learner.keyboard.press("Enter")
    expect(learner.locator("#toasts")).to_contain_text("Nothing is chosen yet")
    learner.keyboard.press("1")
    learner.keyboard.press("Enter")
    expect(learner.locator("#result")).to_contain_text("All right.")


def test_who_was_signed_out_signs_in_beside_the_practice_answer(
    learner: Page, proxy: Proxy
) -> None:
    learner.context.clear_cookies()
    learner.keyboard.press("1")
    learner.keyboard.press("Enter")
    expect(learner.locator("#dialog")).to_contain_text("You were signed out")
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == "Noor")).one()
        link = proxy.url + make_sign_in_link(session, user)
    learner.click("#dialog >> text=No password?")
    learner.fill("#dialog [name=link]", link)
    learner.click("text=Use the link")
    expect(learner.locator("#result")).to_contain_text("All right. 2 of 2 right.")


# --- Guidelines -----------------------------------------------------------------------------


def change_guidelines(site: Site, text: str) -> None:
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        update_guidelines(session, project, guidelines=text, actor=None)


def test_changed_guidelines_come_with_the_next_item_and_closing_them_is_reading(
    noor: Page, site: Site
) -> None:
    expect(noor.locator("#guidelines")).not_to_have_attribute("open", "")
    change_guidelines(site, "Pick what is **new**.")
    before = noor.get_attribute("#answer", "data-judgement-id")
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect(noor.locator("#answer")).not_to_have_attribute("data-judgement-id", str(before))
    expect(noor.locator("#guidelines-changed")).to_contain_text("Pick what is **new**.")
    expect(noor.locator("#guidelines-changed")).to_be_visible()
    with noor.expect_response("**/guidelines/read"):
        noor.keyboard.press("g")
    expect(noor.locator(".guide__panel")).to_be_hidden()
    noor.reload()
    expect(noor.locator("#guidelines")).not_to_have_attribute("open", "")
    expect(noor.locator("#guidelines-changed")).to_have_count(0)
    with session_scope() as session:
        assert session.scalars(select(GuidelinesReading.number)).all() == [2]


def test_changed_guidelines_are_read_without_javascript(
    site: Site, new_context: NewContext
) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(site.link("Lin"))
    page.goto(site.judge_url())
    change_guidelines(site, "Other rules.")
    page.goto(site.judge_url())
    page.get_by_role("button", name="I have read this").click()
    expect(page).to_have_url(site.judge_url())
    expect(page.locator("#guidelines-changed")).to_have_count(0)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_picture_is_put_into_guidelines_and_fits_where_they_are_read(
    site: Site, base: str, new_context: NewContext, tmp_path: Path, javascript: bool
) -> None:
    (tmp_path / "wide.png").write_bytes(png_bytes((200, 30, 60), (1600, 700)))
    page = new_context((320, 640), javascript=javascript).new_page()
    page.goto(site.link("Admin", is_admin=True))
    page.goto(base.replace("/practice", "/guidelines"))
    page.fill("[name=guidelines]", "Look at this:")
    page.click("text=A picture")
    page.set_input_files("[name=picture]", tmp_path / "wide.png")
    page.fill("[name=alt]", "a red field")
    page.click("text=Add the picture")
    text = page.input_value("[name=guidelines]").strip()
    assert text == "Look at this:\n\n![a red field](picture:1)"
    page.click("text=Save the guidelines")
    expect_fits(page)
    page.goto(base)
    page.get_by_role("button", name="Begin the practice").click()
    page.locator("#guidelines > summary").click()
    expect_fits(page)


def expect_fits(page: Page) -> None:
    image = page.get_by_role("img", name="a red field").first
    image.scroll_into_view_if_needed()
    expect(image).to_be_visible()
    image.evaluate("image => image.decode()")  # it is there
    width, height = image.evaluate("image => [image.clientWidth, image.clientHeight]")
    assert 100 < width < 320
    assert abs(width / height - 1600 / 700) < 0.05
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


# --- For everybody --------------------------------------------------------------------------


def test_motion_and_colours_follow_what_people_set(site: Site, new_context: NewContext) -> None:
    """Reduced motion stops animations; with forced colours choices and buttons keep an edge."""
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    page.keyboard.press("1")
    style = "(name) => getComputedStyle(document.querySelector('.choice'))[name]"
    assert page.evaluate(style, "transitionDuration") in {"0s", "1e-05s"}
    page.emulate_media(forced_colors="active")
    chosen = page.locator(".choice").nth(0)
    other = page.locator(".choice").nth(1)
    edges = [it.evaluate("e => getComputedStyle(e).borderTopColor") for it in (chosen, other)]
    assert edges[0] != edges[1], "what is chosen can be told by its edge"
    for choice, seen in ((chosen, "visible"), (other, "hidden")):
        tick = choice.locator(".choice__mark svg")
        assert tick.evaluate("e => getComputedStyle(e).visibility") == seen
    assert (
        page.locator(".bar__submit").evaluate("e => getComputedStyle(e).borderTopStyle") == "solid"
    )


def test_right_to_left_text_runs_from_the_right(site: Site, new_context: NewContext) -> None:
    with session_scope() as session:
        for item in session.scalars(select(Item)):
            item.question = "ما لون الكرة؟"
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    directions = page.evaluate(
        "['#question', '.choice__text'].map(s => "
        "getComputedStyle(document.querySelector(s)).direction)"
    )
    assert directions == ["rtl", "ltr"]
