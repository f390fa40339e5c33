"""The part of a round's page that says what the warnings of a model are worth."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import DoubtFigures, Figure
from app.lifecycle import Role
from app.models import Project, Round
from app.web.pages.quality.doubts import words_of_doubts
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_user
from tests.support.judging import gather_now
from tests.support.quality.doubts import make_doubted_round


@pytest.fixture
def round_(session: Session) -> Round:
    """Ten items: of what is doubted nine of ten do not fit, of the rest one of ten."""
    return make_doubted_round(session)


@pytest.fixture
def admin(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session)
    make_membership(session, session.get_one(Project, round_.project_id), user, Role.ADMIN)
    return sign_in(client, session, user)


def test_the_page_says_what_warnings_are_worth_beside_as_many_at_random(
    admin: TestClient, session: Session, round_: Round
) -> None:
    assert page(admin.get(f"/rounds/{round_.id}")).select("#doubts") == []
    gather_now(session, round_)
    shown = admin.get(f"/rounds/{round_.id}")
    assert "A warning says something: what is warned of is judged not to fit 40.0 points more" in (
        text_of(shown, "#doubts")
    )
    rows = [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("td")]
        for row in page(shown).select("#doubt-figures tbody tr")
    ]
    assert [(row[0][:6], row[1]) for row in rows] == [("90.0 %", "50.0 %"), ("90.0 %", "50.0 %")]
    assert all(" to " in row[0] for row in rows)
    assert "It warned of 10 of 20 judged rationales" in text_of(shown, "#doubts")
    assert "People saw the warnings while they judged" in text_of(shown, "#doubts")


def told(above: Figure, *, n_doubted: int = 3, n_against: int = 3) -> str:
    return words_of_doubts(
        DoubtFigures(n_candidates=9, n_doubted=n_doubted, n_against=n_against, above=above)
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (told(Figure(value=0.1, low=0.02, high=0.2)), "A warning says something"),
        (told(Figure(value=-0.1, low=-0.2, high=-0.02)), "A warning misleads"),
        (told(Figure(value=0.1, low=-0.02, high=0.2)), "No sign"),
        (told(Figure(value=0.1)), "Too few items"),
        (told(Figure(), n_doubted=0), "never differed"),
        (told(Figure(), n_against=0), "Every rationale was judged to fit"),
    ],
)
def test_each_outcome_has_its_words(words: str, said: str) -> None:
    assert said in words
