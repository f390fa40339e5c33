"""What the judging page may cost: requests, bytes, waiting for pictures, things that jump."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, Request, expect

from app.kit.db import session_scope
from tests.browser.conftest import NewContext, Site, add_items
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved
from tests.support.processes import wait_for

pytestmark = pytest.mark.browser

MAX_REQUESTS = 8
MAX_COLD_BYTES = 120_000
MAX_NEXT_BYTES = 15_000


@dataclass
class Traffic:
    """What went over the wire."""

    requests: list[Request] = field(default_factory=list)

    def bytes_of(self, wanted: Callable[[Request], bool]) -> int:
        sizes = [request.sizes() for request in self.requests if wanted(request)]
        return sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes)

    def count(self, part: str) -> int:
        return sum(part in request.url for request in self.requests)


def is_no_image(request: Request) -> bool:
    return request.resource_type != "image"


def watch(page: Page) -> Traffic:
    traffic = Traffic()

    def keep(request: Request) -> None:
        traffic.requests.append(request)

    page.on("requestfinished", keep)
    return traffic


@pytest.fixture
def cold(site: Site, new_context: NewContext) -> tuple[Page, Traffic]:
    """The first judging page that a browser ever sees."""
    context = new_context()
    context.request.get(site.link("Noor"))
    page = context.new_page()
    traffic = watch(page)
    page.goto(site.judge_url(), wait_until="load")
    return page, traffic


def test_a_cold_page_is_small_and_a_next_item_smaller(cold: tuple[Page, Traffic]) -> None:
    page, traffic = cold
    page.wait_for_load_state("networkidle")
    # What is fetched ahead for the next items begins after the page is there.
    upcoming = page.locator("[data-upcoming]").count()
    assert len(traffic.requests) - upcoming <= MAX_REQUESTS
    assert 0 < traffic.bytes_of(is_no_image) <= MAX_COLD_BYTES
    first = answer_id(page)
    page.keyboard.press("g")
    page.keyboard.press("n")
    expect_saved(page, 1)
    traffic.requests.clear()
    page.keyboard.press("Enter")
    expect_next(page, first)
    page.wait_for_load_state("networkidle")
    sent = [request for request in traffic.requests if is_no_image(request)]
    assert [request.url.rsplit("/", 1)[1] for request in sent] == ["submit"]
    assert 0 < traffic.bytes_of(is_no_image) <= MAX_NEXT_BYTES


def test_the_image_of_the_next_item_is_there_before_the_item(cold: tuple[Page, Traffic]) -> None:
    page, traffic = cold
    page.wait_for_load_state("networkidle")
    ahead = page.locator("[data-upcoming]").first.get_attribute("data-upcoming")
    assert ahead is not None
    assert traffic.count(ahead) == 1
    first = answer_id(page)
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    expect_next(page, first)
    expect(page.locator(".view__image")).to_have_attribute("src", ahead)
    page.wait_for_load_state("networkidle")
    assert traffic.count(ahead) == 1
    assert page.locator(".view__image").evaluate("image => image.complete")


def test_a_screen_gets_a_picture_of_its_size_and_zoom_the_whole(
    site: Site, new_context: NewContext
) -> None:
    with session_scope() as session:
        add_items(session, site.round_id, range(90, 91), size=(2400, 1800), priority=1)
    page = new_context().new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    image = page.locator(".view__image")
    expect(image).to_have_js_property("complete", True)
    assert "?w=960&" in image.evaluate("image => image.currentSrc")
    page.keyboard.press("g")
    page.keyboard.press("z")
    wait_for(lambda: "?w=" not in image.evaluate("image => image.currentSrc"))


def test_nothing_jumps_while_people_judge(cold: tuple[Page, Traffic]) -> None:
    page, _ = cold
    page.evaluate(
        """() => {
          window.shift = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shift += entry.value;
          }).observe({ type: "layout-shift", buffered: true });
        }"""
    )
    for _ in range(3):
        first = answer_id(page)
        page.keyboard.press("1")
        page.keyboard.press("n")
        page.keyboard.press("Enter")
        expect_next(page, first)
        page.wait_for_load_state("networkidle")
    assert page.evaluate("window.shift") < 0.01
