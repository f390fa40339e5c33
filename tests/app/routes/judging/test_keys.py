"""The page of a person's own keys, and what the judging page makes of them."""

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
)


def test_own_keys_stand_on_the_controls_and_in_the_table(
    client: TestClient, session: Session
) -> None:
    project, noor = make_project(session), make_user(session, name="Noor")
    make_membership(session, project, noor)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    sign_in(client, session, noor)
    chosen = {"action": ["pick-1", "none", "submit"], "key": ["a", "x", "ArrowDown"]}
    assert client.post("/account/keys", data=chosen).status_code == 303
    response = client.get(f"/rounds/{round_.id}/judge")
    keys = {
        str(key["data-key-action"]): key["data-key"]
        for key in page(response).select("kbd[data-key]")
    }
    assert (keys["pick-1"], keys["none"], keys["submit"]) == ("a", "x", "ArrowDown")
    hints = [key.get_text() for key in page(response).select(".choice__key")]
    assert hints[0] == "a"
    assert "x" in hints
    assert text_of(response, ".bar__submit") == "Submit ↓"
    client.post("/account/keys/reset")
    assert text_of(client.get(f"/rounds/{round_.id}/judge"), ".bar__submit") == "Submit Enter"


def test_a_clash_is_said_and_what_was_typed_stays(client: TestClient, session: Session) -> None:
    sign_in(client, session, make_user(session))
    response = client.post("/account/keys", data={"action": ["skip"], "key": ["n"]})
    assert response.status_code == 422
    assert "“n” is the key for “None fits” and “Skip, with a reason”." in text_of(
        response, "#keys-error"
    )
    (field,) = page(response).select("#key-skip")
    assert field["value"] == "n"


def test_keys_are_the_own_ones_only(client: TestClient, session: Session) -> None:
    other = make_user(session)
    sign_in(client, session, make_user(session))
    client.post("/account/keys", data={"action": ["skip"], "key": ["x"]})
    session.refresh(other)
    assert other.judging_keys == {}
    client.cookies.clear()
    assert client.get("/account/keys").status_code == 303
