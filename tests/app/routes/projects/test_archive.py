"""The archive over HTTP: confirmed, read-only, and by admins alone."""

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Role
from tests.support.browsing import one, sign_in, text_of
from tests.support.factories import make_item, make_membership, make_project, make_user


def test_an_admin_archives_takes_out_and_deletes(client: TestClient, session: Session) -> None:
    project = make_project(session, name="Street scenes")
    item = make_item(session, project)
    ada, noor = make_user(session), make_user(session)
    make_membership(session, project, ada, Role.ADMIN)
    make_membership(session, project, noor)
    url = f"/projects/{project.slug}"
    sign_in(client, session, noor)
    assert client.get(f"{url}/archive").status_code == 403
    assert client.post(f"{url}/delete", data={"name": project.name}).status_code == 403

    sign_in(client, session, ada)
    assert client.post(f"{url}/delete", data={"name": project.name}).status_code == 409
    form = one(client.get(f"{url}/archive"), "main form")
    assert client.post(str(form["action"])).status_code == 303
    assert "Street scenes" not in text_of(client.get("/projects"), "main")
    assert "Street scenes" in text_of(client.get("/projects?archived=true"), "main")
    # Everything can be read, nothing changed.
    assert "archived" in text_of(client.get(url), ".notice--info")
    for path, data in (
        (f"{url}/details", {"name": "Other"}),
        (f"{url}/guidelines", {"guidelines": "x"}),
        (f"{url}/releases", {}),
        (f"/items/{item.id}/exclude", {"reason": "x"}),
    ):
        assert client.post(path, data=data).status_code == 409, path
    sign_in(client, session, noor)
    assert "archived" in text_of(client.get(url), ".notice--info")

    sign_in(client, session, ada)
    assert client.post(f"{url}/unarchive").status_code == 303
    assert client.post(f"{url}/details", data={"name": "Street scenes"}).status_code == 303
    client.post(f"{url}/archive")
    confirm = client.get(f"{url}/archive")
    assert "Submitted judgements 0" in text_of(confirm, "dl")
    refused = client.post(f"{url}/delete", data={"name": "street"})
    assert (refused.status_code, "Type the name" in refused.text) == (422, True)
    assert client.post(f"{url}/delete", data={"name": "Street scenes"}).status_code == 303
    for path in (url, f"{url}/archive", f"/items/{item.id}"):
        assert client.get(path).status_code == 404
    assert "Street scenes" not in text_of(client.get("/projects?archived=true"), "main")
