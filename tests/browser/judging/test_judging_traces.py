"""How a rationale came about, in a real browser: keys alone, a phone, and no script at all."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import (
    Branch,
    CorrectedObservation,
    Project,
    Round,
    TurnMark,
    WrittenRationale,
)
from app.services.judging.branches import Branched
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, is_in_view
from tests.browser.test_accessibility import check
from tests.support.factories import make_item
from tests.support.judging import (
    BALL,
    CONE,
    MAT,
    branched,
    make_branch,
    make_episodes,
    make_monologue_round,
)

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


# --- Continue from here --------------------------------------------------------------------

LARGE = (CONE[0], "large")
TEXT = "seeing that both the cone and the ball are large"
ANEW = branched([LARGE, BALL], text=TEXT)


def work(made: Branched = ANEW) -> None:
    """What a model worker does, with texts that nobody has to sample."""
    with session_scope() as session:
        make_branch(session, made)


def correct(page: Page, says: str) -> int:
    """Open the looks of the first rationale, and write what is to be seen in the first of them;
    returns the place of the rationale."""
    place = place_of(page, next(iter(WAYS)))
    page.keyboard.press("t")
    page.keyboard.press(str(place))
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(says)
    return place


def test_the_model_continues_and_its_text_is_used_by_keyboard_alone(lin: Page) -> None:
    first = answer_id(lin)
    place = correct(lin, "large")
    lin.keyboard.press("Escape")  # to the item: letters are keys again
    lin.keyboard.press("b")
    lin.keyboard.press(str(place))
    branch = lin.locator(".branch:visible")
    expect(branch).to_contain_text("No model worker is running")
    expect(lin.locator("#announce")).to_contain_text("No model worker is running")
    lin.keyboard.press("Enter")  # once more on the button
    work()
    expect(branch).to_contain_text(TEXT)
    expect(lin.locator("#announce")).to_have_text(f"The new way is there. It answers “no”: {TEXT}")
    expect(lin.locator("[data-continues]:focus")).to_have_count(1)
    lin.keyboard.press("b")  # to what can be done with it
    expect(lin.locator("[data-uses-branch]:focus")).to_have_count(1)
    lin.keyboard.press("Enter")
    expect(lin.locator("[name=edit]:focus")).to_have_value(TEXT)
    lin.keyboard.press("Escape")
    lin.keyboard.press("n")
    expect(lin.locator("[name=none_fits]")).to_be_checked()
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    with session_scope() as session:
        assert session.scalars(select(WrittenRationale.text)).all() == [TEXT]
        (stored,) = session.scalars(select(Branch))
        assert (stored.turn, stored.correction, stored.text) == (1, "large", TEXT)


def test_other_words_put_the_way_away_and_nothing_to_continue_from_is_said(lin: Page) -> None:
    place = correct(lin, "large")
    lin.keyboard.press("Tab")
    lin.keyboard.press("Enter")
    branch = lin.locator(".branch:visible")
    expect(branch).to_contain_text("No model worker is running")
    work()
    expect(branch).to_contain_text(TEXT)
    lin.keyboard.press("Shift+Tab")
    lin.keyboard.press("End")
    lin.keyboard.type("r")
    expect(branch).to_have_count(0)
    lin.keyboard.press("Backspace")
    expect(branch).to_contain_text(TEXT)
    expect(lin.locator("#saved")).to_contain_text("Saved")
    lin.reload()
    expect(branch).to_contain_text(TEXT)  # open, as it was asked for
    lin.locator(".trace[open] [name^=correction-]").first.fill("")
    lin.keyboard.press("Escape")
    lin.keyboard.press("b")
    lin.keyboard.press(str(place))
    expect(lin.locator(".toast--warn")).to_contain_text("Write what you see instead first")
    expect(lin.locator("[name^=correction-]:focus")).to_have_count(1)


def test_the_model_continues_without_javascript(traced: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(traced.link("Ada"))
    page.goto(traced.judge_url())
    first = answer_id(page)
    page.locator(".trace", has_text="and 2 other ways").locator("summary").click()
    page.locator(".trace[open] [name^=correction-]").first.fill("large")
    page.locator(".trace[open] [data-continues]").first.click()
    branch = page.locator(".branch:visible")
    expect(branch).to_contain_text("No model worker is running")
    work()
    branch.get_by_role("link", name="Look again").click()
    expect(branch).to_contain_text(TEXT)
    branch.get_by_role("button").click()
    expect(page.locator(".toast")).to_contain_text("Taken as your better text")
    page.locator("[name=none_fits]").check()
    page.locator(".trace[open] [name^=correction-]").first.press("Enter")  # submits, as before
    expect_next(page, first)
    with session_scope() as session:
        assert session.scalars(select(WrittenRationale.text)).all() == [TEXT]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_beside_open_traces_and_new_ways(
    traced: Site, new_context: NewContext, scheme: str
) -> None:
    page = new_context(scheme=scheme).new_page()
    page.goto(traced.link("Lin"))
    page.goto(traced.judge_url())
    page.evaluate("for (const one of document.querySelectorAll('.trace')) one.open = true")
    assert check(page, "judge/show.html with traces") == []
    looks = page.locator(".trace", has_text="and 2 other ways").locator(".turn")
    for place, made in enumerate((ANEW, None)):
        looks.nth(place).locator("[name^=correction-]").fill("large indeed")
        looks.nth(place).locator("[data-continues]").click()
        expect(looks.nth(place).locator(".branch")).to_contain_text("No model worker")
        if made:
            work(made)
            expect(looks.nth(place).locator(".branch")).to_contain_text(TEXT)
    assert check(page, "judge/show.html with new ways") == []
