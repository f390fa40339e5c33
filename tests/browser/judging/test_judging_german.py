"""The judging page in German: what scripts say, and longer words on small screens."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus
from app.models import Item, Project
from tests.browser.conftest import DESKTOP, PHONE, NewContext, Site
from tests.browser.judging.test_judging import answer_id, expect_next, stored
from tests.browser.judging.test_judging_journeys import PASSWORD, give_password, one_time_link
from tests.browser.test_practice import add_lesson

pytestmark = pytest.mark.browser

TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  const panel = e => e.closest(".table-wrap, .view__frame, .visually-hidden, .skip-link");
  return [...document.querySelectorAll("body *")]
    .filter(e => e.checkVisibility() && !panel(e) && e.getBoundingClientRect().right > width + 1)
    .map(e => e.outerHTML.slice(0, 80));
}"""


APART = """() => {
  const [nav, name, tools] = [".topbar__nav", ".judge__where", ".judge__tools"]
    .map(it => document.querySelector(it).getBoundingClientRect());
  return nav.right <= name.left && name.right <= tools.left;
}"""


def expect_fits(page: Page, name: str) -> None:
    """Nothing sticks out on the right, and the page says that it is German."""
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert page.evaluate(TOO_WIDE) == [], name


def german_page(site: Site, new_context: NewContext, size: tuple[int, int]) -> Page:
    """Noor, who chose German, at her first item."""
    page = new_context(size, touch=size == PHONE).new_page()
    page.goto(site.link("Noor"))
    page.goto(f"{site.web.url}/account")
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.goto(site.judge_url())
    return page


@pytest.mark.parametrize("size", [pytest.param(DESKTOP, marks=pytest.mark.slow), PHONE])
def test_judging_without_a_connection_and_without_a_session(
    site: Site, new_context: NewContext, size: tuple[int, int]
) -> None:
    page = german_page(site, new_context, size)
    expect_fits(page, "guidelines")
    page.keyboard.press("g")
    first = answer_id(page)
    saved = page.locator("#saved")
    expect(saved).to_have_text("Jeder Klick wird gespeichert")
    expect_fits(page, "item")
    page.keyboard.press("1")
    expect(saved).to_contain_text("Gespeichert v1")
    page.context.set_offline(True)
    page.keyboard.press("2")
    expect(saved).to_contain_text("1 Klick wartet auf die Verbindung")
    page.keyboard.press("3")
    expect(saved).to_contain_text("2 Klicks warten auf die Verbindung")
    expect_fits(page, "offline")
    page.keyboard.press("Enter")
    expect(saved).to_contain_text("Die Antwort wartet auf die Verbindung")
    page.context.set_offline(False)
    expect_next(page, first)
    expect(page.locator("#announce")).to_contain_text("Als Nächstes: ")
    page.keyboard.press("Enter")
    expect(page.locator("#toasts")).to_contain_text("Noch ist nichts gewählt")
    expect_fits(page, "toast")
    give_password()
    page.context.clear_cookies()
    second = answer_id(page)
    page.keyboard.press("2")
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Die Anmeldung ist abgelaufen")
    expect(saved).to_contain_text("1 Klick wartet auf die Anmeldung")
    page.keyboard.type("no such password")
    page.keyboard.press("Enter")
    error = page.locator("#dialog-error")
    expect(error).to_have_text("Der Name oder das Passwort stimmt nicht.")
    expect_fits(page, "signed-out")
    dialog.get_by_text("Kein Passwort?").click()
    page.fill("#dialog [name=link]", "somewhere else")
    page.click("#link-again button")
    expect(error).to_contain_text("Das ist kein Anmeldelink.")
    page.fill("#dialog [name=link]", one_time_link(site, "Noor") + "x")
    page.click("#link-again button")
    expect(error).to_contain_text("schon benutzt oder abgelaufen")
    dialog.locator("[name=password]").fill(PASSWORD)
    page.locator("#dialog [name=password]").press("Enter")
    expect(dialog).to_be_hidden()
    expect(saved).to_contain_text("Gespeichert v1")
    page.keyboard.press("Enter")
    expect_next(page, second)
    assert [one.status for one in stored()[:2]] == [JudgementStatus.SUBMITTED] * 2


