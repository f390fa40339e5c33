"""Forms come back as they were: open, save, and what was not changed is the same to the byte."""

from collections.abc import Callable

import pytest
from bs4 import Tag
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from app.models import Item, Judgement, PracticeCandidate, PracticeItem, Project
from app.round_settings import LoopSettings, SamplingSettings, TrainingSettings
from app.services.judging import practice_items
from app.services.projects.guidelines import update_guidelines
from app.services.projects.projects import settings_of
from tests.support.browsing import filled_in, one, page, sign_in
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)

TEXTS = [
    "What is in the field?\nA) red\nB) green\n\nC) blue",
    "\nbegins and ends with empty lines\n\n",
    "line ends of\r\nWindows and\rold Macs\r\n",
    "  blanks \t around and  between  \t",
    "<b>&amp;\"quoted\"</b> </textarea> 'it' \u2028 \u00a0",
    "नमस्ते 👩‍👩‍👧 e\u0301 é",
]


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def open_form(client: TestClient, url: str, selector: str) -> tuple[str, dict[str, list[str]]]:
    """Where a form sends to, and what it sends when nobody touched it."""
    form: Tag = one(client.get(url), selector)
    return str(form["action"]), filled_in(form)


def wording(item: Item) -> tuple[str, str, list[str]]:
    return item.question, item.answer, list(item.gold_rationales)


@pytest.mark.parametrize("text", TEXTS)
def test_correcting_the_answer_leaves_the_rest_of_an_item_to_the_byte(
    admin: TestClient, session: Session, project: Project, text: str
) -> None:
    gold = [text, "one line", text + "\nmore"]
    item = make_item(session, project, question=text, answer="yes", gold_rationales=gold)
    url, fields = open_form(admin, f"/items/{item.id}/correct", "form.form")
    assert admin.post(url, data=fields | {"answer": "no"}).status_code == 303
    session.refresh(item)
    assert wording(item) == (text, "no", gold)


@pytest.mark.parametrize("text", TEXTS)
def test_an_item_that_came_back_untouched_is_not_corrected(
    admin: TestClient, session: Session, project: Project, text: str
) -> None:
    item = make_item(session, project, question=text, answer=text, gold_rationales=[text, text])
    url, fields = open_form(admin, f"/items/{item.id}/correct", "form.form")
    refused = admin.post(url, data=fields)
    assert (refused.status_code, "Nothing was changed" in refused.text) == (422, True)
    # The form that comes back with the refusal holds the same.
    assert filled_in(one(refused, "form.form")) == fields


def test_a_gold_rationale_of_four_lines_stays_one(
    admin: TestClient, session: Session, project: Project
) -> None:
    four = "first\nsecond\nthird\nfourth"
    item = make_item(session, project, gold_rationales=[four])
    url, fields = open_form(admin, f"/items/{item.id}/correct", "form.form")
    typed = fields | {"gold_rationale": [fields["gold_rationale"][0], "new\r\nof two lines"]}
    assert admin.post(url, data=typed).status_code == 303
    session.refresh(item)
    assert item.gold_rationales == [four, "new\nof two lines"]


def test_gold_rationales_are_added_and_removed_without_a_script(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project, gold_rationales=["a", "b\nb", "c"])
    url, fields = open_form(admin, f"/items/{item.id}/correct", "form.form")
    assert fields["gold_rationale"] == ["a", "b\r\nb", "c", ""]
    more = admin.post(url, data=fields | {"more": "true"})
    assert len(page(more).select("textarea[name=gold_rationale]")) == 5
    fields = filled_in(one(more, "form.form"))
    fewer = admin.post(url, data=fields | {"remove": "0"})
    fields = filled_in(one(fewer, "form.form"))
    assert fields["gold_rationale"] == ["b\r\nb", "c", "", ""]
    session.refresh(item)
    assert item.gold_rationales == ["a", "b\nb", "c"]  # nothing is stored by these buttons
    assert admin.post(url, data=fields).status_code == 303
    session.refresh(item)
    assert item.gold_rationales == ["b\nb", "c"]


def test_an_item_has_at_most_fifty_gold_rationales(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project)
    data = {"question": "why?", "answer": "so", "gold_rationale": [str(n) for n in range(51)]}
    refused = admin.post(f"/items/{item.id}/correct", data=data)
    assert (refused.status_code, "at most 50" in refused.text) == (422, True)


