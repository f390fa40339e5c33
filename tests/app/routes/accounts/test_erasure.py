"""Erasing a person over HTTP: by administrators alone, said before and confirmed by the name."""

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from tests.support.browsing import one, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_user


def test_only_administrators_of_the_installation_erase(
    client: TestClient, session: Session
) -> None:
    project = make_project(session)
    ada, noor = make_user(session), make_user(session, name="Noor")
    make_membership(session, project, ada, Role.ADMIN)
    make_membership(session, project, noor)
    url = f"/people/{noor.id}/erase"
    assert client.get(url).status_code == 303  # nobody: to sign in
    for user in (ada, noor):
        sign_in(client, session, user)
        assert client.get(url).status_code == 403
        assert client.post(url, data={"name": "Noor"}).status_code == 403
    session.refresh(noor)
    assert noor.erased_at is None


def test_an_administrator_reads_what_goes_and_types_the_name(
    client: TestClient, session: Session
) -> None:
    root, noor = make_user(session, is_admin=True), make_user(session, name="Noor")
    critic_page = "/people/999999/erase"
    noor_id, root_id = noor.id, root.id
    sign_in(client, session, root)
    url = f"/people/{noor_id}/erase"
    assert one(client.get("/people"), f'a[href="{url}"]')["aria-label"] == "Erase Noor"
    page = client.get(url)
    assert "Releases made before never change" in text_of(page, "main")
    refused = client.post(url, data={"name": "noor", "with_judgements": "true"})
    assert refused.status_code == 422
    assert "Type the name" in refused.text
    assert one(refused, "input[name=with_judgements]").has_attr("checked")  # the choice is kept
    assert client.post(url, data={"name": "Noor"}).status_code == 303
    people = client.get("/people")
    assert "Noor" not in text_of(people, "table")
    assert "erased person" not in text_of(people, "table")
    # What is gone can be neither opened again nor given rights.
    for path in ("erase", "reopen", "admin", "link", "close"):
        data = {"name": "Noor", "is_admin": "true"}
        assert client.post(f"/people/{noor_id}/{path}", data=data).status_code == 404, path
    assert client.get(critic_page).status_code == 404

    own = f"/people/{root_id}/erase"
    assert "You cannot erase yourself" in text_of(client.get(own), "main")
    assert client.post(own, data={"name": root.name}).status_code == 409
