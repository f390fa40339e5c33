"""Where a model looked, in a real browser: layers and boxes with mouse, touch, keys, no script."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import delete, select

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import DrawnBox, OcclusionMap, Project, Round, Sample, TurnMark
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, is_in_view
from tests.browser.judging.test_judging_traces import place_of
from tests.browser.test_accessibility import check
from tests.support.factories import make_item
from tests.support.rounds.looks import OTHER, TEXT, make_looks, make_map, make_perception_round

pytestmark = pytest.mark.browser


@pytest.fixture
def seen(site: Site) -> Site:
    """A round of the strategy perception with three items; the first rationale is measured."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        session.flush()
        round_ = make_perception_round(session, project, number=2)
        for number in range(3):
            picture = stored_picture(session, number)
            item = make_item(session, project, image=picture, question="what color is the ball?")
            make_looks(session, round_, item=item, slots=2)
        for sample_id in session.scalars(select(Sample.id).where(Sample.log_probability == -1.0)):
            make_map(session, sample_id)
        return Site(site.web, round_.id, site.project_id)


@pytest.fixture
def lin(seen: Site, new_context: NewContext) -> Page:
    page = new_context().new_page()
    page.goto(seen.link("Lin"))
    page.goto(seen.judge_url())
    page.keyboard.press("g")
    return page


def boxes() -> list[tuple[int, tuple[int, ...]]]:
    """The look and the edges, in percent, of the boxes that are stored."""
    with session_scope() as session:
        return [
            (row.turn, tuple(round(100 * x) for x in (row.left, row.top, row.right, row.bottom)))
            for row in session.scalars(select(DrawnBox).order_by(DrawnBox.turn))
        ]


def open_looks(page: Page, text: str = TEXT) -> None:
    page.locator(".offer", has_text=text).locator(".trace > summary").click()


def test_layers_change_by_key_and_by_button_and_stay_for_the_next_item(lin: Page) -> None:
    first = answer_id(lin)
    open_looks(lin)
    trace = lin.locator(".trace[open]")
    expect(trace.locator(".sight__occlusion")).to_be_visible()
    expect(trace.locator(".sight__attention")).to_be_hidden()
    expect(trace).to_contain_text("hiding that place lowers the answer's probability from")
    expect(trace).to_contain_text("Without looking it answers blue")
    lin.keyboard.press("m")
    expect(trace.locator(".sight__attention")).to_be_visible()
    expect(trace.locator(".sight__occlusion")).to_be_hidden()
    expect(lin.locator("#announce")).to_contain_text("Most of its attention")
    lin.keyboard.press("m")
    expect(trace.locator(".layer[open]")).to_have_count(0)
    trace.get_by_text("What hiding changes").click()
    expect(trace.locator(".sight__occlusion")).to_be_visible()
    lin.keyboard.press("m")  # attention
    lin.locator("#question").focus()
    lin.keyboard.press("n")
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    open_looks(lin)
    expect(trace.locator(".sight__attention")).to_be_visible()


def test_a_place_is_marked_and_a_box_drawn_by_keyboard_alone(lin: Page) -> None:
    first = answer_id(lin)
    place = place_of(lin, TEXT)
    lin.keyboard.press("t")
    lin.keyboard.press(str(place))
    lin.keyboard.press("3")  # wrong
    expect_saved(lin, 1)
    lin.keyboard.press("d")
    frame = lin.locator(".sight__frame.is-drawing")
    expect(frame).to_be_focused()
    expect(lin.locator(".boxing__how:visible")).to_contain_text("arrow keys move the box")
    lin.keyboard.press("ArrowRight")  # there it begins, in the middle
    lin.keyboard.press("ArrowLeft")
    lin.keyboard.press("Shift+ArrowDown")
    expect(lin.locator("#announce")).to_have_text(
        "Box from 33 to 63 percent of the width, from 35 to 67 percent of the height."
    )
    lin.keyboard.press("Enter")
    expect(lin.locator(".is-drawing")).to_have_count(0)
    expect(lin.locator("[data-draws]:focus")).to_have_count(1)
    expect(lin.locator("#saved")).to_contain_text("Saved")
    lin.reload()
    expect(lin.locator(".trace[open] .sight__box")).to_have_attribute("x", "0.33")
    lin.keyboard.press("n")
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    assert boxes() == [(1, (33, 35, 63, 67))]
    with session_scope() as session:
        assert session.scalars(select(TurnMark.value)).all() == ["wrong"]
    lin.keyboard.press("u")  # and back: it can be changed
    expect(lin.locator(".trace[open] .sight__box")).to_have_attribute("x", "0.33")
    assert boxes() == []
    lin.keyboard.press("d")
    lin.keyboard.press(str(place))
    lin.keyboard.press("Delete")
    lin.keyboard.press("Escape")
    expect(lin.locator("[data-undraws]:visible")).to_have_count(0)
    lin.keyboard.press("Escape")
    lin.keyboard.press("Enter")
    expect(lin.locator("h1")).to_be_visible()
    lin.wait_for_function("document.querySelector('[data-edge=left]')?.value === ''")
    assert boxes() == []


