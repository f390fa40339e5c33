"""The pages of how people judge: what admins see, in which order, and that nobody else does."""

import re

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import CheckAnswers, PeopleFigures
from app.lifecycle import EvidenceKind, Role, RoundStatus
from app.models import Project, Round, RoundEvidence, User
from app.round_settings import LoopSettings
from tests.support.browsing import page, sign_in
from tests.support.factories import make_membership, make_project, make_round, make_user
from tests.support.quality.people import judge_at_pace, make_annotators


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    return make_round(session, project, settings=LoopSettings(auto_advance=False))


@pytest.fixture
def people(session: Session, project: Project, round_: Round) -> dict[str, User]:
    """Two who read, and one who clicks the first place; and a member who judged nothing."""
    noor, lin, kim, _ = make_annotators(session, project, "Noor", "Lin", "Kim", "Abe")
    judge_at_pace(session, round_, {noor: 20, lin: 8, kim: 0.4}, clicker=kim)
    return {"Noor": noor, "Lin": lin, "Kim": kim}


def sign_in_as_admin(client: TestClient, session: Session, project: Project) -> User:
    admin = make_user(session, name="Ada")
    make_membership(session, project, admin, Role.ADMIN)
    sign_in(client, session, admin)
    return admin


def rows(client: TestClient, address: str, table: str = "#people") -> list[list[str]]:
    shown = page(client.get(address))
    return [
        [" ".join(cell.text.split()) for cell in row.select("th, td")]
        for row in shown.select(f"{table} tbody tr")
    ]


