"""The map of items and rounds: on the round's page, and with its items on a page of its own."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role, RoundStatus, Split
from app.models import Item, ItemTrail, Project, Round
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_user,
)
from tests.support.judging import gather_now, make_judged_items, make_people


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def make_rounds(session: Session, project: Project) -> list[Round]:
    return [
        make_round(session, project, number=number, status=RoundStatus.CANCELLED)
        for number in (1, 2)
    ]


def make_trails(
    session: Session, project: Project, *trails: str, split: Split = Split.TRAIN
) -> list[Item]:
    items = [make_item(session, project, split=split) for _ in trails]
    for item, trail in zip(items, trails, strict=True):
        session.add(ItemTrail(item_id=item.id, project_id=project.id, split=split, trail=trail))
    session.flush()
    return items


def names(response: object) -> list[str]:
    return [link.text for link in page(response).select("#map-items th[scope=row] a")]


def test_the_round_shows_picture_and_numbers_and_leads_to_the_items(
    admin: TestClient, session: Session, project: Project
) -> None:
    first, second = make_rounds(session, project)
    url = f"/rounds/{second.id}"
    assert not page(admin.get(url)).select("#map")
    items = make_trails(session, project, "uu", "ui", "ic", "us")
    make_trails(session, project, "cr", split=Split.VALIDATION)
    shown = admin.get(url)
    assert len(page(shown).select("#map svg.map")) == 2
    rows = [
        [" ".join(cell.get_text(" ").split()) for cell in row.select("th, td")]
        for row in page(shown).select('table[data-map="train"] tbody tr')
    ]
    assert rows == [
        ["! set aside", "0", "1"],
        ["· judged, nothing admitted", "3", "1"],
        ["+ improved: newly covered", "1", "1"],
        ["✓ covered before", "0", "1"],
    ]
    assert "regressed: ceased to fit" in text_of(shown, 'table[data-map="validation"]')
    link = one(shown, 'table[data-map="train"] tbody tr:nth-child(2) td:nth-of-type(1) a')
    assert names(admin.get(str(link["href"]))) == [
        items[3].external_id, items[0].external_id, items[1].external_id
    ]  # fmt: skip
    # The first round's page knows nothing of the second.
    assert len(page(admin.get(f"/rounds/{first.id}")).select("#map thead th")) == 4


def test_the_page_of_an_item_tells_its_trail(
    admin: TestClient, session: Session, project: Project
) -> None:
    _, last = make_rounds(session, project)
    train, _ = make_trails(session, project, "ui", "--")
    (measured,) = make_trails(session, project, "cr", split=Split.VALIDATION)
    told = {
        item.id: [" ".join(li.get_text(" ").split()) for li in shown.select("#trail li")]
        for item in (train, measured)
        for shown in [page(admin.get(f"/items/{item.id}"))]
    }
    assert told[train.id] == [
        "+ Round 2 : improved: newly covered",
        "· Round 1 : judged, nothing admitted",
    ]
    assert told[measured.id][0].endswith("Round 2 : regressed: ceased to fit")
    link = one(admin.get(f"/items/{train.id}"), "#trail li:first-child a")
    assert link["href"] == f"/rounds/{last.id}#map"
    test_item = make_item(session, project, split=Split.TEST)
    assert page(admin.get(f"/items/{test_item.id}")).select("#trail") == []


def test_a_stretch_of_the_map_lists_its_items_page_by_page(
    admin: TestClient, session: Session, project: Project
) -> None:
    _, last = make_rounds(session, project)
    items = make_trails(session, project, *["uu"] * 90, *["ic"] * 60)
    url = f"/rounds/{last.id}/map"
    whole = admin.get(url)
    assert "items 1 to 150 of 150" in text_of(whole, "#stretch")
    rows = page(whole).select("svg.map a")
    assert len(rows) == 38
    assert rows[0]["aria-label"] == "Items 1 to 4"
    assert names(admin.get(str(rows[0]["href"]))) == [item.external_id for item in items[:4]]
    stretch = admin.get(f"{url}?first=81&last=140")
    assert names(stretch) == [item.external_id for item in items[80:130]]
    following = one(stretch, ".pager a[rel=next]")
    assert names(admin.get(str(following["href"]))) == [item.external_id for item in items[130:140]]
    link = one(stretch, "#map-items tbody tr:first-child th a")
    assert link["href"] == f"/items/{items[80].id}"
    whole_again = one(stretch, "#stretch + a")
    assert "items 1 to 150 of 150" in text_of(admin.get(str(whole_again["href"])), "#stretch")


@pytest.mark.parametrize(
    "query",
    ["split=nothing", "number=9&fared=u", "number=1&fared=x", "first=900&last=3", "page=77",
     "split=test&fared=r&number=1", "split=validation&number=1&fared=s"],
)  # fmt: skip
def test_what_makes_no_sense_is_passed_over(
    admin: TestClient, session: Session, project: Project, query: str
) -> None:
    _, last = make_rounds(session, project)
    make_trails(session, project, "uu", "ic")
    assert admin.get(f"/rounds/{last.id}/map?{query}").status_code == 200


def test_without_a_map_its_page_leads_to_the_round(
    admin: TestClient, session: Session, project: Project
) -> None:
    _, last = make_rounds(session, project)
    response = admin.get(f"/rounds/{last.id}/map")
    assert response.headers["Location"] == f"/rounds/{last.id}"


def test_who_may_not_manage_the_project_sees_no_map(
    client: TestClient, session: Session, project: Project
) -> None:
    url = f"/rounds/{make_rounds(session, project)[1].id}/map"
    make_trails(session, project, "uu")
    assert client.get(url).status_code == 303
    annotator = make_user(session)
    make_membership(session, project, annotator)
    sign_in(client, session, annotator)
    assert client.get(url).status_code == 403


def test_the_map_is_written_when_agreement_is_measured(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    make_judged_items(session, round_, make_people(session, 2), n_items=3)
    gather_now(session, round_)
    assert "judged, nothing admitted 3" in " ".join(
        text_of(admin.get(f"/rounds/{round_.id}"), "#map table").split()
    )
