"""What admins look at to trust people and data, by the keyboard alone: Tab, Enter, arrows and text.

The pointer is never used. Each control is reached with Tab from the top of its page, and shows that
it is.
"""

from collections.abc import Callable
from typing import TypeVar

import pytest
from playwright.sync_api import Locator, Page, expect
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.db import session_scope
from app.lifecycle import Job, JudgementStatus, RunStatus
from app.models import Adjudication, CheckItem, Comparison, Item, Judgement, Project, Run
from app.services.releases.releases import create_release, perform_release
from tests.browser.conftest import NewContext, Site
from tests.browser.trails import store_map
from tests.browser.trials import store_trials
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_user,
)
from tests.support.judging import make_judged_items, make_people
from tests.support.quality.checks import judge_some, make_checks, settings_with
from tests.support.quality.comparisons import make_compared_round
from tests.support.quality.disputes import make_disputed_round
from tests.support.rounds.side_by_side import make_compared_project
from tests.support.rounds.trained import make_trained_round

pytestmark = pytest.mark.browser

Found = TypeVar("Found")

MOST_TABS = 200
IS_FOCUSED = "element => element === document.activeElement"
LOOK = (
    "e => { const look = getComputedStyle(e); return look.outline + look.boxShadow + look.stroke }"
)


def reach(page: Page, target: Locator) -> None:
    """Press Tab from the top of the page until a control has the focus, which has to be seen."""
    expect(target).to_have_count(1)  # on the page that comes, where a control led on
    page.evaluate("document.activeElement.blur()")
    child = "element => element.querySelector('rect') ?? element"
    before = target.evaluate_handle(child).evaluate(LOOK)
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if target.evaluate(IS_FOCUSED):
            assert target.evaluate_handle(child).evaluate(LOOK) != before, "nobody sees the focus"
            return
    raise AssertionError(f"{target} is not reached with Tab")


def press(page: Page, target: Locator) -> None:
    reach(page, target)
    page.keyboard.press("Enter")


def write(page: Page, target: Locator, text: str) -> None:
    reach(page, target)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(text)


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


def heading(page: Page, name: str) -> Locator:
    return page.get_by_role("heading", name=name, exact=True)


def made(make: Callable[[Session], Found]) -> Found:
    with session_scope() as session:
        return make(session)


@pytest.fixture
def page(site: Site, new_context: NewContext) -> Page:
    """An administrator of the installation, who sees every project."""
    page = new_context().new_page()
    page.goto(site.link("Ada", is_admin=True))
    return page


def go(page: Page, site: Site, path: str) -> None:
    page.goto(site.web.url + path)


def test_a_check_item_is_made_and_retired(page: Page, site: Site) -> None:
    item_id = made(lambda s: make_item(s, s.get_one(Project, site.project_id)).id)
    go(page, site, f"/items/{item_id}")
    press(page, link(page, "Use as a check"))
    for number, (text, verdict) in enumerate((("it is red", "f"), ("it is a dog", "d")), 1):
        write(page, page.get_by_label(f"Rationale {number}", exact=True), text)
        page.keyboard.press("Tab")
        page.keyboard.type(verdict)  # fits, does not fit
    press(page, button(page, "Make the check item"))
    expect(page.locator(".toast")).to_be_visible()
    check_id = made(lambda s: s.scalars(select(CheckItem.id)).one())
    project = made(lambda s: s.get_one(Project, site.project_id).slug)
    go(page, site, f"/projects/{project}/checks/{check_id}")
    press(page, page.get_by_role("button", name="Retire"))
    expect(page.locator(".toast")).to_be_visible()
    assert made(lambda s: s.scalars(select(CheckItem)).one()).retired_at is not None


def test_a_disputed_item_is_decided_with_tab_and_arrows(page: Page, site: Site) -> None:
    round_id = made(lambda s: make_disputed_round(s, make_project(s, name="Disputed")).id)
    go(page, site, f"/rounds/{round_id}")
    press(page, page.locator("#adjudication a"))
    disputes = page.locator(".dispute")
    expect(disputes).to_have_count(2)
    for dispute in disputes.all():
        reach(page, dispute.get_by_label("Fits", exact=True))
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")  # to the other of the two
    press(page, page.get_by_role("button", name="Decide"))
    expect(page.locator(".adjudicated")).to_contain_text("1 of 3")
    assert made(lambda s: list(s.scalars(select(Adjudication.fits)))) == [False, False]
    press(page, page.get_by_role("link", name="Decided", exact=True))
    expect(heading(page, "Decided by adjudicators")).to_be_visible()


def test_the_map_is_entered_row_by_row_down_to_an_item(page: Page, site: Site) -> None:
    round_id = made(store_map)
    go(page, site, f"/rounds/{round_id}")
    press(page, page.locator("#map a.btn").first)
    press(page, page.locator("a.map__row").nth(1))
    expect(page.locator("#stretch")).to_contain_text("items 3 to 4 of")
    press(page, page.locator("a.map__row").first)
    expect(page.locator("#stretch")).to_contain_text("items 3 to 3 of")
    press(page, link(page, "Show all items"))
    expect(page.locator("#stretch")).to_contain_text("items 1 to")
    press(page, page.locator("[data-map] td a").first)
    press(page, page.locator("#map-items th a").first)
    expect(page.locator("#facts-title")).to_be_visible()


