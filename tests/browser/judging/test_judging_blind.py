"""A round of several strategies, judged blind in a real browser: keys alone, a phone, no script."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import RoundStatus
from app.models import Branch, Judgement, Project, Round, Run, TurnMark, VerdictRow
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved
from tests.browser.test_accessibility import check
from tests.support.factories import make_item
from tests.support.rounds.mixed import MONOLOGUE, make_drawn_item, make_mixed_round

pytestmark = pytest.mark.browser


@pytest.fixture
def blind(site: Site) -> Site:
    """A round of the strategies direct and monologue with three items."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        session.flush()
        round_ = make_mixed_round(session, project, number=2)
        for number in range(3):
            item = make_item(
                session,
                project,
                image=stored_picture(session, number),
                question="is the cone the same size as the ball?",
                answer="no",
            )
            make_drawn_item(session, round_, item=item, slots=2)
        return Site(site.web, round_.id, site.project_id)


@pytest.fixture
def lin(blind: Site, new_context: NewContext) -> Page:
    page = new_context().new_page()
    page.goto(blind.link("Lin"))
    page.goto(blind.judge_url())
    page.keyboard.press("g")
    return page


def verdicts() -> list[tuple[int, int, bool]]:
    with session_scope() as session:
        rows = session.scalars(select(VerdictRow).order_by(VerdictRow.candidate_id))
        return [(row.judgement_id, row.candidate_id, row.fits) for row in rows]


def test_it_is_judged_blind_then_opened_and_marked_by_keyboard(lin: Page) -> None:
    first = answer_id(lin)
    expect(lin.locator(".trace")).to_have_count(0)
    lin.keyboard.press("1")
    expect_saved(lin, 1)
    lin.keyboard.press("Enter")
    # It stays, submitted; nothing is shown yet, and it may still be taken back.
    expect(lin.locator("[data-goes-on]")).to_be_visible()
    assert answer_id(lin) == first
    expect(lin.locator(".trace")).to_have_count(0)
    lin.keyboard.press("u")
    expect(lin.locator("#answer[data-editable=yes]")).to_be_visible()
    lin.keyboard.press("2")
    expect_saved(lin, 3)
    lin.keyboard.press("Enter")
    expect(lin.locator("[data-goes-on]")).to_be_visible()
    given = verdicts()

    lin.keyboard.press("t")
    expect(lin.locator("#came")).to_be_focused()
    expect(lin.locator("fieldset:has(#came) .offer")).to_have_count(3)
    expect(lin.locator("fieldset:has(#came)")).to_contain_text("monologue")
    expect(lin.locator(".trace")).to_have_count(len(MONOLOGUE))
    place = 1 + next(
        number
        for number, offer in enumerate(lin.locator("fieldset:has(#came) .offer").all())
        if offer.locator(".trace").count()
    )
    lin.keyboard.press("t")
    lin.keyboard.press(str(place))
    opened = lin.locator(".trace[open]")
    expect(opened.locator("input[type=radio]:focus")).to_have_value("")
    lin.keyboard.press("1")  # yes, the question is useful
    expect(lin.locator("#saved")).to_contain_text("Saved")
    lin.keyboard.press("u")  # too late: the verdicts stand
    expect(lin.locator("#answer[data-editable=yes]")).to_have_count(0)
    lin.keyboard.press("Escape")
    assert check(lin, "a judged item, opened") == []
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    expect(lin.locator(".trace")).to_have_count(0)
    assert verdicts() == given
    with session_scope() as session:
        (mark,) = session.scalars(select(TurnMark))
        assert (mark.of, mark.value, mark.turn) == ("question", "yes", 1)


def test_opened_it_continues_by_key_from_what_was_corrected(lin: Page) -> None:
    lin.keyboard.press("n")
    expect_saved(lin, 1)
    lin.keyboard.press("Enter")
    expect(lin.locator("[data-goes-on]")).to_be_visible()
    lin.keyboard.press("t")
    expect(lin.locator("#came")).to_be_focused()
    offers = lin.locator("fieldset:has(#came) .offer")
    with_looks = lin.locator("fieldset:has(#came) .offer:has([name^=correction-])").first
    place = next(
        number
        for number, offer in enumerate(offers.all(), start=1)
        if offer.locator("[name^=correction-]").count()
    )
    with_looks.locator(".trace summary").first.click()
    with_looks.locator("[name^=correction-]").first.fill("a huge one")
    lin.keyboard.press("Escape")
    lin.keyboard.press("b")
    lin.keyboard.press(str(place))
    expect(with_looks.locator(".branch:visible")).to_contain_text("No model worker is running")
    with session_scope() as session:
        (branch,) = session.scalars(select(Branch))
        assert branch.correction == "a huge one"
        assert session.get_one(Run, branch.run_id).strategy == "monologue"
        assert session.scalars(select(Judgement)).one().none_fits


def test_on_a_phone_it_is_opened_and_marked_by_touch(blind: Site, new_context: NewContext) -> None:
    page = new_context(PHONE, touch=True).new_page()
    page.goto(blind.link("Lin"))
    page.goto(blind.judge_url())
    page.locator(".guide__close").tap()
    first = answer_id(page)
    page.locator(".choice").first.tap()
    expect_saved(page, 1)
    page.locator(".bar__submit").tap()
    page.locator("[data-action=trace]").tap()
    page.locator(".trace summary").first.tap()
    page.locator(".trace[open] .marking__value").first.tap()
    expect(page.locator("#saved")).to_contain_text("Saved")
    assert check(page, "a judged item, opened, on a phone") == []
    page.locator("[data-goes-on]").tap()
    expect_next(page, first)


def test_it_works_without_javascript(blind: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(blind.link("Ada"))
    page.goto(blind.judge_url())
    first = answer_id(page)
    page.locator("[name=none_fits]").check()
    page.click(".bar__submit")
    page.click("[data-action=trace]")
    page.locator(".trace summary").first.click()
    page.locator(".trace[open] [name$='-1-question'][value=no]").check()
    page.get_by_role("button", name="Save what I marked").click()
    expect(page.locator(".trace [name$='-1-question'][value=no]:checked")).to_have_count(1)
    page.click("[data-goes-on]")
    expect_next(page, first)
    with session_scope() as session:
        assert session.scalars(select(Judgement).where(Judgement.none_fits)).one()
