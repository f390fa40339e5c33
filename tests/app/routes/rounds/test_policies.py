"""The pages that say what policies would admit, and where two of them differ."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from app.models import Project, Round, User
from app.queries.admission.tallies import PAGE_SIZE
from app.round_settings import AdmissionSettings, JudgingSettings, LoopSettings
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_round, make_user
from tests.support.judging import gather_now, make_judged_items, make_people

SETTINGS = LoopSettings(
    judging=JudgingSettings(overlap=3),
    admission=AdmissionSettings(policy="dawid_skene", probability=0.8),
    auto_advance=False,
)
N_ITEMS = PAGE_SIZE + 2


@pytest.fixture
def round_(session: Session) -> Round:
    """Two of three people pick the first two texts of each item, one picks the last."""
    round_ = make_round(session, make_project(session), settings=SETTINGS)
    people = make_people(session, 3)

    def choose(user: User, shown: list[int]) -> list[int]:
        return sorted(shown)[-1:] if user is people[2] else sorted(shown)[:2]

    make_judged_items(session, round_, people, n_items=N_ITEMS, choose=choose)
    return round_


@pytest.fixture
def admin(client: TestClient, session: Session, round_: Round) -> TestClient:
    return member(client, session, round_, Role.ADMIN)


def member(client: TestClient, session: Session, round_: Round, role: Role) -> TestClient:
    user = make_user(session)
    make_membership(session, session.get_one(Project, round_.project_id), user, role)
    return sign_in(client, session, user)


def test_the_round_says_what_each_policy_would_admit(
    admin: TestClient, session: Session, round_: Round
) -> None:
    url = f"/rounds/{round_.id}"
    assert "not been tried" in text_of(admin.get(url), "#policies")
    gather_now(session, round_)
    shown = text_of(admin.get(url), "#policies")
    assert f"Dawid–Skene at 80.0 % admits {2 * N_ITEMS} of {4 * N_ITEMS}" in shown
    assert f"majority: {2 * N_ITEMS}; unanimous: 0." in shown
    assert "since then" not in shown
    make_judged_items(session, round_, make_people(session, 1), n_items=1)
    assert "1 judgement more or less since then" in text_of(admin.get(url), "#policies")


def test_closing_shows_what_was_weighed_with_its_age(
    admin: TestClient, session: Session, round_: Round
) -> None:
    url = f"/rounds/{round_.id}/close"
    asked = admin.get(url)
    assert "known once people are weighed" in text_of(asked, "main")
    assert "People are weighed when judging is closed" in text_of(asked, "main")
    assert page(asked).select_one(f'form[action="/rounds/{round_.id}/evidence"]')
    gather_now(session, round_)
    asked = admin.get(url)
    assert f"{2 * N_ITEMS} rationales of {N_ITEMS} items would be admitted" in text_of(
        asked, "main"
    )
    assert "Counted" in text_of(asked, "main")
    assert not page(asked).select_one(f'form[action="/rounds/{round_.id}/evidence"]')
    make_judged_items(session, round_, make_people(session, 1), n_items=1)
    rows = [text_of_row(row) for row in page(admin.get(url)).select("tbody tr")]
    assert rows[0].startswith(f"Anybody says it fits {3 * N_ITEMS + 2}"), "counted anew"
    assert f"this round {2 * N_ITEMS}" in rows[-1], "as it was weighed"


def text_of_row(row: object) -> str:
    return " ".join(row.get_text(" ").split())  # type: ignore[attr-defined]


def test_where_two_policies_differ_is_listed_page_by_page(
    admin: TestClient, session: Session, round_: Round
) -> None:
    gather_now(session, round_)
    url = f"/rounds/{round_.id}/policies?one=any&other=majority"
    first = admin.get(url)
    assert (
        f"They differ on {N_ITEMS} rationales of {N_ITEMS} items: {N_ITEMS} only by any, 0 only by "
        "majority."
    ) in text_of(first, "main")
    cards = page(first).select("article")
    assert len(cards) == PAGE_SIZE
    (row,) = cards[0].select("li")
    assert "1 of 3 votes, probability 0." in text_of_row(row)
    assert text_of_row(row).endswith("admitted by any")
    assert cards[0].select_one("img")
    (following,) = page(first).select('a[rel="next"]')
    rest = admin.get(str(following["href"]))
    assert len(page(rest).select("article")) == 2
    assert not page(rest).select('a[rel="next"]')


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("", "Both admit the same."),
        ("?one=nobody&other=knows", "Both admit the same."),
        ("?one=any&other=any", "Choose two different policies."),
    ],
)
def test_odd_choices_are_answered(
    admin: TestClient, session: Session, round_: Round, query: str, said: str
) -> None:
    address = f"/rounds/{round_.id}/policies{query}"
    assert "Nothing to compare yet" in text_of(admin.get(address), "main")
    gather_now(session, round_)
    assert said in text_of(admin.get(address), "main")


def test_only_admins_compare(client: TestClient, session: Session, round_: Round) -> None:
    url = f"/rounds/{round_.id}/policies"
    assert client.get(url).status_code == 303
    assert member(client, session, round_, Role.ANNOTATOR).get(url).status_code == 403
    assert sign_in(client, session, make_user(session)).get(url).status_code == 404
