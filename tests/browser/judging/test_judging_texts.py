"""Texts as people wrote them, and keyboards as people have them."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.models import Item, Project, Round
from tests.browser.conftest import TEXTS, NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, stored
from tests.support.factories import make_item, make_round_item

pytestmark = pytest.mark.browser

CHOICES = "what lies in the field?\nA) red\n   B) blue\nC) green"


@pytest.fixture
def noor(site: Site, new_context: NewContext) -> Page:
    """An annotator at a question with four lines, an answer with two and a rationale with two."""
    with session_scope() as session:
        round_ = session.get_one(Round, site.round_id)
        item = make_item(
            session,
            session.get_one(Project, site.project_id),
            image=stored_picture(session, 99),
            question=CHOICES,
            answer="A) red\nonly",
        )
        texts = [f"{text}\nand then some" for text in TEXTS]
        make_round_item(session, round_, item, texts=texts, slots=2).priority = 1
    page = new_context().new_page()
    page.goto(site.link("Noor", is_admin=True))
    page.goto(site.judge_url())
    page.keyboard.press("g")
    return page


def press(page: Page, key: str, code: str, *, shift: bool = False) -> None:
    """A key as another layout writes it."""
    page.evaluate(
        "([key, code, shiftKey]) => document.activeElement.dispatchEvent(new KeyboardEvent("
        "'keydown', { key, code, shiftKey, bubbles: true, cancelable: true }))",
        [key, code, shift],
    )


# --- Texts -----------------------------------------------------------------------------------


def test_line_ends_are_shown_wherever_people_read_texts(noor: Page, site: Site) -> None:
    for selector, text in (
        ("#question", CHOICES),
        (".asked__answer strong", "A) red\nonly"),
    ):
        assert noor.locator(selector).inner_text() == text
    assert noor.locator(".choice__text").first.inner_text().endswith("\nand then some")
    noor.goto(f"{site.web.url}/rounds/{site.round_id}/mine")
    assert CHOICES in noor.locator(".rows").inner_text()
    with session_scope() as session:
        item_id = session.scalars(select(Item.id).where(Item.question == CHOICES)).one()
    noor.goto(f"{site.web.url}/items/{item_id}")
    assert noor.locator("h1").inner_text() == CHOICES
    assert "and then some" in noor.locator("article.card p").first.inner_text().splitlines()


def test_a_rationale_can_be_selected_and_a_drag_over_it_picks_nothing(noor: Page) -> None:
    box = noor.locator(".choice__text").first.bounding_box()
    assert box is not None
    y = box["y"] + 12
    noor.mouse.move(box["x"] + 4, y)
    noor.mouse.down()
    noor.mouse.move(box["x"] + 90, y, steps=6)
    noor.mouse.up()
    assert len(noor.evaluate("String(getSelection())")) > 3
    expect(noor.locator("input[name=picked]:checked")).to_have_count(0)
    noor.mouse.click(box["x"] + 20, y)
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    expect_saved(noor, 1)


def test_fields_of_the_judging_page_run_from_the_right_where_their_text_does(noor: Page) -> None:
    noor.keyboard.press("e")
    noor.keyboard.press("1")
    noor.fill(".mend[open] [name=edit]", "لأنها حمراء")
    noor.keyboard.press("Escape")
    noor.keyboard.press("Escape")
    noor.keyboard.press("s")
    noor.fill("#other-reason", "الصورة مظلمة")
    direction = "s => getComputedStyle(document.querySelector(s)).direction"
    assert noor.evaluate(direction, "[name=edit]") == "rtl"
    assert noor.evaluate(direction, "#other-reason") == "rtl"


def test_a_better_text_that_is_too_long_is_told_beside_its_field(noor: Page) -> None:
    noor.keyboard.press("e")
    noor.keyboard.press("1")
    noor.fill(".mend[open] [name=edit]", "\U0001f534" * 1000)
    told = noor.locator(".mend[open] .field__error")
    expect(told).to_be_hidden()
    expect_saved(noor, 1)
    noor.fill(".mend[open] [name=edit]", "\U0001f534" * 1001)
    expect(told).to_contain_text("at most 1,000 characters")
    expect(noor.locator("#saved")).to_contain_text("but for a text that is too long")
    noor.keyboard.press("Escape")
    noor.keyboard.press("n")
    expect(noor.locator("#saved")).to_contain_text("Saved v2")
    assert stored()[0].none_fits
    noor.keyboard.press("Enter")
    expect(noor.locator(".mend[open] [name=edit]")).to_be_focused()
    noor.fill(".mend[open] [name=edit]", "it is red")
    noor.keyboard.press("Escape")
    noor.keyboard.press("Enter")
    expect(noor.locator("#answer")).not_to_have_attribute("data-judgement-id", str(stored()[0].id))


# --- Keyboards -------------------------------------------------------------------------------


def test_letters_of_other_scripts_press_the_keys_that_they_stand_on(noor: Page) -> None:
    none, wrong = (noor.locator(f"input[name={it}]") for it in ("none_fits", "answer_is_wrong"))
    for layout, keys in {
        "Cyrillic": ("т", "ц"),
        "Greek": ("ν", "ς"),
        "Arabic": ("ى", "ص"),
        "Hebrew": ("מ", "׳"),
        "Hangul": ("ㅜ", "ㅈ"),
        "an input method": ("Process", "Process"),
    }.items():
        press(noor, keys[0], "KeyN")
        assert (none.is_checked(), wrong.is_checked()) == (True, False), layout
        press(noor, keys[1], "KeyW")
        assert (none.is_checked(), wrong.is_checked()) == (False, True), layout


def test_digits_of_other_scripts_and_rows_pick(noor: Page) -> None:
    third = noor.locator("input[name=picked]").nth(2)
    is_picked = False
    for layout, (key, code) in {
        "Arabic": ("\u0663", "Digit3"),
        "Persian": ("\u06f3", ""),
        "Devanagari": ("\u0969", "Digit3"),
        "Thai": ("\u0e53", ""),
        "full width": ("\uff13", ""),
        "French": ('"', "Digit3"),
        "Czech": ("š", "Digit3"),
        "Thai, the row": ("ต", "Digit3"),
    }.items():
        press(noor, key, code)
        is_picked = not is_picked
        assert third.is_checked() is is_picked, layout
        assert noor.locator("input[name=picked]:checked").count() == int(is_picked), layout
    press(noor, "\u061f", "Slash", shift=True)
    expect(noor.locator(".keys__table")).to_be_visible()


def test_what_a_latin_key_writes_goes_before_where_it_is(noor: Page) -> None:
    """On AZERTY the key at the place of Q writes an a, which is no key of ours."""
    press(noor, "a", "KeyN")
    press(noor, "!", "Digit1", shift=True)
    expect(noor.locator("input:checked:not(#keys-on)")).to_have_count(0)
    press(noor, "n", "KeyL")
    expect(noor.locator("input[name=none_fits]")).to_be_checked()
    first = answer_id(noor)
    expect_saved(noor, 1)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert stored()[0].none_fits


def test_a_row_of_digits_without_shift_answers_what_is_asked(noor: Page) -> None:
    first = answer_id(noor)
    press(noor, "ы", "KeyS")
    expect(noor.locator("#skip")).to_have_attribute("open", "")
    press(noor, "é", "Digit2")
    expect_next(noor, first)
    assert stored()[0].skip_reason == "The question is unclear"
