"""The practice round: begun, answered, explained, passed or not; never mixed with judgements."""

from collections.abc import Sequence

import pytest
from httpx2 import Response
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import PracticeMode, Role, Split
from app.models import (
    Judgement,
    PracticeAnswer,
    PracticeAttempt,
    PracticeItem,
    Project,
    Round,
    User,
    VerdictRow,
)
from app.services.judging import practice_items
from app.services.judging.practice_items import Expected, Lesson
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)


def add_lesson(
    session: Session, project: Project, question: str, *, is_wrong: bool = False
) -> PracticeItem:
    item = make_item(session, project, question=question, split=Split.VALIDATION)
    added = practice_items.add_item(session, project, item, actor=None)
    lesson = Lesson(
        position=added.position,
        answer=item.answer,
        answer_is_wrong=is_wrong,
        explanation="About **all** of it.",
        candidates=(
            Expected("the ball is red", fits=True, explanation="Right, and a reason."),
            Expected("it is red", fits=False, explanation="Only says it again."),
        ),
    )
    practice_items.save_lesson(session, added, lesson, actor=None)
    session.flush()
    return added


@pytest.fixture
def project(session: Session) -> Project:
    project = make_project(session, name="Scenes")
    add_lesson(session, project, "first?")
    add_lesson(session, project, "second?")
    return project


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    round_ = make_round(session, project)
    for _ in range(2):
        make_round_item(session, round_, make_item(session, project))
    return round_


@pytest.fixture
def annotator(session: Session, project: Project) -> User:
    user = make_user(session, name="Noor")
    make_membership(session, project, user)
    return user


@pytest.fixture
def noor(client: TestClient, session: Session, annotator: User) -> TestClient:
    return sign_in(client, session, annotator)


def base(project: Project) -> str:
    return f"/projects/{project.slug}/practice"


def begin(client: TestClient, project: Project) -> Response:
    assert client.post(base(project)).status_code == 303
    return client.get(base(project))


def say(
    client: TestClient, shown: Response, *, picks: Sequence[int] = (), **facts: str
) -> Response:
    """Answer the item that is shown, picking texts by their places."""
    boxes = [str(box["value"]) for box in page(shown).select("input[name=picked]")]
    data = {"picked": [boxes[place] for place in picks], **facts}
    return client.post(str(one(shown, "#answer")["action"]), data=data)


def follow(client: TestClient, response: Response) -> Response:
    assert response.status_code == 303, response.text
    return client.get(response.headers["location"])


def go_through(client: TestClient, project: Project, *picks: Sequence[int]) -> Response:
    """A whole try; what is picked per item by its place. The result page."""
    shown = begin(client, project)
    for picked in picks:
        facts = {} if picked else {"none_fits": "true"}
        follow(client, say(client, shown, picks=picked, **facts))
        shown = client.get(base(project))
    return shown


def test_each_answer_is_explained_text_by_text(noor: TestClient, project: Project) -> None:
    shown = begin(noor, project)
    assert text_of(shown, "h1") == "first?"
    explained = follow(noor, say(noor, shown, picks=[0, 1]))
    assert text_of(explained, "#result") == "Not quite. 1 of 2 right."
    right, wrong = page(explained).select(".lesson")
    assert "lesson--right" in right["class"]
    assert "lesson--wrong" in wrong["class"]
    assert "Does not fit. You picked it. Only says it again." in " ".join(
        wrong.get_text(" ").split()
    )
    assert "About all of it." in text_of(explained, "#answer .prose")
    assert text_of(noor.get(base(project)), "h1") == "second?"


def test_it_goes_on_where_it_was_left_also_after_signing_in_anew(
    client: TestClient, session: Session, project: Project, annotator: User
) -> None:
    sign_in(client, session, annotator)
    say(client, begin(client, project), picks=[0])
    sign_in(client, session, annotator)
    assert text_of(client.get("/"), ".card__foot") == "Practice"  # also before a round is open
    assert text_of(client.get(base(project)), "h1") == "second?"
    assert text_of(begin(client, project), "h1") == "second?"
    assert session.scalar(select(func.count()).select_from(PracticeAttempt)) == 1


def test_the_first_answer_to_an_item_counts(
    noor: TestClient, session: Session, project: Project
) -> None:
    shown = begin(noor, project)
    first = say(noor, shown, picks=[1])
    again = say(noor, shown, picks=[0])
    assert first.headers["location"] == again.headers["location"]
    assert session.scalars(select(PracticeAnswer)).one().n_right == 0


