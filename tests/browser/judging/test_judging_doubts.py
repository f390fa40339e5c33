"""What a model doubts of its own rationale, in a real browser: keys, a phone, and no script."""

import pytest
from playwright.sync_api import Page, expect

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import Project, Round
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved
from tests.browser.test_accessibility import check
from tests.support.factories import make_item
from tests.support.judging import gather_now
from tests.support.quality.doubts import (
    make_doubted_round,
    make_probed,
    make_probed_round,
    probed,
)

pytestmark = pytest.mark.browser

DOUBTED = "seeing that the ball is blue"
TEXTS = {DOUBTED: probed("red", "blue", "a blue thing"), "seeing that it is red": probed("red")}


@pytest.fixture
def doubting(site: Site) -> Site:
    """A round of the strategy self_questioning with two items."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        # A project has one open round.
        session.flush()
        round_ = make_probed_round(session, project=project, number=2)
        for number in range(2):
            item = make_item(session, project, image=stored_picture(session, number))
            make_probed(session, round_, TEXTS, item=item, slots=2)
        return Site(site.web, round_.id, site.project_id)


def place_of(page: Page, text: str) -> int:
    """The number of a rationale among those that are shown."""
    return page.locator(".choice__text").all_inner_texts().index(text) + 1


def test_a_doubt_is_read_and_the_rationale_judged_by_keyboard(
    doubting: Site, new_context: NewContext
) -> None:
    page = new_context().new_page()
    page.goto(doubting.link("Lin"))
    page.goto(doubting.judge_url())
    page.keyboard.press("g")
    first, place = answer_id(page), place_of(page, DOUBTED)
    expect(page.locator(".trace")).to_have_count(1)
    page.keyboard.press("t")
    page.keyboard.press(str(place))
    opened = page.locator(".trace[open]")
    expect(opened).to_contain_text("what color is ball 3?")
    expect(opened.locator("li")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    page.keyboard.press(str(place))  # a warning is no verdict: it can be picked as any other
    expect_saved(page, 1)
    page.keyboard.press("Enter")
    expect_next(page, first)


@pytest.mark.parametrize("javascript", [True, False])
def test_a_doubt_is_read_on_a_phone_with_and_without_a_script(
    doubting: Site, new_context: NewContext, *, javascript: bool
) -> None:
    page = new_context(PHONE, javascript=javascript).new_page()
    page.goto(doubting.link("Sam"))
    page.goto(doubting.judge_url())
    page.locator(".trace summary").click()
    expect(page.locator(".trace[open]")).to_contain_text("From the rationale")
    if javascript:
        assert check(page, "judge/show.html with a doubt") == []


def test_what_warnings_are_worth_is_read_on_the_page_of_the_round(
    doubting: Site, new_context: NewContext
) -> None:
    with session_scope() as session:
        round_ = make_doubted_round(session)
        gather_now(session, round_)
        address = f"{doubting.web.url}/rounds/{round_.id}"
    page = new_context(PHONE).new_page()
    page.goto(doubting.link("Ada", is_admin=True))
    page.goto(address)
    expect(page.locator("#doubts")).to_contain_text("A warning says something")
    assert check(page, "round/show.html with doubts") == []
