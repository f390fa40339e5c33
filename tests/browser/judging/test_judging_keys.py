"""Faults, better texts and own keys in a real browser: one hand, and no script at all."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.models import VerdictRow, WrittenRationale
from tests.browser.conftest import PHONE, NewContext, Site
from tests.browser.judging.test_judging import (
    answer_id,
    expect_next,
    expect_saved,
    is_in_view,
    stored,
)

pytestmark = pytest.mark.browser


def test_faults_and_a_better_text_by_keyboard(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("2")
    expect_saved(noor, 1)
    hint = noor.locator("#toasts >> text=Press the number of the rationale")
    noor.keyboard.press("e")
    expect(hint).to_be_visible()
    noor.keyboard.press("2")
    expect(noor.locator(".mend[open] [name=fault]").first).to_be_focused()
    expect(hint).to_have_count(0, timeout=1000)  # it would lie over the image otherwise
    noor.keyboard.press("1")  # wrong about the image: then it does not fit either
    expect_saved(noor, 2)
    expect(noor.locator("input[name=picked]:checked")).to_have_count(0)
    noor.keyboard.press("e")
    better = noor.locator(".mend[open] [name=edit]")
    expect(better).to_be_focused()
    shown = noor.locator(".offer >> nth=1").locator(".choice__text").inner_text()
    expect(better).to_have_value(shown)
    noor.keyboard.press("End")
    noor.keyboard.type(", 1 n w?")
    noor.keyboard.press("Escape")
    expect_saved(noor, 3)
    noor.reload()
    expect(better).to_have_count(0)
    noor.keyboard.press("n")
    expect_saved(noor, 4)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    with session_scope() as session:
        faults = [row.faults for row in session.scalars(select(VerdictRow)) if row.faults]
        texts = [row.text for row in session.scalars(select(WrittenRationale))]
    assert faults == [["wrong_about_image"]]
    assert texts == [f"{shown}, 1 n w?"]


def test_looking_at_the_faults_changes_nothing(noor: Page) -> None:
    noor.keyboard.press("e")
    noor.keyboard.press("1")
    noor.keyboard.press("Escape")
    expect(noor.locator(".mend[open]")).to_have_count(0)
    noor.keyboard.press("f")
    expect_saved(noor, 1)
    assert stored()[0].edits == {}


def test_faults_without_javascript(site: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(site.link("Lin"))
    page.goto(site.judge_url())
    first = answer_id(page)
    page.click(".mend__open >> nth=0")
    page.check(".mend >> nth=0 >> text=Unclear")
    page.fill(".mend >> nth=0 >> [name=edit]", "a better reason")
    page.locator("input[name=picked]").nth(1).check()
    page.click(".bar__submit")
    expect_next(page, first)
    judgement = stored("Lin")[0]
    candidate = str(judgement.shown_order[0])
    assert judgement.faults == {candidate: ["unclear"]}
    assert judgement.edits == {candidate: "a better reason"}


def test_own_keys_work_and_the_usual_ones_no_longer(noor: Page, site: Site) -> None:
    noor.goto(f"{site.web.url}/account/keys")
    noor.focus("#key-pick-1")
    noor.keyboard.press("q")
    noor.focus("#key-submit")
    noor.keyboard.press("ArrowDown")
    expect(noor.locator("#key-submit")).to_have_value("ArrowDown")
    noor.focus("#key-none")
    noor.keyboard.press("s")
    noor.click("text=Keep these keys")
    expect(noor.locator("#keys-error")).to_contain_text("is the key for")
    noor.focus("#key-none")
    noor.keyboard.press("x")
    noor.click("text=Keep these keys")
    expect(noor.locator("#toasts")).to_contain_text("Your keys are kept")
    noor.goto(site.judge_url())
    first = answer_id(noor)
    noor.keyboard.press("1")
    expect(noor.locator("input[name=picked]:checked")).to_have_count(0)
    noor.keyboard.press("q")
    expect_saved(noor, 1)
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    noor.keyboard.press("ArrowDown")
    expect_next(noor, first)
    noor.keyboard.press("x")
    expect(noor.locator("input[name=none_fits]")).to_be_checked()


def test_faults_fit_on_a_phone(site: Site, new_context: NewContext) -> None:
    page = new_context(PHONE, touch=True).new_page()
    page.goto(site.link("Noor"))
    page.goto(site.judge_url())
    page.click("text=Close the guidelines")
    page.tap(".mend__open >> nth=0")
    page.tap(".mend >> nth=0 >> text=Unclear")
    expect(page.locator("#saved")).to_have_text(re.compile("Saved v1"))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert is_in_view(page, ".bar__submit")
