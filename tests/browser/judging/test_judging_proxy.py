"""Somebody between answers in the server's place: nothing is taken for stored, nothing is lost."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus
from app.models import JudgementRevision, User
from app.services.accounts.accounts import make_sign_in_link, set_disabled
from tests.browser.conftest import NewContext, Site
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, stored
from tests.browser.proxy import Proxy, proxy_before
from tests.support.factories import make_user

pytestmark = pytest.mark.browser

NO_ANSWERS = ["login", "elsewhere", "maintenance", "empty", "nothing", "hollow"]
REFUSALS = ["denied", "missing", "bad"]
FOREIGN = "Something else answers in the server's place"


@pytest.fixture
def proxy(site: Site) -> Iterator[Proxy]:
    with proxy_before(site.web.url) as proxy:
        yield proxy


@pytest.fixture
def noor(site: Site, proxy: Proxy, new_context: NewContext) -> Page:
    """An annotator at her first item, through the proxy; time can be wound on."""
    page = new_context().new_page()
    page.clock.install()
    page.goto(site.link("Noor").replace(site.web.url, proxy.url))
    page.goto(f"{proxy.url}/rounds/{site.round_id}/judge")
    page.keyboard.press("g")
    return page


def try_again(page: Page) -> None:
    """The time after which the page sends again what waits."""
    page.clock.run_for(6000)


@pytest.mark.parametrize("modes", [NO_ANSWERS, REFUSALS], ids=["a 2xx or 3xx", "a 4xx or 5xx"])
def test_no_answer_of_somebody_else_is_taken_for_an_acknowledgement(
    noor: Page, proxy: Proxy, modes: list[str]
) -> None:
    saved, notice = noor.locator("#saved"), noor.locator("#toasts", has_text=FOREIGN)
    for number, mode in enumerate(modes):
        if number == 5:  # the round has six items
            break
        before = answer_id(noor)
        proxy.stop_passing(mode)
        noor.keyboard.press("1")
        noor.keyboard.press("3")
        expect(saved).to_contain_text("2 clicks wait for the connection and are sent by themselves")
        noor.keyboard.press("Enter")
        expect(saved).to_contain_text("your answer waits for the connection and is sent by itself")
        expect(notice).to_have_count(0 if mode == "bad" else 1)
        try_again(noor)
        assert answer_id(noor) == before
        assert stored()[number].status is JudgementStatus.LEASED
        proxy.let_pass()
        try_again(noor)
        expect_next(noor, before)
        expect(notice).to_have_count(0)
        assert stored()[number].status is JudgementStatus.SUBMITTED
        assert len(stored()[number].picked) == 2


def test_answers_with_our_headers_and_no_content_are_none(noor: Page, proxy: Proxy) -> None:
    proxy.stop_passing("hollow")
    noor.keyboard.press("1")
    expect(noor.locator("#saved")).to_contain_text("1 click waits for the connection")
    proxy.let_pass()
    try_again(noor)
    expect_saved(noor, 1)


def test_what_waits_is_kept_over_the_reload_that_signs_in_at_the_proxy(
    noor: Page, proxy: Proxy, site: Site
) -> None:
    first = answer_id(noor)
    proxy.stop_passing("login")
    noor.keyboard.press("2")
    noor.keyboard.press("c")
    noor.keyboard.type("it is dark")
    try_again(noor)
    expect(noor.locator("#saved")).to_contain_text("wait for the connection")
    noor.click("#toasts >> text=Reload >> nth=-1")
    expect(noor).to_have_title("Network sign-in")
    proxy.let_pass()
    noor.goto(f"{proxy.url}/rounds/{site.round_id}/judge")
    assert answer_id(noor) == first
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    expect(noor.locator("#comment")).to_have_value("it is dark")
    expect_saved(noor, 1)
    assert stored()[0].comment == "it is dark"


def test_skip_and_take_back_are_done_when_the_server_answers_again(
    noor: Page, proxy: Proxy
) -> None:
    first = answer_id(noor)
    waits = noor.locator("#toasts", has_text="It is tried again by itself")
    proxy.stop_passing("login")
    noor.keyboard.press("s")
    noor.keyboard.press("2")
    expect(waits).to_have_count(1)
    proxy.let_pass()
    try_again(noor)
    expect_next(noor, first)
    expect(waits).to_have_count(0)
    assert stored()[0].skip_reason == "The question is unclear"
    second = answer_id(noor)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect_next(noor, second)
    third = answer_id(noor)
    proxy.stop_passing("empty")
    noor.keyboard.press("u")
    expect(waits).to_have_count(1)
    assert answer_id(noor) == third
    proxy.let_pass()
    try_again(noor)
    expect(noor.locator("#answer")).to_have_attribute("data-judgement-id", str(second))


def test_a_skip_that_waits_survives_closing_the_page(noor: Page, proxy: Proxy, site: Site) -> None:
    context, first = noor.context, answer_id(noor)
    proxy.stop_passing("maintenance")
    noor.keyboard.press("s")
    noor.fill("#other-reason", "too dark")
    noor.keyboard.press("Enter")
    expect(noor.locator("#toasts")).to_contain_text("It is tried again by itself")
    noor.close()
    proxy.let_pass()
    again = context.new_page()
    again.goto(f"{proxy.url}/rounds/{site.round_id}/judge")
    expect_next(again, first)
    assert stored()[0].skip_reason == "too dark"


def test_answers_of_an_earlier_visit_are_tried_until_they_are_stored(
    noor: Page, proxy: Proxy, site: Site
) -> None:
    """Shown beside an item that is another one by now."""
    first = answer_id(noor)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    second = answer_id(noor)
    proxy.stop_passing("login")
    noor.keyboard.press("4")
    expect(noor.locator("#saved")).to_contain_text("1 click waits")
    noor.goto("about:blank")
    proxy.let_pass()
    # The page that looks back has nothing of its own to send.
    noor.route("**/draft", lambda route: route.fulfill(status=200, body="<p>sign in</p>"))
    noor.goto(f"{proxy.url}/judgements/{first}")
    expect(noor.locator("#toasts")).to_contain_text(FOREIGN)
    noor.unroute("**/draft")
    with noor.expect_response(f"**/judgements/{second}/draft"):
        try_again(noor)
    expect(noor.locator("#toasts")).not_to_contain_text(FOREIGN)
    assert len(stored()[1].picked) == 1


@pytest.mark.slow
@pytest.mark.alone
def test_a_silent_server_is_given_up_after_ten_seconds_and_said_so(
    noor: Page, proxy: Proxy
) -> None:
    proxy.stop_passing("silent")
    noor.keyboard.press("1")
    expect(noor.locator("#saved")).to_have_text("Saving…")
    expect(noor.locator("#saved")).to_contain_text(
        "1 click waits for the connection", timeout=12_000
    )
    proxy.let_pass()
    try_again(noor)
    expect_saved(noor, 1)


def test_a_server_that_cannot_write_is_called_that(noor: Page) -> None:
    noor.route(
        "**/draft",
        lambda route: route.fulfill(
            status=503, headers={"X-Illume": "1", "Retry-After": "7"}, body="<p class=lede>Away</p>"
        ),
    )
    requests: list[str] = []
    noor.on("request", lambda request: requests.append(request.url))
    noor.keyboard.press("1")
    expect(noor.locator("#saved")).to_have_text(
        "Not saved yet: the server cannot store anything at the moment. "
        "1 click waits and is sent by itself."
    )
    requests.clear()
    noor.clock.run_for(6000)
    assert not [url for url in requests if url.endswith("/draft")], "it was asked to wait for 7 s"
    noor.unroute("**/draft")
    noor.clock.run_for(2000)
    expect_saved(noor, 1)


def test_the_sign_in_dialog_does_not_take_a_foreign_page_for_success(
    noor: Page, proxy: Proxy, site: Site
) -> None:
    noor.context.clear_cookies()
    noor.keyboard.press("2")
    dialog = noor.locator("#dialog")
    expect(dialog).to_contain_text("You were signed out")
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == "Noor")).one()
        link = proxy.url + make_sign_in_link(session, user)
    noor.click("#dialog >> text=No password?")
    noor.fill("#dialog [name=link]", link)
    proxy.stop_passing("login")
    noor.click("text=Use the link")
    expect(noor.locator("#dialog-error")).to_contain_text("cannot be reached")
    proxy.let_pass()
    noor.click("text=Use the link")
    expect(dialog).to_be_hidden()
    expect_saved(noor, 1)


def test_a_closed_account_is_not_asked_to_sign_in(noor: Page) -> None:
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == "Noor")).one()
        set_disabled(session, user, True, actor=make_user(session, is_admin=True))
    noor.keyboard.press("2")
    dialog = noor.locator("#dialog")
    expect(dialog).to_contain_text("Your account was closed")
    expect(dialog.locator("form")).to_have_count(0)
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == "Noor")).one()
        set_disabled(session, user, False, actor=make_user(session, is_admin=True))
    noor.click("[data-send-again]")
    expect(dialog).to_contain_text("You were signed out")
    assert stored()[0].picked == []


@pytest.mark.slow
def test_a_page_that_looks_by_itself_says_once_that_it_cannot_and_takes_it_back(
    site: Site, proxy: Proxy, new_context: NewContext
) -> None:
    page = new_context().new_page()
    page.goto(site.link("Admin", is_admin=True).replace(site.web.url, proxy.url))
    page.goto(f"{proxy.url}/rounds/{site.round_id}")
    status = page.locator("#round-status")
    expect(status).to_be_visible()
    shown = status.inner_text()
    notices = page.locator("#toasts .toast")
    for mode in ("bad", "login", "maintenance"):
        proxy.stop_passing(mode)
        expect(notices).to_have_count(1)
        for _ in range(2):
            with page.expect_response("**/status*"):
                pass
        expect(notices).to_have_count(1)
        assert status.inner_text() == shown
        proxy.let_pass()
        expect(notices).to_have_count(0)


def test_nothing_is_written_twice_when_only_the_reply_was_lost(noor: Page) -> None:
    first = answer_id(noor)

    def lose(route) -> None:  # type: ignore[no-untyped-def]
        route.fetch()
        route.fulfill(status=200, body="")

    noor.route("**/submit", lose)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect(noor.locator("#saved")).to_contain_text("your answer waits for the connection")
    noor.unroute("**/submit")
    try_again(noor)
    expect_next(noor, first)
    with session_scope() as session:
        assert session.scalar(select(func.count()).select_from(JudgementRevision)) == 1


@pytest.mark.parametrize("submits", [False, True], ids=["saved", "submitted"])
def test_a_save_whose_reply_was_lost_is_not_taken_for_that_of_another_tab(
    noor: Page, submits: bool
) -> None:
    first = answer_id(noor)

    def lose(route) -> None:  # type: ignore[no-untyped-def]
        route.fetch()
        route.fulfill(status=200, body="")

    noor.route("**/draft", lose)
    noor.keyboard.press("1")
    expect(noor.locator("#saved")).to_contain_text("1 click waits for the connection")
    noor.unroute("**/draft")
    assert len(stored()[0].picked) == 1
    noor.keyboard.press("3")
    if submits:
        noor.keyboard.press("Enter")
        expect_next(noor, first)
    else:
        expect(noor.locator("#saved")).to_contain_text("Saved")
    expect(noor.locator("#dialog")).to_be_hidden()
    assert len(stored()[0].picked) == 2