def test_a_box_is_drawn_with_the_mouse(lin: Page) -> None:
    first = answer_id(lin)
    open_looks(lin, OTHER)
    second = lin.locator(".trace[open] .turn").nth(1)
    second.get_by_role("button", name="Draw a box").click()
    drag(lin, 0.999, 0.9, 0.5, 0.25)  # upwards and to the left
    expect(second.locator("[data-edge=left]")).to_have_value("50")
    expect(second.locator("[data-edge=right]")).to_have_value("99.9")
    expect(second.get_by_role("button", name="Remove the box")).to_be_visible()
    frame = lin.locator(".is-drawing")
    box = frame.bounding_box()
    assert box is not None
    lin.mouse.click(box["x"] + 5, box["y"] + 5)  # a click draws nothing, and takes nothing away
    expect(second.locator("[data-edge=left]")).to_have_value("50")
    lin.keyboard.press("Escape")
    expect(lin.locator("#saved")).to_contain_text("Saved")
    lin.locator("#question").focus()
    lin.keyboard.press("n")
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    assert boxes() == [(2, (50, 25, 100, 90))]


def drag(page: Page, x: float, y: float, to_x: float, to_y: float) -> None:
    """Draw over the picture from one place of it to another, given as shares of it."""
    box = page.locator(".is-drawing").bounding_box()
    assert box is not None
    at = [
        (box["x"] + left * box["width"], box["y"] + top * box["height"])
        for left, top in ((x, y), (to_x, to_y))
    ]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.mouse.move((at[0][0] + at[1][0]) / 2, at[1][1])
    page.mouse.move(*at[1])
    page.mouse.up()


def test_numbers_that_are_no_box_are_told_and_not_sent(lin: Page) -> None:
    first = answer_id(lin)
    open_looks(lin)
    trace = lin.locator(".trace[open]")
    trace.get_by_text("The box in numbers").click()
    trace.locator("[data-edge=left]").fill("60")
    trace.locator("[data-edge=right]").fill("40")
    expect(trace.locator(".boxing__bad")).to_be_visible()
    lin.locator("[name=none_fits]").check(force=True)
    expect(lin.locator("#saved")).to_contain_text("Saved")
    lin.click(".bar__submit")
    expect(trace.locator("[data-edge=left]")).to_be_focused()
    trace.locator("[data-edge=right]").fill("80")
    expect(trace.locator(".boxing__bad")).to_be_hidden()
    lin.click(".bar__submit")
    expect_next(lin, first)
    assert boxes() == [(1, (60, 0, 80, 100))]