@pytest.mark.parametrize("text", TEXTS)
def test_a_practice_item_comes_back_as_it_was(
    admin: TestClient, session: Session, project: Project, text: str
) -> None:
    item = make_item(session, project, answer=text, gold_rationales=[text, "one line"])
    practice_item = practice_items.add_item(session, project, item, actor=None)
    selector = f"form[action$='/practice/items/{practice_item.id}']"
    url = f"/projects/{project.slug}/practice/items/{practice_item.id}"
    address, fields = open_form(admin, url, selector)
    assert admin.post(address, data=fields | {"explanation": "so\r\nit is"}).status_code == 303

    def stored() -> list[object]:
        session.expire_all()
        kept = session.get_one(PracticeItem, practice_item.id)
        candidates = session.query(PracticeCandidate).order_by(PracticeCandidate.position)
        return [kept.answer, kept.explanation, [(one.text, one.fits) for one in candidates]]

    assert stored() == [text, "so\nit is", [(text, True), ("one line", True)]]
    address, fields = open_form(admin, url, selector)
    assert admin.post(address, data=fields).status_code == 303
    assert stored() == [text, "so\nit is", [(text, True), ("one line", True)]]


def test_the_share_that_passes_practice_comes_back_as_it_was(
    admin: TestClient, session: Session, project: Project
) -> None:
    project.practice_pass_share = 2 / 3
    url, fields = open_form(
        admin, f"/projects/{project.slug}/practice/items", "form[action$='/rules']"
    )
    assert admin.post(url, data=fields).status_code == 303
    session.refresh(project)
    assert project.practice_pass_share == pytest.approx(2 / 3, abs=1e-12)


@pytest.mark.parametrize("text", TEXTS)
def test_guidelines_and_details_come_back_as_they_were(
    admin: TestClient, session: Session, project: Project, text: str
) -> None:
    # As an older version, or a restored backup, may have stored them.
    project.guidelines = project.description = project.licence = text
    number = project.guidelines_version
    for path, selector in (
        ("guidelines", "form[action$='/guidelines']"),
        ("settings", "form[action$='/details']"),
    ):
        url, fields = open_form(admin, f"/projects/{project.slug}/{path}", selector)
        assert admin.post(url, data=fields).status_code == 303
    session.refresh(project)
    assert (project.guidelines, project.guidelines_version) == (text, number)
    assert (project.description, project.licence) == (text, text)


def test_guidelines_keep_their_lines_whichever_line_ends_come(
    session: Session, project: Project
) -> None:
    update_guidelines(session, project, guidelines="a\r\nb\rc\n", actor=None)
    assert project.guidelines == "a\nb\nc"


def test_the_settings_of_the_loop_come_back_as_they_were(
    admin: TestClient, session: Session, project: Project
) -> None:
    settings = LoopSettings(
        sampling=SamplingSettings(
            openers=(", seeing that", "\nBecause", " ", " so "), temperatures=(1 / 3, 0.01)
        ),
        training=TrainingSettings(learning_rate=1.23456789e-4),
    )
    project.settings = settings.model_dump(mode="json")
    url, fields = open_form(
        admin, f"/projects/{project.slug}/settings", "form[action$='/settings']"
    )
    assert admin.post(url, data=fields).status_code == 303
    session.refresh(project)
    assert settings_of(project) == settings
    # Beside a new opener the others stay what they were, line breaks and all.
    fields["sampling.openers"] = [", seeing that\r\n\\nBecause\r\n, so"]
    assert admin.post(url, data=fields).status_code == 303
    session.refresh(project)
    assert settings_of(project).sampling.openers == (", seeing that", "\nBecause", ", so")


@pytest.mark.parametrize("text", ["two\nlines", '<b>&amp; "q"', "नमस्ते 👍", "a\n\nb  c"])
def test_a_draft_comes_back_as_it_was(
    client: TestClient, session: Session, project: Project, text: str
) -> None:
    noor = make_user(session)
    make_membership(session, project, noor)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    sign_in(client, session, noor)
    selector = "form#answer"
    action, fields = open_form(client, f"/rounds/{round_.id}/judge", selector)
    typed = fields | {"comment": [text], "edit": [text, *fields["edit"][1:]]}

    def stored() -> tuple[str, dict[str, object], int]:
        session.expire_all()
        judgement = session.query(Judgement).one()
        return judgement.comment, judgement.edits, judgement.version

    save: Callable[[dict[str, list[str]]], object] = lambda data: client.post(  # noqa: E731
        action.replace("/submit", "/draft"), data=data
    )
    save(typed)
    first = stored()
    assert first[0] == text
    assert list(first[1].values()) == [text]
    _, fields = open_form(client, f"/rounds/{round_.id}/judge", selector)
    save(fields)
    assert stored() == first


def test_own_keys_come_back_as_they_were(client: TestClient, session: Session) -> None:
    noor = make_user(session)
    noor.judging_keys = {"none": "&", "wrong": "ArrowUp", "skip": "é"}
    sign_in(client, session, noor)
    url, fields = open_form(client, "/account/keys", "form.card")
    assert client.post(url, data=fields).status_code == 303
    session.refresh(noor)
    assert noor.judging_keys == {"none": "&", "wrong": "ArrowUp", "skip": "é"}
