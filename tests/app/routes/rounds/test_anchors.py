"""The part of a round's page that tells a better model from milder people."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import AnchorFigures, Figure
from app.lifecycle import Role
from app.models import Project, Round, User
from app.web.pages.rounds.anchors import words_of_change, words_of_drift
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_user
from tests.support.judging import gather_now, make_judged_items, make_people
from tests.support.quality.anchors import (
    anchored_settings,
    judge_all,
    make_first_round,
    open_anchors,
    start_next,
)


@pytest.fixture
def people(session: Session) -> list[User]:
    return make_people(session, 2)


@pytest.fixture
def first(session: Session, people: list[User]) -> Round:
    return make_first_round(session, people, n_items=20, settings=anchored_settings(4, overlap=2))


@pytest.fixture
def admin(client: TestClient, session: Session, first: Round) -> TestClient:
    user = make_user(session)
    make_membership(session, session.get_one(Project, first.project_id), user, Role.ADMIN)
    return sign_in(client, session, user)


def test_the_page_says_what_of_the_gain_may_be_drift(
    admin: TestClient, session: Session, first: Round, people: list[User]
) -> None:
    gather_now(session, first)
    assert page(admin.get(f"/rounds/{first.id}")).select("#anchors") == []
    second = start_next(session, first)
    waiting = text_of(admin.get(f"/rounds/{second.id}"), "#anchor-places")
    assert waiting.startswith("The round has 4 anchors, of whose judgements 0 of 8 are there.")
    open_anchors(session, second)
    judge_all(session, second, people, lambda _user, shown: sorted(shown)[:3])
    make_judged_items(session, second, people, n_items=3, choose=lambda _user, shown: list(shown))
    gather_now(session, second)
    shown = admin.get(f"/rounds/{second.id}")
    assert "People picked 25.0 points more of the same texts than in round 1 (interval 25.0" in (
        text_of(shown, "#anchors")
    )
    assert "25.0 of the 50.0 points gained since then may be drift." in text_of(shown, "#anchors")
    rows = [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("th, td")]
        for row in page(shown).select("#anchor-rounds tbody tr")
    ]
    assert rows == [
        ["1", "50.0 % 50.0 % to 50.0 %", "50.0 % 50.0 % to 50.0 %", "–", "4"],
        ["2", "100.0 % 100.0 % to 100.0 %", "75.0 % 75.0 % to 75.0 %", "+25.0 +25.0 to +25.0", "4"],
    ]
    chart = page(shown).select_one("#anchors svg")
    assert chart is not None
    assert len(chart.select(".chart__whisker")) == 4
    assert "of the anchors 75.0" in str(chart["aria-label"])


def told(change: Figure, *, fit: float, before: float = 0.4) -> tuple[str, str | None]:
    found = AnchorFigures(
        fit=Figure(value=fit, n=9), n_anchors=3, first_number=1, first_fit=before, change=change
    )
    return words_of_change(found), words_of_drift(found)


def figure(value: float, low: float, high: float) -> Figure:
    return Figure(value=value, low=low, high=high, n=3)


@pytest.mark.parametrize(
    ("change", "fit", "first_words", "drift"),
    [
        (figure(0.03, 0.01, 0.05), 0.5, "People picked 3.0 points more",
         "3.0 of the 10.0 points gained"),
        (figure(0.2, 0.1, 0.3), 0.5, "People picked 20.0 points more",
         "All of the 10.0 points gained"),
        (figure(0.01, -0.02, 0.04), 0.5, "No sign that people judge otherwise than in round 1",
         "at most 4.0 of them"),
        (figure(-0.05, -0.08, -0.02), 0.5, "People picked 5.0 points less",
         "although people are stricter now"),
        (figure(0.03, 0.01, 0.05), 0.3, "People picked 3.0 points more",
         "did not rise since then, but fell by 10.0 points"),
        (Figure(value=0.1, n=1), 0.5, "One anchor alone", None),
        (Figure(), 0.5, "No anchor has been judged", None),
    ],
)  # fmt: skip
def test_what_is_said_follows_the_interval(
    change: Figure, fit: float, first_words: str, drift: str | None
) -> None:
    words, follows = told(change, fit=fit)
    assert words.startswith(first_words)
    assert drift in follows if drift else follows is None