def test_boxes_are_drawn_on_a_phone(seen: Site, new_context: NewContext) -> None:
    page = new_context((320, PHONE[1]), touch=True).new_page()
    page.goto(seen.link("Lin"))
    page.goto(seen.judge_url())
    page.click("text=Close the guidelines")
    page.locator(".offer", has_text=TEXT).locator(".trace > summary").tap()
    page.get_by_role("button", name="Draw a box").first.tap()
    swipe(page, (0.1, 0.1), (0.5, 0.6))
    expect(page.locator(".trace[open] [data-edge=right]")).to_have_value("50")
    page.locator(".trace[open] .marking__value", has_text="partly").tap()
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert is_in_view(page, ".bar__submit")
    page.locator("[name=none_fits]").check(force=True)
    page.tap(".bar__submit")
    expect(page.locator(".trace[open]")).to_have_count(0)
    assert boxes() == [(1, (10, 10, 50, 60))]


def swipe(page: Page, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw with a finger, from one place of the picture to another."""
    box = page.locator(".is-drawing").bounding_box()
    assert box is not None
    session = page.context.new_cdp_session(page)
    places = [start, ((start[0] + end[0]) / 2, end[1]), end]
    for number, (x, y) in enumerate(places):
        point = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
        kind = "touchStart" if number == 0 else "touchMove"
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_looks_are_seen_marked_and_boxed_without_javascript(
    seen: Site, new_context: NewContext
) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(seen.link("Ada"))
    page.goto(seen.judge_url())
    first = answer_id(page)
    open_looks(page)
    trace = page.locator(".trace[open]")
    expect(trace.locator(".sight__occlusion")).to_be_visible()
    trace.locator(".layer--attention > summary").click()
    expect(trace.locator(".sight__attention")).to_be_visible()
    trace.locator("[name$=-place][value=partly]").check()
    trace.get_by_text("The box in numbers").click()
    for edge, value in (("left", "60"), ("right", "20")):
        trace.locator(f"[data-edge={edge}]").fill(value)
    page.locator("[name=none_fits]").check()
    page.click(".bar__submit")
    expect(page.locator("#answer-error")).to_contain_text("A box lies on the picture")
    expect(trace.locator("[data-edge=left]")).to_have_value("60")
    trace.locator("[data-edge=left]").fill("10")
    page.click(".bar__submit")
    expect_next(page, first)
    assert boxes() == [(1, (10, 0, 20, 100))]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_beside_looks_and_boxes(
    seen: Site, new_context: NewContext, scheme: str
) -> None:
    page = new_context(scheme=scheme).new_page()
    page.goto(seen.link("Lin"))
    page.goto(seen.judge_url())
    page.evaluate("for (const one of document.querySelectorAll('.trace')) one.open = true")
    assert check(page, "judge/show.html with looks") == []
    page.get_by_role("button", name="Draw a box").first.click()
    drag(page, 0.1, 0.1, 0.5, 0.5)
    page.evaluate("document.querySelector('.layer--attention').open = true")
    assert check(page, "judge/show.html with a box") == []


def test_a_map_appears_where_it_was_missing_while_a_box_is_begun(lin: Page) -> None:
    """It comes without opening the item again, and takes nothing away that was drawn meanwhile."""
    with session_scope() as session:
        session.execute(delete(OcclusionMap))
        for round_ in session.scalars(select(Round).where(Round.number == 2)):
            round_.status = RoundStatus.GENERATING
    lin.reload()
    open_looks(lin)
    trace = lin.locator(".trace[open]")
    expect(trace.locator(".sight__attention")).to_be_visible()
    trace.get_by_text("What hiding changes").click()
    expect(trace).to_contain_text("This is being measured, and stands here as soon as it is known.")
    trace.get_by_role("button", name="Draw a box").click()
    drag(lin, 0.2, 0.2, 0.6, 0.6)
    expect(trace.locator("[data-edge=left]")).to_have_value("20")
    with session_scope() as session:
        for sample_id in session.scalars(select(Sample.id).where(Sample.log_probability == -1.0)):
            make_map(session, sample_id)
    expect(trace.locator(".sight__occlusion")).to_be_visible()
    expect(trace).to_contain_text("hiding that place lowers the answer's probability from")
    expect(trace).to_contain_text("Without looking it answers blue")
    expect(lin.locator("#announce")).to_contain_text("It looked at the middle left")
    expect(trace.locator("[data-edge=left]")).to_have_value("20")
    expect(trace.locator(".sight__box")).to_have_attribute("x", "0.2")