class TestAllPeople:
    def test_an_admin_sees_everybody_with_their_figures(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in_as_admin(client, session, project)
        found = {row[0]: row[1:] for row in rows(client, f"/projects/{project.slug}/people")}
        assert set(found) == {"Noor", "Lin", "Kim", "Abe", "Ada"}
        warnings, judged, item, candidate, picks, alpha, _ = found["Noor"]
        # Of twelve items in random orders, anybody's picks may follow positions by chance.
        assert warnings in ("", "follows positions")
        assert (judged, picks) == ("12", "50 %")
        assert item.startswith(("19.", "20."))
        assert candidate.startswith(("4.", "5."))
        assert float(alpha.split()[0]) > 0
        assert "fast and the same" in found["Kim"][0]
        assert found["Kim"][4] == "25 %"
        assert found["Abe"] == [""] + ["–"] * 6

    @pytest.mark.parametrize(
        ("order", "first"),
        [
            ("warnings", "Kim"),
            ("item", "Kim"),
            ("-item", "Noor"),
            ("name", "Abe"),
            ("-name", "Noor"),
            ("alpha", "Kim"),
            ("nonsense", "Kim"),
            ("--item", "Kim"),
        ],
    )
    def test_the_order_is_a_link(
        self,
        client: TestClient,
        session: Session,
        project: Project,
        people: dict[str, User],
        order: str,
        first: str,
    ) -> None:
        sign_in_as_admin(client, session, project)
        assert rows(client, f"/projects/{project.slug}/people?order={order}")[0][0] == first

    def test_the_present_column_is_marked_and_turns_round(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in_as_admin(client, session, project)
        shown = page(client.get(f"/projects/{project.slug}/people?order=item"))
        (marked,) = shown.select("th[aria-sort]")
        assert marked["aria-sort"] == "ascending"
        assert str(marked.select_one("a")["href"]).endswith("order=-item")  # type: ignore[index]

    def test_without_anything_measured_it_says_so(
        self, client: TestClient, session: Session, project: Project
    ) -> None:
        sign_in_as_admin(client, session, project)
        response = client.get(f"/projects/{project.slug}/people")
        assert response.status_code == 200
        assert "Nothing was measured so far." in response.text


class TestOnePerson:
    def test_a_warning_lists_the_answers_that_caused_it(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in_as_admin(client, session, project)
        kim = people["Kim"]
        response = client.get(f"/projects/{project.slug}/people/{kim.id}")
        assert "12 answers in a row pick the same places (1), each after 0.4 s" in response.text
        shown = page(response)
        listed = shown.select("#fast tbody tr")
        assert len(listed) == 12
        assert {row.select("td")[0].text for row in listed} == {"1"}
        link = str(listed[0].select_one("a")["href"])  # type: ignore[index]
        item, anchor = re.fullmatch(r"(/items/\d+)#(judgement-\d+)", link).groups()  # type: ignore[union-attr]
        assert page(client.get(item)).select_one(f"#{anchor}") is not None

    def test_who_reads_is_not_warned_of(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in_as_admin(client, session, project)
        response = client.get(f"/projects/{project.slug}/people/{people['Noor'].id}")
        assert not page(response).select("#fast")
        (line,) = rows(
            client, f"/projects/{project.slug}/people/{people['Noor'].id}", "#person-rounds"
        )
        assert line[1] == "12"

    def test_rounds_are_listed_one_by_one_and_together(
        self,
        client: TestClient,
        session: Session,
        project: Project,
        round_: Round,
        people: dict[str, User],
    ) -> None:
        round_.status = RoundStatus.CANCELLED
        session.flush()  # a project has one open round
        second = make_round(session, project, number=2, settings=LoopSettings(auto_advance=False))
        judge_at_pace(session, second, {people["Noor"]: 5, people["Lin"]: 5}, n_items=3)
        sign_in_as_admin(client, session, project)
        shown = rows(
            client, f"/projects/{project.slug}/people/{people['Noor'].id}", "#person-rounds"
        )
        assert [row[0] for row in shown] == ["2", "1"]
        assert [row[1] for row in shown] == ["3", "12"]

    def test_the_round_and_the_project_lead_here(
        self,
        client: TestClient,
        session: Session,
        project: Project,
        round_: Round,
        people: dict[str, User],
    ) -> None:
        sign_in_as_admin(client, session, project)
        address = f"/projects/{project.slug}/people"
        round_page = page(client.get(f"/rounds/{round_.id}"))
        assert round_page.select_one(f'a[href="{address}/{people["Kim"].id}"]') is not None
        assert page(client.get(f"/projects/{project.slug}")).select_one(f'a[href="{address}"]')


class TestWhoMaySeeIt:
    def addresses(self, project: Project, user: User) -> list[str]:
        return [f"/projects/{project.slug}/people{end}" for end in ("", f"/{user.id}")]

    def test_nobody_who_is_not_signed_in(
        self, client: TestClient, project: Project, people: dict[str, User]
    ) -> None:
        for address in self.addresses(project, people["Noor"]):
            assert client.get(address).headers["location"].startswith("/sign-in")

    def test_no_annotator_not_even_their_own(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in(client, session, people["Noor"])
        for user in people.values():
            for address in self.addresses(project, user):
                assert client.get(address).status_code == 403

    def test_no_stranger_and_no_admin_of_another_project(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        other = make_project(session)
        sign_in_as_admin(client, session, other)
        for address in self.addresses(project, people["Noor"]):
            assert client.get(address).status_code == 404
        theirs = f"/projects/{other.slug}/people/{people['Noor'].id}"
        assert client.get(theirs).status_code == 404, "they never judged there"

    def test_there_is_nobody_of_an_unknown_number(
        self, client: TestClient, session: Session, project: Project
    ) -> None:
        sign_in_as_admin(client, session, project)
        assert client.get(f"/projects/{project.slug}/people/999999").status_code == 404


class TestOnesOwnPage:
    def test_only_my_own_figures_are_there(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in(client, session, people["Noor"])
        (line,) = rows(client, "/mine", "#own-figures")
        assert line[0] == "Scenes, round 1"
        assert line[1].startswith(("19.", "20."))
        assert line[3] == "50 %"
        text = client.get("/mine").text
        assert "Lin" not in text
        assert "Kim" not in text
        for address in ("/mine?user=1", f"/mine?user_id={people['Lin'].id}"):
            (again,) = rows(client, address, "#own-figures")
            assert again[:-1] == line[:-1], "but for how long ago it was measured"

    def test_no_warning_is_told(
        self, client: TestClient, session: Session, project: Project, people: dict[str, User]
    ) -> None:
        sign_in(client, session, people["Kim"])
        text = client.get("/mine").text
        assert "fast and the same" not in text
        assert "in a row" not in text

    def test_a_project_that_was_left_shows_no_figures(
        self, client: TestClient, session: Session, round_: Round
    ) -> None:
        lone = make_user(session, name="Lone")
        judge_at_pace(session, round_, {lone: 9}, n_items=2)
        sign_in(client, session, lone)
        assert rows(client, "/mine", "#own-figures") == []

    @pytest.mark.parametrize(
        ("n_items", "status", "is_told"),
        [
            (6, RoundStatus.JUDGING, False),
            (6, RoundStatus.TRAINING, True),
            (5, RoundStatus.TRAINING, False),
        ],
    )
    def test_the_check_score_is_told_when_judging_is_over(
        self,
        client: TestClient,
        session: Session,
        project: Project,
        round_: Round,
        n_items: int,
        status: RoundStatus,
        is_told: bool,
    ) -> None:
        (noor,) = make_annotators(session, project, "Noor")
        judge_at_pace(session, round_, {noor: 20}, n_items=1)
        store_checks(session, round_, n_items)
        round_.status = status
        session.flush()  # read by the page
        sign_in(client, session, noor)
        (line,) = rows(client, "/mine", "#own-figures")
        assert line[6].startswith("0.50" if is_told else "–")


def store_checks(session: Session, round_: Round, n_items: int) -> None:
    """Let the stored figures of the one person of a round hold answers to check items."""
    stored = session.get_one(RoundEvidence, (round_.id, EvidenceKind.PEOPLE))
    figures = PeopleFigures.read(stored.figures)
    checks = CheckAnswers(
        n_items=n_items, n_hits=n_items, n_fit=2 * n_items, n_rejected=n_items, n_misfit=n_items
    )
    (person,) = figures.people
    changed = person.model_copy(update={"checks": checks})
    stored.figures = PeopleFigures(people=(changed,)).dump()
    session.flush()  # read by the page
