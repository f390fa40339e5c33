"""Adjudication in a browser: by keyboard alone, without script, and on a phone."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.models import Adjudication
from tests.browser.conftest import NewContext, Site, stored_picture
from tests.support.factories import make_project
from tests.support.quality.disputes import make_disputed_round

pytestmark = pytest.mark.browser

TEXTS = (
    "the box on the left is red and the one on the right is blue",
    "the red box is larger than the blue one, which stands behind it and is half hidden by it",
    "it is red",
    "there is a dog",
)


@pytest.fixture
def url(site: Site) -> str:
    """The address at which an admin begins to adjudicate a round of three disputed items."""
    with session_scope() as session:
        project = make_project(session, name="Disputed boxes")
        images = [stored_picture(session, 90 + number) for number in range(3)]
        round_ = make_disputed_round(session, project, texts=TEXTS, images=images)
        return f"{site.web.url}/rounds/{round_.id}/adjudication"


def decisions() -> list[bool]:
    with session_scope() as session:
        stored = select(Adjudication.fits).order_by(
            Adjudication.decided_at, Adjudication.candidate_id
        )
        return list(session.scalars(stored))


def test_items_are_decided_by_keyboard_alone(site: Site, new_context: NewContext, url: str) -> None:
    page = new_context().new_page()
    page.goto(site.link("Ada", is_admin=True))
    page.goto(url)
    progress = page.locator(".adjudicated")
    expect(progress).to_contain_text("0 of 3")
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    expect(progress).to_contain_text("1 of 3")
    assert decisions() == [True, False]
    page.keyboard.press("1")
    page.keyboard.press("Enter")  # the browser asks for the other one first
    expect(progress).to_contain_text("1 of 3")
    page.locator("#question").focus()
    page.keyboard.press("u")
    expect(progress).to_contain_text("0 of 3")
    assert decisions() == []


def test_keys_can_be_turned_off(site: Site, new_context: NewContext, url: str) -> None:
    page = new_context().new_page()
    page.goto(site.link("Ada", is_admin=True))
    page.goto(url)
    page.keyboard.press("?")
    expect(page.get_by_role("table", name="Keyboard shortcuts")).to_be_visible()
    page.get_by_label("Use these keys on this device").uncheck()
    page.locator("#question").focus()
    page.keyboard.press("1")
    expect(page.locator("input[type=radio]:checked")).to_have_count(0)


def test_items_are_decided_without_script(site: Site, new_context: NewContext, url: str) -> None:
    page = new_context((360, 740), javascript=False).new_page()
    page.goto(site.link("Ada", is_admin=True))
    page.goto(url)
    for dispute in page.locator(".dispute").all():
        dispute.get_by_label("Does not fit").check()
    page.get_by_role("button", name="Decide").click()
    expect(page.locator(".adjudicated")).to_contain_text("1 of 3")
    assert decisions() == [False, False]
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".adjudicated")).to_contain_text("0 of 3")
