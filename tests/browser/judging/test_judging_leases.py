"""Who has an item after reloads, other tabs, looks back and signing out: each is waited out."""

import time
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import func, select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus
from app.models import Judgement, Project, Round, User
from app.services.judging import leases, opening
from tests.browser.conftest import NewContext, Site, add_items
from tests.browser.judging.test_judging import answer_id, expect_next, expect_saved, stored
from tests.support.factories import make_membership, make_user
from tests.support.processes import wait_for

pytestmark = pytest.mark.browser

WAITED_OUT = 40
WHOLE = 270
"""Seconds left of a lease of 300 whose page sent a heartbeat not long ago."""


def seconds_left(judgement_id: int) -> float:
    with session_scope() as session:
        until = session.get_one(Judgement, judgement_id).lease_until
        return (until - datetime.now(UTC)).total_seconds() if until else 0


def status_of(judgement_id: int) -> JudgementStatus:
    with session_scope() as session:
        return session.get_one(Judgement, judgement_id).status


def hand_out_to_colleagues(site: Site, *, number: int) -> set[int]:
    """Free what ran out, as the sweep does, and hand everything that is free to new people."""
    taken: set[int] = set()
    for _ in range(number):
        with session_scope() as session:
            leases.free_expired_leases(session)
            round_ = session.get_one(Round, site.round_id)
            colleague = make_user(session)
            make_membership(session, session.get_one(Project, site.project_id), colleague)
            judgement = opening.open_next_item(session, round_, colleague)
            if judgement is not None:
                taken.add(judgement.round_item_id)
    return taken


def begin(site: Site, new_context: NewContext, name: str) -> Page:
    """Somebody who has submitted an item and begun the next one, with one rationale picked."""
    page = new_context().new_page()
    page.goto(site.link(name))
    page.goto(site.judge_url())
    page.keyboard.press("g")
    first = answer_id(page)
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    expect_next(page, first)
    page.keyboard.press("1")
    expect_saved(page, 1)
    return page


@pytest.mark.slow
def test_an_item_stays_with_its_reader_and_is_free_where_the_reader_left(
    site: Site, new_context: NewContext
) -> None:
    """Five people at once, so that the waiting is done once."""
    with session_scope() as session:
        add_items(session, site.round_id, range(10, 20))
    names = ("Reload", "Tab", "Back", "Twice", "Out", "Shut")
    pages = {name: begin(site, new_context, name) for name in names}
    held = {name: answer_id(page) for name, page in pages.items()}
    first_of_back = stored("Back")[0].id

    pages["Reload"].reload()
    with pages["Tab"].context.new_page() as other:
        other.goto(site.judge_url())
        assert answer_id(other) == held["Tab"]
        other.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide'))")
    pages["Back"].keyboard.press("ArrowLeft")
    pages["Back"].wait_for_url(f"**/judgements/{first_of_back}")
    for _ in range(3):
        pages["Twice"].reload()
    pages["Out"].click(".topbar__end .menu summary")
    pages["Out"].click("text=Sign out")
    pages["Out"].wait_for_url("**/sign-in")
    assert status_of(held["Out"]) is JudgementStatus.RELEASED
    pages["Shut"].close(run_before_unload=True)
    wait_for(lambda: 0 < seconds_left(held["Shut"]) <= 20)

    time.sleep(WAITED_OUT)
    stay = ("Reload", "Tab", "Back", "Twice")
    left = {name: seconds_left(held[name]) for name in stay}
    assert min(left.values()) > WHOLE, left
    taken = hand_out_to_colleagues(site, number=40)
    by_item = {one.id: one.round_item_id for name in names for one in stored(name)}
    assert by_item[held["Out"]] in taken
    assert by_item[held["Shut"]] in taken
    assert status_of(held["Shut"]) is JudgementStatus.RELEASED

    pages["Back"].keyboard.press("ArrowRight")
    pages["Back"].wait_for_url(site.judge_url())
    for name in stay:
        assert answer_id(pages[name]) == held[name]
        pages[name].keyboard.press("2")
        expect_saved(pages[name], 2)
        pages[name].keyboard.press("Enter")
        expect_next_or_empty(pages[name], held[name])
        assert status_of(held[name]) is JudgementStatus.SUBMITTED


def expect_next_or_empty(page: Page, before: int) -> None:
    expect(page.locator(f"#answer[data-judgement-id='{before}']")).to_have_count(0)


def test_a_page_of_ours_in_between_does_not_shorten_the_lease(
    site: Site, new_context: NewContext
) -> None:
    page = begin(site, new_context, "Noor")
    held = answer_id(page)
    page.click("text=Your items")
    page.wait_for_url("**/mine")
    page.wait_for_timeout(300)
    assert seconds_left(held) > WHOLE


def test_a_page_that_looks_back_keeps_what_is_begun_until_it_is_closed(
    site: Site, new_context: NewContext
) -> None:
    page = begin(site, new_context, "Noor")
    held = answer_id(page)
    with page.expect_response(f"**/judgements/{held}/heartbeat"):
        page.keyboard.press("ArrowLeft")
    assert seconds_left(held) > WHOLE
    page.goto("about:blank")
    wait_for(lambda: seconds_left(held) <= 20)


def test_of_two_tabs_only_the_last_one_gives_the_item_back(
    site: Site, new_context: NewContext
) -> None:
    page = begin(site, new_context, "Noor")
    held = answer_id(page)
    other = page.context.new_page()
    other.goto(site.judge_url())
    assert answer_id(other) == held
    with page.expect_response("**/heartbeat"):
        other.goto("about:blank")
    page.wait_for_timeout(300)
    assert seconds_left(held) > WHOLE
    page.goto("about:blank")
    wait_for(lambda: seconds_left(held) <= 20)


def test_signing_out_waits_for_what_was_just_typed(site: Site, new_context: NewContext) -> None:
    page = begin(site, new_context, "Noor")
    held = answer_id(page)
    page.keyboard.press("c")
    page.keyboard.type("blurred")
    page.click(".topbar__end .menu summary")
    page.click("text=Sign out")
    page.wait_for_url("**/sign-in")
    with session_scope() as session:
        judgement = session.get_one(Judgement, held)
        assert (judgement.comment, judgement.status) == ("blurred", JudgementStatus.RELEASED)
        assert session.scalar(select(func.count()).select_from(User)) == 1


def test_reading_without_moving_counts_and_a_pause_does_not(noor: Page, site: Site) -> None:
    noor.clock.install()
    noor.goto(site.judge_url())
    noor.mouse.move(300, 300)
    noor.clock.fast_forward(150_000)
    assert 150_000 <= active_ms(noor, 1) < 165_000
    noor.clock.fast_forward(30 * 60_000)
    noor.mouse.move(310, 300)
    assert 330_000 <= active_ms(noor, 2) < 345_000, (
        "half an hour without a sign counts as 3 minutes"
    )


def active_ms(page: Page, version: int) -> int:
    # Its reply has come, or a leap of the clock would make the page give it up and send it again.
    with page.expect_response("**/draft") as reply:
        page.keyboard.press("f")
    expect_saved(page, version)
    body = dict(part.split("=") for part in (reply.value.request.post_data or "").split("&"))
    return int(body["active_ms"])
