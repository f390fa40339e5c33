"""The page that compares two releases."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from app.models import Item, Project, ReleaseRow, RoundItem
from app.queries.releases import differences
from app.services.dataset.items import exclude_item
from app.services.releases.releases import create_release
from tests.support.browsing import page, sign_in
from tests.support.dataset_files import own_store
from tests.support.factories import make_membership, make_user
from tests.support.released_project import admit, correct_of, judge, make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def made(session: Session, tmp_path: Path) -> tuple[Project, list[Item]]:
    return make_released_project(session, tmp_path)


@pytest.fixture
def admin(client: TestClient, session: Session, made: tuple[Project, list[Item]]) -> TestClient:
    user = make_user(session)
    make_membership(session, made[0], user, Role.ADMIN)
    return sign_in(client, session, user)


def change(session: Session, items: list[Item]) -> None:
    """Admits a candidate of q1, judges it once more, corrects another and takes q3 out."""
    q1 = session.scalars(select(RoundItem).where(RoundItem.item_id == items[0].id)).one()
    admit(session, q1, "a ball", n_fits=1, n_votes=2)
    judge(session, q1, make_user(session, kind="critic", name="critic exact"), ["it is red"])
    correct_of(session, items[0], "a ball", "the red ball is a ball")
    exclude_item(session, items[2], reason="blurred", actor=None)


def counts(browser: TestClient, url: str) -> dict[tuple[str, str], int]:
    found = {}
    for line in page(browser.get(url)).select("table.table--compact tbody tr"):
        kind, number = line.select_one("th"), line.select_one("td.num")
        link = line.select_one("a")
        assert kind is not None
        assert number is not None
        assert link is not None
        found[kind.text, str(link.contents[0])] = int(number.text)
    return found


def test_rows_that_came_went_and_changed_are_counted_and_listed(
    admin: TestClient, session: Session, made: tuple[Project, list[Item]]
) -> None:
    project, items = made
    create_release(session, project, actor=None)
    change(session, items)
    second = create_release(session, project, actor=None)
    session.commit()
    url = f"/releases/{second.id}/changes"
    assert f'href="{url}"' in admin.get(f"/releases/{second.id}").text
    assert counts(admin, url) == {
        ("Candidates", "Changed"): 1,
        ("Candidates", "Removed"): 1,
        ("Items", "Changed"): 1,
        ("Items", "Removed"): 1,
        ("Rationales", "Admitted now"): 1,
        ("Rationales", "Changed"): 1,
        ("Rationales", "Removed"): 1,
        ("Written", "Added"): 1,
    }
    listed = admin.get(f"{url}?since=1&kind=rationale&change=changed").text
    assert "it is red" in listed
    assert '<code>critic_votes</code>: <del dir="auto">0</del> → <ins dir="auto">1</ins>' in listed
    assert "3, 1 of them only here" in listed
    added = admin.get(f"{url}?kind=written&change=added").text
    assert "the red ball is a ball" in added
    assert "it looks red" in admin.get(f"{url}?kind=rationale&change=removed").text


def test_releases_that_hold_the_same_say_so(
    admin: TestClient, session: Session, made: tuple[Project, list[Item]]
) -> None:
    create_release(session, made[0], actor=None)
    second = create_release(session, made[0], actor=None)
    session.commit()
    assert "Nothing differs" in admin.get(f"/releases/{second.id}/changes?since=1").text


def test_what_cannot_be_compared_is_told(
    admin: TestClient, session: Session, made: tuple[Project, list[Item]]
) -> None:
    first = create_release(session, made[0], actor=None)
    session.commit()
    for query in ("", "?since=7", "?since=1", "?since=-5"):
        answer = admin.get(f"/releases/{first.id}/changes{query}")
        assert answer.status_code == 404
        assert "no such release to compare with" in answer.text


def test_long_lists_come_in_pages_in_the_order_of_the_release(
    admin: TestClient,
    session: Session,
    made: tuple[Project, list[Item]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project, items = made
    create_release(session, project, actor=None)
    for item in items[:3]:
        exclude_item(session, item, reason="blurred", actor=None)
    second = create_release(session, project, actor=None)
    session.commit()
    monkeypatch.setattr(differences, "PAGE_SIZE", 2)
    url = f"/releases/{second.id}/changes?since=1&kind=candidate&change=removed"
    seen, n_pages = [], 0
    while url:
        shown = page(admin.get(url))
        seen += [cell.text for cell in shown.select("section tbody tr td:nth-of-type(2)")]
        following = shown.select_one("nav.pager a[rel=next]")
        url = str(following["href"]) if following else ""
        n_pages += 1
    expected = session.scalars(
        select(ReleaseRow.payload["rationale"].astext)
        .where(ReleaseRow.release_id != second.id, ReleaseRow.kind == "candidate")
        .order_by(ReleaseRow.number)
    ).all()
    assert n_pages == 3
    assert [" ".join(text.split()) for text in seen] == [
        " ".join(text.split()) for text in expected
    ]


def test_only_an_admin_of_the_project_sees_it(
    client: TestClient, session: Session, made: tuple[Project, list[Item]]
) -> None:
    release = create_release(session, made[0], actor=None)
    annotator = make_user(session)
    make_membership(session, made[0], annotator)
    session.commit()
    url = f"/releases/{release.id}/changes"
    assert client.get(url).status_code == 303
    assert sign_in(client, session, make_user(session)).get(url).status_code == 404
    assert sign_in(client, session, annotator).get(url).status_code == 403