@pytest.mark.parametrize(
    "data", [{}, {"none_fits": "true", "answer_is_wrong": "true"}, {"picked": ["999999"]}]
)
def test_an_answer_that_says_nothing_or_too_much_is_asked_again(
    noor: TestClient, session: Session, project: Project, data: dict[str, object]
) -> None:
    shown = begin(noor, project)
    refused = noor.post(str(one(shown, "#answer")["action"]), data=data)
    assert refused.status_code == 422
    assert one(refused, "#answer [role=alert]").text
    assert session.scalar(select(func.count()).select_from(PracticeAnswer)) == 0


def test_pass_rule_and_repeat(noor: TestClient, session: Session, project: Project) -> None:
    failed = go_through(noor, project, [0], [1])  # 2 + 0 of 4 right
    assert text_of(failed, "h1") == "Not there yet"
    assert "50 % of your verdicts were right; 80 % are needed" in text_of(failed, ".lede")
    passed = go_through(noor, project, [0], [0])
    assert text_of(passed, "h1") == "You are ready"
    rows = session.execute(
        select(PracticeAttempt.number, PracticeAttempt.is_passed).order_by(PracticeAttempt.number)
    ).all()
    assert [tuple(row) for row in rows] == [(1, False), (2, True)]


def test_a_wrong_answer_is_one_verdict(
    noor: TestClient, session: Session, project: Project
) -> None:
    add_lesson(session, project, "third?", is_wrong=True)
    go_through(noor, project, [0], [0])
    explained = follow(noor, say(noor, noor.get(base(project)), answer_is_wrong="true"))
    assert text_of(explained, "#result") == "All right. 1 of 1 right."
    assert "Right: the answer is wrong." in explained.text
    mistaken = go_through(noor, project, [])
    assert text_of(mistaken, "h1") == "second?"
    explained = follow(noor, say(noor, mistaken, answer_is_wrong="true"))
    assert text_of(explained, "#result") == "Not quite. 0 of 2 right."


# --- Required, offered, off -----------------------------------------------------------------


def test_required_practice_stands_before_the_first_item_until_it_is_passed(
    noor: TestClient, session: Session, project: Project, round_: Round
) -> None:
    project.practice = PracticeMode.REQUIRED
    judge = f"/rounds/{round_.id}/judge"
    refused = noor.get(judge)
    assert (refused.status_code, refused.headers["location"]) == (303, base(project))
    assert "Practise first" in text_of(noor.get("/"), ".card__foot")
    failed = go_through(noor, project, [1], [1])
    assert "Start judging" not in failed.text
    assert noor.get(judge).status_code == 303
    assert session.scalar(select(func.count()).select_from(Judgement)) == 0
    passed = go_through(noor, project, [0], [0])
    assert one(passed, f'a[href="{judge}"]')
    assert noor.get(judge).status_code == 200


def test_a_rule_that_comes_later_stops_nobody_midway(
    noor: TestClient, session: Session, project: Project, round_: Round
) -> None:
    shown = noor.get(f"/rounds/{round_.id}/judge")
    data = {"version": "0", "none_fits": "true"}
    assert noor.post(str(one(shown, "#answer")["action"]), data=data).status_code == 303
    project.practice = PracticeMode.REQUIRED
    assert noor.get(f"/rounds/{round_.id}/judge").status_code == 200
    assert "Practise first" not in noor.get("/").text


def test_offered_practice_is_a_link_until_it_is_done(
    noor: TestClient, session: Session, project: Project, round_: Round
) -> None:
    judge = f"/rounds/{round_.id}/judge"
    assert "Practise with 2 explained items" in text_of(noor.get(judge), ".guide__panel")
    go_through(noor, project, [1], [1])
    assert "Practise with" not in noor.get(judge).text


@pytest.mark.parametrize("has_items", [True, False], ids=["off", "without items"])
def test_no_practice_is_in_nobodys_way(
    noor: TestClient, session: Session, project: Project, round_: Round, has_items: bool
) -> None:
    project.practice = PracticeMode.OFF if has_items else PracticeMode.REQUIRED
    if not has_items:
        for item in session.scalars(select(PracticeItem)):
            session.delete(item)
    assert noor.get(f"/rounds/{round_.id}/judge").status_code == 200
    assert "No practice round" in noor.get(base(project)).text
    assert noor.post(base(project)).status_code == 409


