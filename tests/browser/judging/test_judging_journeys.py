"""Whole ways through the judging page: one hand, a bad network, a lost session, two tabs, a day."""

import pytest
from playwright.sync_api import Page, Route, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus
from app.models import User
from app.services.accounts.accounts import make_sign_in_link, set_password, sign_out_everywhere
from tests.browser.conftest import NewContext, Site, add_items
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, stored

pytestmark = pytest.mark.browser

PASSWORD = "a long word and another"
MEGABYTE = 1 << 20


def give_password(name: str = "Noor") -> None:
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == name)).one()
        set_password(session, user, PASSWORD, actor=None)


def one_time_link(site: Site, name: str) -> str:
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == name)).one()
        return site.web.url + make_sign_in_link(session, user)


def tab_to(page: Page, selector: str, *, most: int = 40) -> None:
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached with Tab")


# --- One hand --------------------------------------------------------------------------------


def test_from_signing_in_to_taking_back_with_the_keyboard_alone(
    site: Site, new_context: NewContext
) -> None:
    site.link("Noor")
    give_password()
    page = new_context().new_page()
    page.goto(f"{site.web.url}/sign-in")
    expect(page.get_by_label("Name")).to_be_focused()  # only now would anybody begin to type
    page.keyboard.type("Noor")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.web.url}/")
    tab_to(page, f"a[href='/rounds/{site.round_id}/judge']")
    page.keyboard.press("Enter")
    page.wait_for_url(site.judge_url())
    page.keyboard.press("g")
    first = answer_id(page)
    tab_to(page, "input[name=picked]")
    page.keyboard.press("Space")
    expect_saved(page, 1)
    page.keyboard.press("Enter")
    expect_next(page, first)
    second = answer_id(page)
    page.keyboard.press("?")
    expect(page.locator(".keys__table")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".keys__table")).to_be_hidden()
    page.keyboard.press("s")
    page.keyboard.press("1")
    expect_next(page, second)
    page.keyboard.press("u")
    expect(page.locator("#answer")).to_have_attribute("data-judgement-id", str(first))
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    expect_next(page, first)
    assert [judgement.status for judgement in stored()[:2]] == [
        JudgementStatus.SUBMITTED,
        JudgementStatus.SKIPPED,
    ]
    assert stored()[0].none_fits


# --- A bad network, a lost session -------------------------------------------------------------


def test_clicks_without_connection_are_counted_and_survive_a_reload(noor: Page, site: Site) -> None:
    first = answer_id(noor)
    noor.context.set_offline(True)
    for key in "134":
        noor.keyboard.press(key)
    expect(noor.locator("#saved")).to_contain_text("3 clicks wait for the connection")
    noor.keyboard.press("Enter")
    expect(noor.locator("#saved")).to_contain_text("your answer waits for the connection")
    # The server is back only after the page was loaded anew, from whatever the browser kept.
    noor.route("**/judgements/**", lambda route: route.abort())
    noor.context.set_offline(False)
    noor.goto(site.judge_url())
    expect(noor.locator("input[name=picked]:checked")).to_have_count(3)
    expect(noor.locator("#saved")).to_contain_text("3 clicks wait for the connection")
    noor.unroute("**/judgements/**")
    expect_saved(noor, 1)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert len(stored()[0].picked) == 3


def test_a_password_in_the_dialog_brings_the_session_back_and_sends_the_answer(
    noor: Page,
) -> None:
    give_password()
    first = answer_id(noor)
    noor.context.clear_cookies()
    # Enter comes while the click is on its way, not after the dialog has opened over it.
    drafts: list[Route] = []

    def hold(draft: Route) -> None:
        drafts.append(draft)

    noor.route("**/draft", hold)
    with noor.expect_request("**/draft"):
        noor.keyboard.press("2")
    noor.keyboard.press("Enter")
    for draft in drafts:
        draft.continue_()
    noor.unroute("**/draft")
    dialog = noor.locator("#dialog")
    expect(noor.locator("#saved")).to_contain_text("your answer waits until you sign in")
    expect(dialog).to_contain_text("You were signed out")
    expect(dialog.locator("[name=password]")).to_be_focused()
    noor.keyboard.type("no such password")
    noor.keyboard.press("Enter")
    expect(noor.locator("#dialog-error")).to_contain_text("not right")
    dialog.locator("[name=password]").fill(PASSWORD)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    expect(dialog).to_be_hidden()
    assert stored()[0].status is JudgementStatus.SUBMITTED
    assert len(stored()[0].picked) == 1


def test_a_session_that_ended_elsewhere_keeps_the_answer_until_its_person_is_back(
    noor: Page, site: Site
) -> None:
    with session_scope() as session:
        noors = session.scalars(select(User).where(User.name == "Noor")).one()
        sign_out_everywhere(session, noors)
    noor.keyboard.press("2")
    expect(noor.locator("#saved")).to_contain_text("1 click waits until you sign in")
    expect(noor.locator("#dialog")).to_contain_text("You were signed out")
    assert stored()[0].picked == []
    noor.click("#dialog >> text=No password?")
    noor.fill("#dialog [name=link]", one_time_link(site, "Noor"))
    noor.click("text=Use the link")
    expect_saved(noor, 1)
    assert len(stored()[0].picked) == 1


