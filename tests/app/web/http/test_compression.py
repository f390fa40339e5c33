"""Texts leave compressed where the browser takes it; what is packed already leaves as it is."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.storage import put_image
from tests.support.browsing import sign_in
from tests.support.factories import make_image, make_item, make_project, make_user, png_bytes


@pytest.mark.parametrize("url", ["/sign-in", "/static/app.css", "/static/judge.bundle.js"])
def test_texts_are_compressed_on_demand(client: TestClient, url: str) -> None:
    packed = client.get(url)
    plain = client.get(url, headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content


def test_an_image_is_not_packed_twice(client: TestClient, session: Session) -> None:
    content = png_bytes((9, 9, 9), (800, 600))
    image = make_image(session, content=content)
    put_image(content, "image/png")
    make_item(session, make_project(session), image=image)
    sign_in(client, session, make_user(session, is_admin=True))
    assert "Content-Encoding" not in client.get(f"/images/{image.sha256}").headers