@pytest.mark.parametrize("size", [pytest.param(DESKTOP, marks=pytest.mark.slow), PHONE])
def test_conflict_keys_skipping_and_taking_back(
    site: Site, new_context: NewContext, size: tuple[int, int]
) -> None:
    page = german_page(site, new_context, size)
    page.keyboard.press("g")
    first = answer_id(page)
    other = page.context.new_page()
    other.goto(site.judge_url())
    other.locator(".offer .choice").first.click()
    expect(other.locator("#saved")).to_contain_text("Gespeichert v1")
    page.keyboard.press("n")
    dialog = page.locator("#dialog")
    expect(dialog).to_contain_text("Diese Antwort wurde nicht gespeichert")
    expect(dialog).to_contain_text("in einem anderen Tab oder Fenster geändert")
    expect_fits(page, "conflict")
    dialog.get_by_role("button", name="Stattdessen verwenden, was hier steht").click()
    expect(page.locator("#toasts")).to_contain_text("Entwurf gespeichert")
    page.wait_for_load_state("load")  # keys are heard from then on
    page.keyboard.press("?")
    if size == DESKTOP:
        expect(page.locator(".keys__table")).to_contain_text("Letzte Antwort zurücknehmen")
        expect_fits(page, "keys")
    page.keyboard.press("Escape")
    page.keyboard.press("e")
    expect(page.locator("#toasts")).to_contain_text("Jetzt die Nummer der Begründung drücken.")
    page.keyboard.press("1")
    expect(page.locator(".mend[open]")).to_contain_text("Falsch zum Bild")
    expect_fits(page, "mend")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect_next(page, first)
    page.keyboard.press("s")
    expect(page.locator("#skip")).to_contain_text("Am Bild nicht zu erkennen")
    expect_fits(page, "skip")
    page.keyboard.press("1")
    expect(page.locator("#skip")).not_to_have_attribute("open", "")
    page.keyboard.press("u")
    expect(page.locator("#answer")).to_have_attribute("data-judgement-id", str(first))
    expect(page.locator(".notice")).to_contain_text("Zurückgenommen.")
    expect_fits(page, "taken-back")
    assert stored()[1].skip_reason == "I cannot tell from the image"


@pytest.mark.parametrize("size", [pytest.param(DESKTOP, marks=pytest.mark.slow), PHONE])
def test_the_pages_around_fit(site: Site, new_context: NewContext, size: tuple[int, int]) -> None:
    page = german_page(site, new_context, size)
    page.keyboard.press("g")
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    expect(page.locator("#announce")).to_contain_text("Als Nächstes: ")
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        add_lesson(session, project, session.scalars(select(Item)).first())
        practice = f"/projects/{project.slug}/practice"
    around = ("/", "/mine", f"/rounds/{site.round_id}/mine", "/account/keys", "/nirgends", practice)
    for path in around:
        page.goto(site.web.url + path)
        expect_fits(page, path.strip("/").replace("/", "-") or "home")
    page.get_by_role("button", name="Übung beginnen").click()
    expect(page.locator("#question")).to_be_focused()  # by the script, which hears keys from now on
    expect_fits(page, "practice-item")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    expect(page.locator("#result")).to_contain_text("Alles richtig.")
    expect(page.locator("#question")).to_be_focused()
    expect_fits(page, "practice-answer")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Bereit zum Beurteilen")
    expect_fits(page, "practice-result")


def test_a_long_project_name_leaves_the_tools_their_place(
    site: Site, new_context: NewContext
) -> None:
    with session_scope() as session:
        session.get_one(Project, site.project_id).name = "Reasons of radiologists for findings" * 2
    page = german_page(site, new_context, DESKTOP)
    for width in (1280, 1000, 840):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate(APART), width
