"""How a rationale came about, in a real browser: keys alone, a phone, and no script at all."""

import pytest
from playwright.sync_api import Page, expect

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import Project, Round
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, is_in_view
from tests.browser.test_accessibility import check
from tests.support.factories import make_item
from tests.support.judging import BALL, CONE, MAT, make_episodes, make_monologue_round

pytestmark = pytest.mark.browser

WAYS = {
    "seeing that the cone is small and the ball is large": [(CONE, BALL), (BALL, CONE), (MAT,)],
    "seeing that the ball is the larger one of the two things": [(BALL, BALL)],
    "seeing that they look different": [()],
}


@pytest.fixture
def traced(site: Site) -> Site:
    """A round of the strategy monologue with three items."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        session.flush()
        round_ = make_monologue_round(session, project, number=2)
        for number in range(3):
            item = make_item(
                session,
                project,
                image=stored_picture(session, number),
                question="is the cone the same size as the ball?",
                answer="no",
            )
            make_episodes(session, round_, WAYS, item=item, slots=2)
        return Site(site.web, round_.id, site.project_id)


@pytest.fixture
def lin(traced: Site, new_context: NewContext) -> Page:
    page = new_context().new_page()
    page.goto(traced.link("Lin"))
    page.goto(traced.judge_url())
    page.keyboard.press("g")
    return page


def place_of(page: Page, text: str) -> int:
    """The number of a rationale among those that are shown."""
    return page.locator(".choice__text").all_inner_texts().index(text) + 1


def test_traces_open_and_close_and_a_rationale_is_picked_by_keyboard(lin: Page) -> None:
    first = answer_id(lin)
    place = place_of(lin, next(iter(WAYS)))
    expect(lin.locator(".trace[open]")).to_have_count(0)
    lin.keyboard.press("t")
    lin.keyboard.press(str(place))
    opened = lin.locator(".trace[open]")
    expect(opened).to_have_count(1)
    expect(opened.locator("li").first).to_contain_text("what size is the cone?")
    expect(opened).to_contain_text("and 2 other ways")
    lin.keyboard.press("t")  # of the one in focus
    expect(opened).to_have_count(0)
    lin.keyboard.press(str(place))
    expect_saved(lin, 1)
    expect(lin.locator("input[name=picked]:checked")).to_have_count(1)
    lin.keyboard.press("Enter")
    expect_next(lin, first)


def test_traces_open_without_javascript(traced: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(traced.link("Ada"))
    page.goto(traced.judge_url())
    page.click(".trace summary >> nth=0")
    expect(page.locator(".trace[open]")).to_have_count(1)


def test_traces_fit_on_a_phone(traced: Site, new_context: NewContext) -> None:
    page = new_context((320, PHONE[1]), touch=True).new_page()
    page.goto(traced.link("Lin"))
    page.goto(traced.judge_url())
    page.click("text=Close the guidelines")
    for place in range(3):
        page.tap(f".trace summary >> nth={place}")
    expect(page.locator(".trace[open]")).to_have_count(3)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert is_in_view(page, ".bar__submit")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_beside_open_traces(
    traced: Site, new_context: NewContext, scheme: str
) -> None:
    page = new_context(scheme=scheme).new_page()
    page.goto(traced.link("Lin"))
    page.goto(traced.judge_url())
    page.evaluate("for (const one of document.querySelectorAll('.trace')) one.open = true")
    assert check(page, "judge/show.html with traces") == []
