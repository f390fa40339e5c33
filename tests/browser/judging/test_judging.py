"""Judging in a real browser: keys, saving, lost connections and sessions, small screens."""

import re

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus, RoundItemState
from app.models import Judgement, RoundItem, User
from app.services.accounts.accounts import make_sign_in_link
from tests.browser.conftest import PHONE, NewContext, Site

pytestmark = pytest.mark.browser


def stored(name: str = "Noor") -> list[Judgement]:
    """What the database has of a person, in the order in which it was handed out."""
    with session_scope() as session:
        return list(
            session.scalars(
                select(Judgement)
                .join(User, User.id == Judgement.user_id)
                .where(User.name == name)
                .order_by(Judgement.id)
            )
        )


def answer_id(page: Page) -> int:
    return int(page.get_attribute("#answer", "data-judgement-id") or 0)


def expect_saved(page: Page, version: int) -> None:
    expect(page.locator("#saved")).to_have_text(re.compile(rf"Saved v{version}\b"))


def expect_next(page: Page, before: int) -> None:
    expect(page.locator("#answer")).not_to_have_attribute("data-judgement-id", str(before))


# --- Keys ------------------------------------------------------------------------------------


def test_a_whole_item_with_one_hand(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("1")
    expect_saved(noor, 1)
    noor.keyboard.press("3")
    expect_saved(noor, 2)
    noor.keyboard.press("3")
    expect_saved(noor, 3)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    expect(noor.locator("#question")).to_be_focused()
    judgement = stored()[0]
    assert judgement.status is JudgementStatus.SUBMITTED
    assert judgement.picked == [judgement.shown_order[0]]
    assert judgement.active_ms > 0


def test_three_facts_take_each_other_away(noor: Page) -> None:
    picked = noor.locator("input[name=picked]:checked")
    none, wrong = noor.locator("input[name=none_fits]"), noor.locator("input[name=answer_is_wrong]")
    noor.keyboard.press("2")
    noor.keyboard.press("n")
    expect(picked).to_have_count(0)
    expect(none).to_be_checked()
    noor.keyboard.press("w")
    expect(none).not_to_be_checked()
    expect(wrong).to_be_checked()
    noor.keyboard.press("4")
    expect(wrong).not_to_be_checked()
    expect(picked).to_have_count(1)
    expect(noor.locator("#saved")).to_contain_text("Saved")
    assert len(stored()[0].picked) == 1


def test_enter_held_down_submits_one_item(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("n")
    for _ in range(4):
        noor.keyboard.down("Enter")
    noor.keyboard.up("Enter")
    expect_next(noor, first)
    noor.wait_for_timeout(300)
    statuses = [judgement.status for judgement in stored()]
    assert statuses == [JudgementStatus.SUBMITTED, JudgementStatus.LEASED]


def test_enter_with_nothing_chosen_says_what_is_missing(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("Enter")
    expect(noor.locator("#toasts")).to_contain_text("Nothing is chosen yet")
    assert answer_id(noor) == first


def test_take_back_and_submit_again(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    noor.keyboard.press("u")
    expect(noor.locator("#answer")).to_have_attribute("data-judgement-id", str(first))
    expect(noor.locator("input[name=none_fits]")).to_be_checked()
    noor.keyboard.press("5")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert len(stored()[0].picked) == 1


def test_skip_asks_for_the_reason(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("s")
    expect(noor.locator("#skip [name=reason]").first).to_be_focused()
    noor.keyboard.press("Escape")
    expect(noor.locator("#skip")).not_to_have_attribute("open", "")
    noor.keyboard.press("s")
    noor.keyboard.press("2")
    expect_next(noor, first)
    assert stored()[0].skip_reason == "The question is unclear"


def test_another_reason_is_typed_without_pressing_keys(noor: Page) -> None:
    first = answer_id(noor)
    noor.keyboard.press("s")
    noor.fill("#other-reason", "number 1 is not shown")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert stored()[0].skip_reason == "number 1 is not shown"
    assert stored()[0].picked == []


def test_own_items_with_the_arrows(noor: Page, site: Site) -> None:
    first = answer_id(noor)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    noor.keyboard.press("ArrowLeft")
    noor.wait_for_url(f"**/judgements/{first}")
    expect(noor.locator("#work")).to_contain_text("You submitted this answer")
    noor.keyboard.press("1")  # looking back changes nothing
    noor.keyboard.press("ArrowRight")
    noor.wait_for_url(site.judge_url())
    assert stored()[0].none_fits


def test_no_key_fires_inside_a_text_field(noor: Page) -> None:
    noor.keyboard.press("c")
    expect(noor.locator("#comment")).to_be_focused()
    noor.keyboard.type("1 new word, so n and w stay text?\nu s f 0")
    expect_saved(noor, 1)
    expect(noor.locator("input:checked")).to_have_count(1)  # the switch of the keys itself
    noor.keyboard.press("Escape")
    noor.keyboard.press("f")
    expect_saved(noor, 2)
    noor.keyboard.press("i")
    expect_saved(noor, 3)
    judgement = stored()[0]
    assert judgement.is_unsure
    assert judgement.comment == "1 new word, so n and w stay text?\nu s f 0"
    assert judgement.is_flagged
    assert judgement.picked == []


def test_keys_can_be_switched_off_and_stay_off(noor: Page) -> None:
    noor.keyboard.press("?")
    noor.uncheck("#keys-on")
    noor.keyboard.press("Escape")
    noor.reload()
    noor.keyboard.press("1")
    expect(noor.locator("input[name=picked]:checked")).to_have_count(0)


def test_zoom_and_guidelines_by_key(noor: Page) -> None:
    noor.keyboard.press("z")
    expect(noor.locator("#view")).to_have_class(re.compile("is-zoomed"))
    noor.keyboard.press("z")
    expect(noor.locator("#view")).not_to_have_class(re.compile("is-zoomed"))
    noor.keyboard.press("g")
    expect(noor.locator(".guide__panel")).to_be_visible()
    noor.reload()
    expect(noor.locator(".guide__panel")).to_be_visible()


def test_enter_submits_after_the_mouse_pressed_a_button(noor: Page) -> None:
    first = answer_id(noor)
    noor.click(".choice >> nth=1")
    noor.click("button[data-action=zoom]")
    noor.keyboard.press("Enter")
    expect_next(noor, first)


def test_stopping_for_now_keeps_what_was_chosen_and_frees_the_item(noor: Page, site: Site) -> None:
    first = answer_id(noor)
    noor.keyboard.press("3")
    expect_saved(noor, 1)
    noor.click("text=Stop for now")
    expect(noor.locator("#toasts")).to_contain_text("What you chose is kept")
    assert stored()[0].status is JudgementStatus.RELEASED
    noor.click("text=Start judging")
    assert answer_id(noor) == first
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)


# --- Trouble ---------------------------------------------------------------------------------


def test_a_click_without_connection_is_saved_when_it_returns(noor: Page) -> None:
    noor.context.set_offline(True)
    noor.keyboard.press("2")
    expect(noor.locator("#saved")).to_contain_text("for the connection")
    noor.context.set_offline(False)
    expect_saved(noor, 1)
    assert len(stored()[0].picked) == 1


def test_a_submission_without_connection_is_sent_when_it_returns(noor: Page) -> None:
    first = answer_id(noor)
    noor.context.set_offline(True)
    noor.keyboard.press("n")
    noor.keyboard.press("Enter")
    expect(noor.locator("#saved")).to_contain_text("for the connection")
    noor.context.set_offline(False)
    expect_next(noor, first)
    assert stored()[0].status is JudgementStatus.SUBMITTED


def test_what_could_not_be_sent_survives_closing_the_page(noor: Page, site: Site) -> None:
    context, first = noor.context, answer_id(noor)
    context.set_offline(True)
    noor.keyboard.press("1")
    noor.keyboard.press("4")
    expect(noor.locator("#saved")).to_contain_text("for the connection")
    noor.close()
    context.set_offline(False)
    again = context.new_page()
    again.goto(site.judge_url())
    assert answer_id(again) == first
    expect(again.locator("input[name=picked]:checked")).to_have_count(2)
    expect_saved(again, 1)
    assert len(stored()[0].picked) == 2


def test_a_lost_session_keeps_the_answer_and_sends_it_after_signing_in(
    noor: Page, site: Site
) -> None:
    first = answer_id(noor)
    noor.context.clear_cookies()
    noor.keyboard.press("2")
    dialog = noor.locator("#dialog")
    expect(dialog).to_contain_text("You were signed out")
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    with session_scope() as session:
        user = session.scalars(select(User).where(User.name == "Noor")).one()
        link = site.web.url + make_sign_in_link(session, user)
    other = noor.context.new_page()
    other.goto(link)
    other.close()
    noor.bring_to_front()
    noor.click("[data-send-again]")
    expect_saved(noor, 1)
    noor.keyboard.press("Enter")
    expect_next(noor, first)
    assert len(stored()[0].picked) == 1


def test_a_stale_tab_sees_both_versions(noor: Page, site: Site) -> None:
    other = noor.context.new_page()
    other.goto(site.judge_url())
    other.keyboard.press("1")
    expect_saved(other, 1)
    noor.keyboard.press("2")
    expect(noor.locator("#dialog")).to_contain_text("changed in another tab")
    assert stored()[0].picked == [stored()[0].shown_order[0]]
    noor.click("text=Use what is here instead")
    noor.wait_for_load_state()
    expect(noor.locator("input[name=picked]:checked")).to_have_count(1)
    assert stored()[0].picked == [stored()[0].shown_order[1]]


def test_an_empty_page_finds_the_next_item_by_itself(noor: Page, site: Site) -> None:
    with session_scope() as session:
        for item in session.scalars(select(RoundItem)):
            item.state = RoundItemState.WAITING
    noor.reload()
    expect(noor.locator("#question")).to_contain_text("being prepared")
    with session_scope() as session:
        session.scalars(select(RoundItem)).first().state = RoundItemState.OPEN  # type: ignore[union-attr]
    expect(noor.locator("#answer")).to_be_visible()


# --- Without JavaScript ----------------------------------------------------------------------


def test_three_items_without_javascript(site: Site, new_context: NewContext) -> None:
    page = new_context(javascript=False).new_page()
    page.goto(site.link("Lin"))
    page.click("text=Start judging")
    expect(page.locator("[data-action=zoom], #keys")).to_have_count(2)
    for locator in page.locator("[data-action=zoom], #keys").all():
        expect(locator).to_be_hidden()
    page.click("#guidelines summary")
    for number in (1, 2, 3):
        first = answer_id(page)
        page.locator("input[name=picked]").nth(number).check()
        page.click("text=Save draft")
        expect(page.locator("#toasts")).to_contain_text("Draft saved")
        assert answer_id(page) == first
        page.click(".bar__submit")
        expect_next(page, first)
    page.locator("[data-action=skip]").click()
    page.click("text=The question is unclear")
    page.click("[data-action=take-back]")
    expect(page.locator("#toasts")).to_contain_text("Taken back")
    page.locator("input[name=answer_is_wrong]").check()
    page.click(".bar__submit")
    expect(page.locator("#answer [role=alert]")).to_contain_text("only one of the three")
    page.goto(site.web.url)
    expect(page.locator(".card")).to_contain_text("By you: 2 items, 2 of them today")
    statuses = sorted(judgement.status for judgement in stored("Lin"))
    assert statuses.count(JudgementStatus.SUBMITTED) == 2
    assert statuses.count(JudgementStatus.SKIPPED) == 1


# --- Layout ----------------------------------------------------------------------------------


def is_in_view(page: Page, selector: str) -> bool:
    box = page.locator(selector).bounding_box()
    height = page.viewport_size["height"]  # type: ignore[index]
    return box is not None and box["y"] >= 0 and box["y"] + box["height"] <= height


def test_question_and_candidates_need_no_scrolling_on_a_desktop(noor: Page) -> None:
    noor.keyboard.press("g")  # with the guidelines beside them
    for selector in ("#question", ".choice >> nth=0", ".choice >> nth=5", ".bar__submit"):
        assert is_in_view(noor, selector), selector
    image = noor.locator(".view__image")
    assert image.evaluate("image => image.complete && image.naturalWidth > 0")
    assert is_in_view(noor, ".view__image")
    bar, last = noor.locator(".bar").bounding_box(), noor.locator(".choice >> nth=5").bounding_box()
    assert bar is not None
    assert last is not None
    assert last["y"] + last["height"] <= bar["y"]


@pytest.mark.parametrize("size", [PHONE, (320, 640)], ids=["360", "320"])
def test_a_phone_shows_everything_under_the_thumb(
    site: Site, new_context: NewContext, size: tuple[int, int]
) -> None:
    page = new_context(size, touch=True).new_page()
    page.goto(site.link("Noor"))
    for path in ("/", f"/rounds/{site.round_id}/mine", f"/rounds/{site.round_id}/judge"):
        page.goto(site.web.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
    page.click("text=Close the guidelines")
    for selector in ("#question", "input[name=none_fits]", ".bar__submit"):
        assert is_in_view(page, selector), selector
    for target in page.locator(".choice, .bar .btn:visible").all():
        box = target.bounding_box()
        assert box is not None
        assert box["height"] >= 44, target
    page.tap(".choice >> nth=0")
    expect_saved(page, 1)
    page.mouse.wheel(0, 600)
    assert is_in_view(page, ".bar__submit")
    first = answer_id(page)
    page.tap(".bar__submit")
    expect_next(page, first)


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_colours_follow_the_system_until_they_are_chosen(
    site: Site, new_context: NewContext, javascript: bool
) -> None:
    page = new_context(scheme="dark", javascript=javascript).new_page()

    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.goto(f"{site.web.url}/sign-in")
    dark = background()
    page.click("[data-theme-form] button")
    light = background()
    assert light != dark
    page.reload()
    assert background() == light
    page.click("[data-theme-form] button")
    page.click("[data-theme-form] button")
    assert background() == dark


def test_every_control_has_a_name(noor: Page, site: Site) -> None:
    unnamed = """() => [...document.querySelectorAll(
        "button, a, input:not([type=hidden]), textarea, summary")]
      .filter(e => e.checkVisibility() && !(e.getAttribute("aria-label") || e.innerText?.trim()
        || e.textContent.trim() || [...(e.labels || [])].some(l => l.textContent.trim())))
      .map(e => e.outerHTML)"""
    for path in (
        "/",
        f"/rounds/{site.round_id}/judge",
        f"/rounds/{site.round_id}/mine",
        "/account",
    ):
        noor.goto(site.web.url + path)
        assert noor.evaluate(unnamed) == []
        assert noor.locator("h1").count() == 1
