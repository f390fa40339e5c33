"""People at work below a path of a host, through a real proxy of either kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.lifecycle import JudgementStatus
from tests.browser.conftest import NewContext, Site
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, stored
from tests.browser.proxy import Proxy, proxy_before
from tests.support.serving import WebServer

pytestmark = pytest.mark.browser


@pytest.fixture(
    params=[
        pytest.param(False, id="path passed on"),
        pytest.param(True, id="path stripped", marks=pytest.mark.slow),
    ]
)
def proxy(request: pytest.FixtureRequest, site: Site, tmp_path: Path) -> Iterator[Proxy]:
    """In front of a server of its own, which knows the address that people open."""
    log = tmp_path / "web.log"
    with proxy_before("", site_path="/illume", strips=request.param) as proxy:
        server = WebServer(log, {"PUBLIC_URL": f"{proxy.url}/illume"})
        proxy.upstream = server.url.removeprefix("http://")
        server.start()
        yield proxy
        server.stop()
    assert "Traceback" not in log.read_text(encoding="utf-8")


@pytest.fixture
def page(site: Site, proxy: Proxy, new_context: NewContext) -> Iterator[Page]:
    """A new annotator, signed in; all that the browser asks for stays below the path."""
    page = new_context().new_page()
    asked: list[str] = []
    refused: list[str] = []
    page.context.on("request", lambda request: asked.append(request.url))
    page.context.on(
        "response", lambda answer: refused.append(answer.url) if answer.status >= 400 else None
    )
    page.goto(site.link("Noor").replace(site.web.url, f"{proxy.url}/illume"))
    yield page
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(f"{proxy.url}/illume/")] == []
    assert refused == []


@pytest.mark.slow
def test_from_signing_in_to_signing_out_below_a_path(page: Page, site: Site, proxy: Proxy) -> None:
    expect(page).to_have_url(f"{proxy.url}/illume/")
    page.click("main a.btn--primary")
    expect(page).to_have_url(f"{proxy.url}/illume/rounds/{site.round_id}/judge")
    page.keyboard.press("g")
    shown = page.locator(".view__image")
    assert shown.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    first = answer_id(page)
    page.keyboard.press("1")
    expect_saved(page, 1)
    page.keyboard.press("3")
    expect_saved(page, 2)
    page.keyboard.press("Enter")
    expect_next(page, first)
    assert stored()[0].status is JudgementStatus.SUBMITTED
    page.keyboard.press("u")
    expect(page.locator("#answer")).to_have_attribute("data-judgement-id", str(first))
    page.keyboard.press("Enter")
    expect_next(page, first)
    second = answer_id(page)
    page.keyboard.press("s")
    page.keyboard.press("1")
    expect_next(page, second)
    page.keyboard.press("2")
    expect_saved(page, 1)
    page.click("[data-theme-form] button")
    page.reload()  # what the browser says on leaving is heard below the path too
    assert page.get_attribute("html", "data-theme") == "light"
    expect(page.locator("input[name=picked]:checked")).to_have_count(1)
    assert {cookie["path"] for cookie in page.context.cookies()} == {"/illume"}
    kept = page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)]")
    ours = [name for name in kept if not name.startswith("htmx-")]
    assert ours
    assert [name for name in ours if not name.startswith("illume/illume.")] == []
    page.click(".menu summary")
    page.click("text=Sign out")
    expect(page).to_have_url(f"{proxy.url}/illume/sign-in")
    assert [judgement.status for judgement in stored()][:2] == [
        JudgementStatus.SUBMITTED,
        JudgementStatus.SKIPPED,
    ]
