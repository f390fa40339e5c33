"""How a rationale came about, in a real browser: keys alone, a phone, and no script at all."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import CorrectedObservation, Project, Round, TurnMark
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


def test_looks_are_marked_and_corrected_by_keyboard(lin: Page) -> None:
    first = answer_id(lin)
    place = place_of(lin, next(iter(WAYS)))
    lin.keyboard.press("t")
    lin.keyboard.press(str(place))
    opened = lin.locator(".trace[open]")
    expect(opened.locator("input[type=radio]:focus")).to_have_value("")
    lin.keyboard.press("1")  # yes, the question is useful; no rationale is picked
    expect_saved(lin, 1)
    expect(lin.locator("input[name=picked]:checked")).to_have_count(0)
    lin.keyboard.press("Tab")
    lin.keyboard.press("2")  # no, the observation is not true
    expect_saved(lin, 2)
    lin.keyboard.press("ArrowRight")  # or it cannot be told: the arrows stay within the mark
    expect_saved(lin, 3)
    lin.keyboard.press("Tab")
    lin.keyboard.type("tiny, 1 n w?")
    lin.keyboard.press("Escape")
    expect_saved(lin, 4)
    lin.reload()
    lin.keyboard.press("t")
    lin.keyboard.press(str(place))
    expect(lin.locator(".trace[open] [name^=correction-]").first).to_have_value("tiny, 1 n w?")
    lin.keyboard.press("Escape")
    lin.keyboard.press("n")
    expect_saved(lin, 5)
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    assert said() == (
        [(1, "observation", "cannot_tell"), (1, "question", "yes")],
        [(1, "tiny, 1 n w?")],
    )


def said() -> tuple[list[tuple[int, str, str]], list[tuple[int, str]]]:
    """The marks and the corrected observations that are stored."""
    with session_scope() as session:
        return (
            sorted((row.turn, row.of, row.value) for row in session.scalars(select(TurnMark))),
            sorted((row.turn, row.text) for row in session.scalars(select(CorrectedObservation))),
        )


def test_looks_are_marked_without_javascript(traced: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(traced.link("Ada"))
    page.goto(traced.judge_url())
    first = answer_id(page)
    page.locator(".trace", has_text="and 2 other ways").locator("summary").click()
    opened = page.locator(".trace[open]")
    opened.locator("[name$='-2-observation'][value=no]").check()
    opened.locator("[name^=correction-][name$='-2']").fill("tiny")
    page.locator("[name=none_fits]").check()
    page.click(".bar__submit")
    expect_next(page, first)
    assert said() == ([(2, "observation", "no")], [(2, "tiny")])


def test_traces_fit_on_a_phone(traced: Site, new_context: NewContext) -> None:
    page = new_context((320, PHONE[1]), touch=True).new_page()
    page.goto(traced.link("Lin"))
    page.goto(traced.judge_url())
    page.click("text=Close the guidelines")
    for place in range(3):
        page.tap(f".trace summary >> nth={place}")
    page.locator(".marking__value", has_text="yes").first.tap()
    expect_saved(page, 1)
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