def test_an_enter_that_the_dialog_caught_submits_nothing_and_loses_nothing(noor: Page) -> None:
    give_password()
    first = answer_id(noor)
    noor.context.clear_cookies()
    noor.keyboard.press("2")
    dialog = noor.locator("#dialog")
    expect(dialog.locator("[name=password]")).to_be_focused()
    noor.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    noor.keyboard.type(PASSWORD)
    noor.keyboard.press("Enter")
    expect_saved(noor, 1)
    expect(dialog).to_be_hidden()
    expect(noor.locator("#question")).to_be_focused()
    assert stored()[0].status is JudgementStatus.DRAFT
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert len(stored()[0].picked) == 1


def test_a_pasted_link_brings_the_session_back(noor: Page, site: Site) -> None:
    noor.context.clear_cookies()
    noor.keyboard.press("2")
    noor.click("#dialog >> text=No password?")
    noor.fill("#dialog [name=link]", "somewhere else")
    noor.click("text=Use the link")
    expect(noor.locator("#dialog-error")).to_contain_text("no sign-in link")
    noor.fill("#dialog [name=link]", one_time_link(site, "Noor"))
    noor.click("text=Use the link")
    expect(noor.locator("#dialog")).to_be_hidden()
    expect_saved(noor, 1)
    assert len(stored()[0].picked) == 1


def test_somebody_else_on_this_browser_neither_sends_nor_loses_the_answer(
    noor: Page, site: Site
) -> None:
    noor.context.clear_cookies()
    noor.keyboard.press("2")
    expect(noor.locator("#dialog")).to_contain_text("You were signed out")
    with noor.context.new_page() as other:
        other.goto(site.link("Lin"))
    noor.click("[data-send-again]")
    expect(noor.locator("#toasts .toast--bad")).to_be_visible()
    assert stored()[0].picked == []
    noor.goto(one_time_link(site, "Noor"))
    expect(noor.locator("main .lede")).to_have_text("You are signed in as Lin.")
    noor.get_by_role("button", name="Sign in as Noor").click()
    noor.goto(site.judge_url())
    expect_saved(noor, 1)
    assert len(stored()[0].picked) == 1
    assert stored("Lin") == []


# --- Tabs and history --------------------------------------------------------------------------


def test_an_item_submitted_in_one_tab_is_not_overwritten_by_another(noor: Page, site: Site) -> None:
    first = answer_id(noor)
    other = noor.context.new_page()
    other.goto(site.judge_url())
    assert answer_id(other) == first
    noor.keyboard.press("1")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    other.bring_to_front()
    other.keyboard.press("n")
    conflict = other.locator("#conflict")
    expect(conflict).to_contain_text("None fits")
    expect(conflict).to_contain_text("Take it back to change it")
    assert [stored()[0].none_fits, len(stored()[0].picked)] == [False, 1]
    other.click("text=On with judging")
    expect_next(other, first)


def test_the_back_button_never_shows_an_answer_of_long_ago(noor: Page, site: Site) -> None:
    first = answer_id(noor)
    noor.keyboard.press("1")
    expect_saved(noor, 1)
    noor.click("text=Your items")
    noor.wait_for_url("**/mine")
    noor.go_back()
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    second = answer_id(noor)
    noor.click("text=Your items")
    noor.wait_for_url("**/mine")
    noor.go_back()
    expect(noor.locator("#answer")).to_have_attribute("data-judgement-id", str(second))
    noor.keyboard.press("n")
    expect_saved(noor, 1)
    noor.keyboard.press("Enter")
    expect_next(noor, second)
    assert [judgement.status for judgement in stored()[:2]] == [JudgementStatus.SUBMITTED] * 2


# --- A day -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_hundred_items_leave_no_more_behind_than_twenty(noor: Page, site: Site) -> None:
    with session_scope() as session:
        add_items(session, site.round_id, range(6, 206))
    cdp = noor.context.new_cdp_session(noor)
    cdp.send("Performance.enable")

    def measure() -> dict[str, float]:
        cdp.send("HeapProfiler.collectGarbage")
        metrics = cdp.send("Performance.getMetrics")["metrics"]
        return {entry["name"]: entry["value"] for entry in metrics}

    early: dict[str, float] = {}
    for number in range(1, 201):
        before = answer_id(noor)
        noor.keyboard.press(str(number % 8 + 1))
        noor.keyboard.press("Enter")
        expect_next(noor, before)
        if number == 20:
            early = measure()
    late = measure()
    assert late["JSHeapUsedSize"] - early["JSHeapUsedSize"] < MEGABYTE
    assert late["Nodes"] - early["Nodes"] < early["Nodes"]
    assert late["JSEventListeners"] <= early["JSEventListeners"] + 5
    statuses = [judgement.status for judgement in stored()]
    assert statuses.count(JudgementStatus.SUBMITTED) == 200
