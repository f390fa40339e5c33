"""Questions that a model asked, in a browser: by keyboard alone, without script, and on a phone."""

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import JudgementStatus, RoundStatus
from app.models import AskedQuestion, Item, Project, QuestionReview, Round
from tests.browser.conftest import PHONE, NewContext, Site, stored_picture
from tests.support.factories import make_membership, make_user
from tests.support.rounds.asked_questions import AskedRound, choose, open_image, submit

pytestmark = pytest.mark.browser

BOX, LEFT, DOG = "what color is the box?", "is the box on the left?", "is the dog asleep?"
ASKED = ((BOX, "red"), (LEFT, "yes"), (DOG, None))


@pytest.fixture
def url(site: Site) -> str:
    """The address of the questions of the site's project: of two images, three questions each."""
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        images = [stored_picture(session, 70 + number) for number in range(2)]
        asked = AskedRound(session, project, n_images=2, number=2, images=images)
        for place in range(2):
            asked.ask(place, ASKED)
        return f"{site.web.url}/projects/{project.slug}/questions"


def items() -> list[tuple[str, str]]:
    with session_scope() as session:
        made = select(Item).where(Item.external_id.startswith("asked-")).order_by(Item.id)
        return [(item.question, item.answer) for item in session.scalars(made)]


def states() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with session_scope() as session:
        for one in session.scalars(select(AskedQuestion).order_by(AskedQuestion.id)):
            found.setdefault(one.text, []).append(one.state.value)
    return found


def waits(page: Page, n: int) -> None:
    expect(page.locator(".bar__state")).to_contain_text(f"{n} image")


def kept(page: Page) -> list[str]:
    """What the browser keeps of answers that were not acknowledged."""
    names: list[str] = page.evaluate("Object.keys(localStorage)")
    return [name for name in names if "outbox" in name]


def test_by_keyboard_alone(site: Site, new_context: NewContext, url: str) -> None:
    page = new_context().new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    waits(page, 2)
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("w")  # the answer, of the second
    page.keyboard.press("2")
    page.keyboard.type("no")
    page.keyboard.press("Enter")  # leaves the field
    page.keyboard.press("e")  # why it is dropped, of the third
    page.keyboard.press("3")
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("Saved")
    page.locator("#question").focus()
    page.keyboard.press("Enter")
    waits(page, 1)
    assert items() == [(BOX, "red"), (LEFT, "no")]
    page.keyboard.press("u")
    waits(page, 2)
    expect(page.locator("[name=picked]:checked")).to_have_count(2)
    assert items() == []
    page.keyboard.press("n")
    expect(page.locator("[name=picked]:checked")).to_have_count(0)
    page.keyboard.press("Enter")
    waits(page, 1)
    assert {text: set(of[:1]) for text, of in states().items()} == {
        BOX: {"dropped"},
        LEFT: {"dropped"},
        DOG: {"dropped"},
    }
    page.keyboard.press("s")
    expect(page.locator("#question")).to_contain_text("You skipped what is left")


def test_a_question_is_worded_anew_and_kept_by_that(
    site: Site, new_context: NewContext, url: str
) -> None:
    page = new_context().new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    page.keyboard.press("e")
    page.keyboard.press("1")
    page.keyboard.press("e")  # once more: the wording
    field = page.locator("textarea:focus")
    expect(field).to_have_value(BOX)
    field.fill("what color is the small box?")
    expect(page.locator("[name=picked]:checked")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    waits(page, 1)
    assert items() == [("what color is the small box?", "red")]


def test_what_was_chosen_survives_a_reload_and_a_refusal(
    site: Site, new_context: NewContext, url: str
) -> None:
    page = new_context().new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    page.keyboard.press("3")
    expect(page.locator("#saved")).to_contain_text("Saved")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("Question 3 has no answer")
    page.reload()
    expect(page.locator("[name=picked]:checked")).to_have_count(1)
    page.get_by_label("Its answer, question 3").fill("yes")
    page.locator("#question").focus()
    page.keyboard.press("Enter")
    waits(page, 1)
    assert items() == [(DOG, "yes")]
    with session_scope() as session:
        review = session.scalars(select(QuestionReview).order_by(QuestionReview.id)).first()
        assert review is not None
        assert review.counted_ms > 0


def test_what_could_not_be_sent_survives_closing_the_page(
    site: Site, new_context: NewContext, url: str
) -> None:
    context = new_context()
    page = context.new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    waits(page, 2)
    context.set_offline(True)
    page.keyboard.press("1")
    page.keyboard.press("e")
    page.keyboard.press("3")
    page.keyboard.press("1")
    page.get_by_label("The model answers, question 2").fill("no")
    page.locator("#question").focus()
    page.keyboard.press("2")
    expect(page.locator("#saved")).to_contain_text("clicks wait for the connection")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("your answer waits for the connection")
    page.close()
    context.set_offline(False)
    assert items() == []
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".toast")).to_contain_text("before the interruption is back")
    expect(page.locator("[name=picked]:checked")).to_have_count(2)
    expect(page.locator("[name=fault]:checked")).to_have_count(1)
    expect(page.locator("#saved")).to_contain_text("Saved")
    page.keyboard.press("Enter")
    waits(page, 1)
    assert items() == [(BOX, "red"), (LEFT, "no")]
    assert (
        page.evaluate("Object.keys(localStorage).filter((name) => name.includes('outbox'))") == []
    )


def test_what_came_too_late_is_told_on_the_next_page(
    site: Site, new_context: NewContext, url: str
) -> None:
    context = new_context()
    page = context.new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    waits(page, 2)
    context.set_offline(True)
    page.keyboard.press("1")
    expect(page.locator("#saved")).to_contain_text("1 click waits for the connection")
    page.keyboard.press("Enter")
    expect(page.locator("#saved")).to_contain_text("your answer waits for the connection")
    page.close()
    context.set_offline(False)
    with session_scope() as session:
        mine = session.scalars(select(QuestionReview)).one()
        mine.status, mine.lease_until = JudgementStatus.RELEASED, None
        other, project = make_user(session), session.get_one(Project, site.project_id)
        make_membership(session, project, other)
        theirs = open_image(session, project, other)
        assert theirs.asked_image_id == mine.asked_image_id
        submit(session, theirs, choose(session, theirs, drops_all=True))
    page = context.new_page()
    page.goto(url)
    expect(page.locator(".toast")).to_contain_text("was not stored: Your reservation")
    waits(page, 1)
    assert items() == []
    assert (
        page.evaluate("Object.keys(localStorage).filter((name) => name.includes('outbox'))") == []
    )


@pytest.mark.parametrize("javascript", [True, False])
def test_on_a_phone_with_and_without_script(
    site: Site, new_context: NewContext, url: str, javascript: bool
) -> None:
    page = new_context(PHONE, javascript=javascript).new_page()
    page.goto(site.link("Ada"))
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0] if javascript else True
    page.locator(".choice", has_text=BOX).click()
    page.get_by_label("The model answers, question 1").fill("crimson")
    page.get_by_role("button", name="Submit").click()
    waits(page, 1)
    assert items() == [(BOX, "crimson")]
    page.get_by_role("button", name="Take back").click()
    waits(page, 2)
    assert items() == []
    page.locator(".choice", has_text="Drop all").click()
    if not javascript:
        page.locator(".choice", has_text=BOX).click()
    page.get_by_role("button", name="Submit").click()
    waits(page, 1)
