"""The playground in a browser: asked by the keyboard alone, and shown without reloading."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import Job
from app.models import Item, Project, Run
from tests.browser.conftest import NewContext, Site
from tests.support.rounds.trained import finish_tryout, make_trained_round

pytestmark = pytest.mark.browser


def prepare(site: Site) -> tuple[str, str]:
    """The address of the playground, and the id of an item."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        make_trained_round(session, project, number=7)
        item = session.scalars(select(Item).where(Item.project_id == project.id)).first()
        assert item is not None
        return f"{site.web.url}/projects/{project.slug}/playground", item.external_id


def speak() -> None:
    with session_scope() as session:
        finish_tryout(session, session.scalars(select(Run).where(Run.job == Job.TRY)).one())


def test_both_models_appear_as_soon_as_they_have_spoken(
    site: Site, new_context: NewContext
) -> None:
    address, item = prepare(site)
    page = new_context().new_page()
    page.goto(site.link("Ada", is_admin=True))
    page.goto(address)
    page.get_by_label("Id of an item").focus()
    page.keyboard.type(item)
    page.keyboard.press("Enter")
    expect(page.locator("#tryout")).to_contain_text("no live worker does this kind of work")
    speak()
    expect(page.get_by_role("heading", name="Round 7")).to_be_visible()
    expect(page.locator("#tryout")).to_contain_text("it is a rose")
    assert page.locator("#tryout[hx-get]").count() == 0


def test_without_javascript_the_page_is_reloaded(site: Site, new_context: NewContext) -> None:
    address, item = prepare(site)
    page = new_context(javascript=False).new_page()
    page.goto(site.link("Ada", is_admin=True))
    page.goto(f"{address}?item={item}")
    page.get_by_role("button", name="Try both").click()
    speak()
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("#tryout")).to_contain_text("it is a rose")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("heading", name="Playground")).to_be_visible()
