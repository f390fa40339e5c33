"""The image of an item up close: by wheel, fingers, keys, buttons and mouse."""

import pytest
from playwright.sync_api import Page, expect

from app.kit.db import session_scope
from tests.browser.conftest import PHONE, NewContext, Site, add_items

pytestmark = pytest.mark.browser

SIZE = (2400, 1800)
WIDTH = "document.querySelector('.view__image').getBoundingClientRect().width"
SCROLL = "(it => [it.scrollLeft, it.scrollTop])(document.querySelector('.view__frame'))"


@pytest.fixture
def scan(site: Site) -> Site:
    """A round whose first item has a large picture."""
    with session_scope() as session:
        add_items(session, site.round_id, range(90, 91), size=SIZE, priority=1)
    return site


def open_page(scan: Site, page: Page) -> Page:
    page.goto(scan.link("Noor"))
    page.goto(scan.judge_url())
    page.keyboard.press("g")
    expect(page.locator(".guide__panel")).to_be_hidden()
    return page


def width(page: Page) -> float:
    return float(page.evaluate(WIDTH))


def middle(page: Page) -> tuple[float, float]:
    box = page.locator(".view__frame").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + 150


def under(page: Page, x: float, y: float) -> tuple[float, float]:
    """Which place of the picture is at a point of the window, in shares of it."""
    box = page.locator(".view__image").bounding_box()
    assert box is not None
    return (x - box["x"]) / box["width"], (y - box["y"]) / box["height"]


def test_wheel_and_drag_reach_the_pictures_own_pixels_and_more(
    scan: Site, new_context: NewContext
) -> None:
    page = open_page(scan, new_context().new_page())
    x, y = middle(page)
    page.mouse.move(x, y)
    page.mouse.wheel(0, 200)  # smaller than the whole it does not get
    expect(page.locator("#view")).not_to_have_class("view is-zoomed")
    page.mouse.wheel(0, -200)
    expect(page.locator("#view")).to_have_class("view is-zoomed")
    before = under(page, x, y)
    page.mouse.wheel(0, -150)
    after = under(page, x, y)
    assert after == pytest.approx(before, abs=0.01), "what is under the pointer stays there"
    for _ in range(4):
        page.mouse.wheel(0, -300)
    assert width(page) > SIZE[0]
    expect(page.locator(".view__scale")).to_have_text(f"{round(100 * width(page) / SIZE[0])} %")
    assert page.evaluate("document.querySelector('.view__image').currentSrc").count("w=") == 0
    at = page.evaluate(SCROLL)
    page.mouse.down()
    page.mouse.move(x - 60, y - 40, steps=4)
    page.mouse.up()
    moved = page.evaluate(SCROLL)
    assert moved == pytest.approx([at[0] + 60, at[1] + 40], abs=2)
    for _ in range(12):
        page.mouse.wheel(0, -500)
    assert width(page) == pytest.approx(SIZE[0] * 4, rel=0.01)
    for _ in range(20):
        page.mouse.wheel(0, 300)
    expect(page.locator("#view")).not_to_have_class("view is-zoomed")


def test_keys_enlarge_move_and_leave_and_stay_what_they_are_elsewhere(
    scan: Site, new_context: NewContext
) -> None:
    page = open_page(scan, new_context().new_page())
    whole = width(page)
    page.keyboard.press("z")
    expect(page.locator(".view__frame")).to_be_focused()
    first = width(page)
    page.keyboard.press("+")
    assert width(page) == pytest.approx(first * 1.25, rel=0.01)
    before = page.evaluate(SCROLL)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    after = page.evaluate(SCROLL)
    assert after[0] > before[0]
    assert after[1] > before[1]
    page.keyboard.press("-")
    assert width(page) == pytest.approx(first, rel=0.01)
    page.keyboard.press("1")  # picks, as ever
    expect(page.locator("input[name=picked]:checked")).to_have_count(1)
    page.keyboard.press("0")
    assert width(page) == whole
    expect(page.locator("#question")).to_be_focused()
    page.keyboard.press("+")
    page.keyboard.press("Escape")
    assert width(page) == whole
    page.keyboard.press("+")
    for _ in range(2):
        page.keyboard.press("-")
    assert width(page) == whole


def test_two_fingers_and_buttons_on_a_phone(scan: Site, new_context: NewContext) -> None:
    page = new_context(PHONE, touch=True).new_page()
    page.goto(scan.link("Noor"))
    page.goto(scan.judge_url())
    page.click("text=Close the guidelines")
    box = page.locator(".view__frame").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    cdp = page.context.new_cdp_session(page)

    def fingers(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y}, {"x": x + apart, "y": y}] if apart else []
        cdp.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 20)
    for apart in (30, 45, 60, 80):
        fingers("touchMove", apart)
    fingers("touchEnd", 0)
    expect(page.locator("#view")).to_have_class("view is-zoomed")
    pinched = width(page)
    fitted = box["height"] * SIZE[0] / SIZE[1]
    assert pinched == pytest.approx(fitted * 4, rel=0.05)
    assert page.evaluate("visualViewport.scale") == 1
    page.tap("[data-action=zoom-in]")
    assert width(page) > pinched
    for button in page.locator(".view__tools .btn:visible").all():
        size = button.bounding_box()
        assert size is not None
        assert min(size["width"], size["height"]) >= 44
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.tap("[data-action=zoom]")
    expect(page.locator("[data-action=zoom-in]")).to_be_hidden()
