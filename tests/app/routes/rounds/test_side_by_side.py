"""Two rounds side by side, and the items that changed between them."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from app.models import Project
from app.services.projects import removal
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_user
from tests.support.rounds.side_by_side import HELD_OUT, UNJUDGED, make_compared_project


@pytest.fixture
def project(session: Session) -> Project:
    return make_compared_project(session)


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    return signed_in(client, session, project, Role.ADMIN)


def signed_in(client: TestClient, session: Session, project: Project, role: Role) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, role)
    return sign_in(client, session, user)


def base(project: Project) -> str:
    return f"/projects/{project.slug}/side-by-side"


def test_the_newest_round_is_held_beside_the_one_before(
    admin: TestClient, project: Project
) -> None:
    shown = admin.get(base(project))
    selected = page(shown).select("option[selected]")
    assert [option.get_text() for option in selected] == ["Round 1", "Round 2"]
    scores = text_of(shown, "section:has(#scores-title)")
    # Two began to fit and one ceased, of five; Agresti and Min by hand.
    assert "40.0 %" in scores
    assert "60.0 %" in scores
    assert "+20.0 points" in scores
    assert "5 items" in scores
    # The only setting that differs.
    settings = text_of(shown, "section:has(#settings-title)")
    assert "sampling.temperatures" in settings
    assert "overlap" not in settings
    figures = text_of(shown, "section:has(#figures-title)")
    assert "Covered so far 2 2" in figures


@pytest.mark.parametrize("rest", ["?before=1", "/items?change=regressed&after=2"])
def test_addresses_of_before_lead_on(admin: TestClient, project: Project, rest: str) -> None:
    sent = admin.get(f"/projects/{project.slug}/compare{rest}", follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, f"{base(project)}{rest}")


def test_it_counts_the_items_that_changed_and_links_to_them(
    admin: TestClient, project: Project
) -> None:
    shown = admin.get(base(project))
    lines = [row.get_text(" ", strip=True) for row in page(shown).select(".rows__row")]
    assert lines == [
        "Improved: the rationale began to fit 2",
        "Regressed: the rationale ceased to fit 1",
        "The answer became right, without a rationale that began to fit 1",
        "The answer became wrong, without a rationale that ceased to fit 0",
        "Judged in both, admitted only after 1",
        "Judged in both, admitted only before 1",
    ]
    assert "3 items were judged in both rounds" in text_of(shown, "main")
    for link in page(shown).select(".rows__row a"):
        assert admin.get(str(link["href"])).status_code == 200


def items_of(admin: TestClient, project: Project, query: str) -> list[str]:
    shown = admin.get(f"{base(project)}/items?{query}")
    return [row.get_text(" ", strip=True) for row in page(shown).select(".changed")]


def test_items_stand_with_what_was_said_before_and_after(
    admin: TestClient, project: Project
) -> None:
    most, less = items_of(admin, project, "change=improved")
    # Where the answer changed, too, the change is the greater one.
    assert "is it much-better?" in most
    assert "Round 1 blue no idea wrong answer Round 2 red the ball is red fits" in most
    assert "Round 1 red it is round does not fit Round 2 red it is red all over fits" in less
    (worse,) = items_of(admin, project, "change=regressed")
    assert "Round 1 red it is a red ball fits Round 2 blue it is blue wrong answer" in worse
    shown = page(admin.get(f"{base(project)}/items?change=regressed"))
    assert shown.select_one(".changed img") is not None


def test_fit_is_compared_on_items_that_have_a_verdict_both_times(
    client: TestClient, session: Session
) -> None:
    project = make_compared_project(session, "Partly judged", {**HELD_OUT, **UNJUDGED})
    admin = signed_in(client, session, project, Role.ADMIN)
    rows = page(admin.get(base(project))).select("section:has(#scores-title) tbody tr")
    right, fit = (" ".join(row.get_text(" ").split()) for row in rows)
    assert right.endswith("7 items")
    # As without the others: two began and one ceased, of five.
    assert "+20.0 points" in fit
    assert fit.endswith("5 items")
    counts = page(admin.get(base(project))).select(".rows__row strong")
    assert [count.get_text() for count in counts][:4] == ["2", "1", "2", "1"]
    (bare,) = [row for row in items_of(admin, project, "change=right") if "is it bare?" in row]
    assert "Round 1 blue no idea wrong answer Round 2 red the ball is red no verdict" in bare
    (late,) = items_of(admin, project, "change=wrong")
    assert "Round 1 red it is blue no verdict Round 2 blue so it is wrong answer" in late


def test_without_a_common_verdict_there_is_no_change_of_fit(
    client: TestClient, session: Session
) -> None:
    turned = {
        "before": (("it is red", True, True), ("it is red", True, None)),
        "after": (("it is red", True, None), ("it is red", True, False)),
    }
    project = make_compared_project(session, "Judged by turns", turned)
    admin = signed_in(client, session, project, Role.ADMIN)
    rows = page(admin.get(base(project))).select("section:has(#scores-title) tbody tr")
    cells = [cell.get_text(" ", strip=True).split(" ")[0] for cell in rows[1].select("td")]
    assert cells == ["100.0\u00a0%", "0.0\u00a0%", "–"]


def test_judged_items_stand_with_the_text_that_judges_liked_best(
    admin: TestClient, project: Project
) -> None:
    (gained,) = items_of(admin, project, "change=admitted")
    assert "gained in round 1 0 of 1 say it fits" in gained
    assert "gained in round 2 admitted: 1 of 1 say it fits" in gained
    (lost,) = items_of(admin, project, "change=not_admitted&before=1&after=2")
    assert "lost in round 1 admitted" in lost
    # The other way round, what was lost was gained.
    (back,) = items_of(admin, project, "change=admitted&before=2&after=1")
    assert "lost in round 1 admitted" in back


def test_long_lists_have_pages(admin: TestClient, project: Project) -> None:
    shown = admin.get(f"{base(project)}/items?change=improved&page=2")
    assert "No item changed so" in text_of(shown, "main")
    assert page(shown).select_one(".changed") is None
    for odd in ("page=-5", "page=9223372036854775807"):
        assert admin.get(f"{base(project)}/items?{odd}").status_code == 200


def test_the_base_model_is_a_side_without_judging(admin: TestClient, project: Project) -> None:
    shown = admin.get(f"{base(project)}?before=0&after=1")
    assert "Base model" in text_of(shown, "section:has(#scores-title) thead")
    assert page(shown).select_one("#settings-title") is None
    assert admin.get(f"{base(project)}/items?before=0&after=1&change=admitted").status_code == 200


@pytest.mark.parametrize("query", ["before=7", "after=3", "before=-1"])
def test_a_round_that_is_not_there_is_told(admin: TestClient, project: Project, query: str) -> None:
    for url in (base(project), f"{base(project)}/items"):
        answer = admin.get(f"{url}?{query}")
        assert answer.status_code == 404
        assert "There is no round" in answer.text
    assert admin.get(f"{base(project)}/items?change=better").status_code == 404


def test_a_project_without_rounds_says_so(client: TestClient, session: Session) -> None:
    empty = make_project(session, name="Empty")
    admin = signed_in(client, session, empty, Role.ADMIN)
    assert "No rounds yet" in text_of(admin.get(base(empty)), "main")


def test_an_archived_project_can_still_be_compared(
    admin: TestClient, session: Session, project: Project
) -> None:
    removal.archive_project(session, project, actor=None)
    session.commit()
    assert admin.get(base(project)).status_code == 200


def test_the_page_of_a_round_leads_there(
    admin: TestClient, session: Session, project: Project
) -> None:
    links = page(admin.get(f"/projects/{project.slug}")).select('a[href^="/rounds/"]')
    shown = page(admin.get(str(links[-1]["href"])))
    found = [str(link["href"]) for link in shown.select("section:has(#compared-title) a")]
    assert len(found) == 4
    assert all(admin.get(address).status_code == 200 for address in found)


def test_only_admins_see_it(client: TestClient, session: Session, project: Project) -> None:
    for url in (base(project), f"{base(project)}/items"):
        client.cookies.clear()
        assert client.get(url, follow_redirects=False).status_code in {303, 401}
        annotator = signed_in(client, session, project, Role.ANNOTATOR)
        assert annotator.get(url).status_code == 403
        stranger = sign_in(client, session, make_user(session))
        assert stranger.get(url).status_code == 404