# --- Apart ----------------------------------------------------------------------------------


def test_practice_leaves_no_judgement_and_no_verdict(
    noor: TestClient, session: Session, project: Project, round_: Round
) -> None:
    go_through(noor, project, [0], [0])
    for table in (Judgement, VerdictRow):
        assert session.scalar(select(func.count()).select_from(table)) == 0
    assert "0 items" not in text_of(noor.get("/"), ".lede")
    assert text_of(noor.get("/mine"), ".tile:first-child dd") == "0"


def test_answers_of_others_are_out_of_reach(
    client: TestClient, session: Session, project: Project, annotator: User
) -> None:
    sign_in(client, session, annotator)
    mine = say(client, begin(client, project), picks=[0]).headers["location"]
    other = make_user(session)
    make_membership(session, project, other)
    sign_in(client, session, other)
    assert client.get(mine).status_code == 404
    stranger = make_user(session)
    sign_in(client, session, stranger)
    assert client.get(base(project)).status_code == 404


def test_feedback_stays_as_it_was_when_an_admin_edits_the_item(
    noor: TestClient, session: Session, project: Project
) -> None:
    given = say(noor, begin(noor, project), picks=[0]).headers["location"]
    first = session.scalars(select(PracticeItem).order_by(PracticeItem.id)).first()
    assert first is not None
    lesson = Lesson(1, "red", False, "", (Expected("another text", fits=False),))
    practice_items.save_lesson(session, first, lesson, actor=None)
    explained = noor.get(given)
    assert "the ball is red" in explained.text
    assert "another text" not in explained.text


# --- Admins ---------------------------------------------------------------------------------


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def test_admin_chooses_an_item_and_writes_what_is_expected(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project, external_id="v-7", gold_rationales=("a gold one",))
    add = f"{base(project)}/items"
    assert admin.post(add, data={"external_id": "nobody"}).status_code == 422
    form = follow(admin, admin.post(add, data={"external_id": "v-7"}))
    assert one(form, "textarea[name=text-1]").text == "a gold one"
    assert text_of(begin(admin, project), ".judge__where .badge") == "Practice 1 of 2"
    url = str(one(form, ".split form")["action"])
    data = {"answer": "red", "position": "1", "explanation": "So.", "text-1": "a", "text-3": "b"}
    refused = admin.post(url, data=data)
    assert refused.status_code == 422
    assert "Rationale 1: does it fit or not?" in refused.text
    assert one(refused, "textarea[name=text-2]").text == "b"
    verdicts = {"verdict-1": "fits", "verdict-3": "misfit", "why-3": "Because."}
    assert admin.post(url, data={**data, **verdicts}).status_code == 303
    rows = page(admin.get(add)).select("tbody tr")
    assert len(rows) == 3
    assert item.question in rows[1].get_text()


def test_admin_sets_the_rules_and_takes_items_out(
    admin: TestClient, session: Session, project: Project
) -> None:
    rules = f"{base(project)}/rules"
    data = {"mode": "required", "pass_percent": "62.5"}
    assert admin.post(rules, data=data).status_code == 303
    session.refresh(project)
    assert (project.practice, project.practice_pass_share) == (PracticeMode.REQUIRED, 0.625)
    for wrong in ("101", "-1", "many", "nan", ""):
        answer = admin.post(rules, data={"mode": "off", "pass_percent": wrong})
        assert answer.status_code == 422, wrong
    shown = admin.get(f"{base(project)}/items")
    removals = [str(form["action"]) for form in page(shown).select('form[action$="/remove"]')]
    assert admin.post(removals[0]).status_code == 303
    assert session.scalar(select(func.count()).select_from(PracticeItem)) == 1


def test_an_item_of_a_round_can_be_used_from_its_page(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project)
    form = one(admin.get(f"/items/{item.id}"), f'form[action="/items/{item.id}/practice"]')
    first = admin.post(str(form["action"])).headers["location"]
    assert admin.post(str(form["action"])).headers["location"] == first
    assert "This is a train item" in admin.get(first).text


@pytest.mark.parametrize("path", ["/items", "/rules"])
def test_annotators_make_no_practice(noor: TestClient, project: Project, path: str) -> None:
    assert noor.post(base(project) + path, data={"mode": "off"}).status_code == 403
    assert noor.get(f"{base(project)}/items").status_code == 403