def test_two_rounds_and_the_items_that_changed_between_them(page: Page, site: Site) -> None:
    slug = made(lambda s: make_compared_project(s).slug)
    go(page, site, f"/projects/{slug}/side-by-side")
    reach(page, page.get_by_label("Before"))
    page.keyboard.type("Base")
    press(page, button(page, "Show"))
    expect(page).to_have_url(f"{site.web.url}/projects/{slug}/side-by-side?before=0&after=2")
    go(page, site, f"/projects/{slug}/side-by-side")
    press(page, link(page, "Regressed: the rationale ceased to fit"))
    expect(page.locator(".changed")).to_have_count(1)
    press(page, link(page, "Improved: the rationale began to fit"))
    expect(page.locator(".changed")).to_have_count(2)


def test_policies_are_tried_beside_each_other(page: Page, site: Site) -> None:
    made(lambda s: store_trials(s, site.round_id))
    go(page, site, f"/rounds/{site.round_id}/close")
    press(page, link(page, "What differs"))
    expect(page.locator("main [role=status]")).to_contain_text("only by majority")
    reach(page, page.get_by_label("Policy", exact=True))
    page.keyboard.type("Dawid")
    press(page, button(page, "Compare"))
    expect(page.locator("main [role=status]")).to_contain_text("Choose two different policies.")


def test_a_comparison_is_asked_for_and_cancelled(page: Page, site: Site) -> None:
    round_id = made(lambda s: make_compared_round(s, make_people(s, 2)).id)
    go(page, site, f"/rounds/{round_id}")
    write(page, page.get_by_label("Test items"), "3")
    page.keyboard.press("Enter")
    expect(page.locator("#comparison-stands")).to_contain_text("being sampled")
    press(page, page.locator("#cancel-comparison"))
    press(page, button(page, "Cancel the comparison"))
    expect(page.locator("#ask-comparison")).to_be_visible()
    assert made(lambda s: s.scalars(select(Comparison)).one()).cancelled_at is not None


def test_the_playground_is_asked_and_a_tryout_cancelled(page: Page, site: Site) -> None:
    def prepare(session: Session) -> tuple[str, str]:
        project = session.get_one(Project, site.project_id)
        make_trained_round(session, project, number=7)
        item = session.scalars(select(Item).where(Item.project_id == project.id)).first()
        assert item is not None
        return project.slug, item.external_id

    slug, item = made(prepare)
    go(page, site, f"/projects/{slug}/playground")
    write(page, page.get_by_label("Id of an item"), item)
    press(page, page.get_by_role("button", name="Try both"))
    press(page, page.locator("#cancel-tryout"))
    expect(page.locator("#cancel-tryout")).to_have_count(0)
    assert made(lambda s: s.scalars(select(Run).where(Run.job == Job.TRY)).one()).finished_at


def test_answers_are_set_apart_and_given_back(page: Page, site: Site) -> None:
    def prepare(session: Session) -> tuple[str, str]:
        project = make_project(session, name="Checked")
        round_ = make_round(session, project, settings=settings_with(0.15))
        user = make_people(session, 1)[0]
        make_checks(session, project, 2)
        make_judged_items(session, round_, [user], n_items=8)
        judge_some(session, round_, user, 2)
        return project.slug, user.name

    slug, name = made(prepare)
    go(page, site, f"/projects/{slug}/checks")
    press(page, link(page, name))
    press(page, button(page, "Set their answers apart"))
    press(page, button(page, "Give them back"))
    expect(button(page, "Set their answers apart")).to_be_visible()
    statuses = made(lambda s: set(s.scalars(select(Judgement.status))))
    assert statuses == {JudgementStatus.SUBMITTED}


def test_a_release_is_made_downloaded_and_held_beside_the_one_before(
    page: Page, site: Site
) -> None:
    slug = made(lambda s: s.get_one(Project, site.project_id).slug)
    made(lambda s: create_release(s, s.get_one(Project, site.project_id), actor=None))
    go(page, site, f"/projects/{slug}/releases")
    reach(page, page.locator("summary", has_text="Which files are built"))
    page.keyboard.press("Enter")
    reach(page, page.locator("input[value=llava]"))
    page.keyboard.press("Space")
    press(page, button(page, "Make release 2"))
    page.wait_for_url("**/runs/*")
    perform_release(_claimed(), attempt=1, progress=lambda _: None)
    go(page, site, f"/projects/{slug}/releases")
    reach(page, page.locator("a[download]").first)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.endswith(".zip")
    press(page, link(page, "Release 2"))
    press(page, link(page, "What changed since release 1"))
    expect(heading(page, "Release 2 compared with release 1")).to_be_visible()


def _claimed() -> int:
    with session_scope() as session:
        run = session.scalars(select(Run).where(Run.job == Job.RELEASE)).one()
        run.status, run.attempt = RunStatus.RUNNING, 1
        return run.id


def test_people_are_sorted_and_one_is_opened(page: Page, site: Site) -> None:
    def prepare(session: Session) -> None:
        project = session.get_one(Project, site.project_id)
        for name in ("Bo", "Cleo"):
            make_membership(session, project, make_user(session, name=name))

    made(prepare)
    slug = made(lambda s: s.get_one(Project, site.project_id).slug)
    go(page, site, f"/projects/{slug}/people")
    press(page, page.locator("#people thead a").filter(has_text="Name"))
    names = page.locator("#people tbody th a")
    expect(page.locator("#people th[aria-sort]")).to_contain_text("Name")
    last = names.last.inner_text()
    press(page, page.locator("#people thead a").filter(has_text="Name"))
    expect(names.first).to_have_text(last)
    press(page, names.first)
    expect(heading(page, last)).to_be_visible()
