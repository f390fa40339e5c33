"""Images are for members of a project that holds them, and for ever in their browsers."""

from datetime import timedelta
from io import BytesIO

import pytest
from PIL import Image as PillowImage
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.models import Image, Project, ProjectImage
from app.storage import put_image, remove_unused_images, resized_path
from app.web.images import srcset
from tests.browsing import sign_in
from tests.factories import (
    make_image,
    make_item,
    make_membership,
    make_project,
    make_user,
    png_bytes,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def image(session: Session, project: Project) -> Image:
    content = png_bytes((200, 30, 60), (600, 400))
    image = make_image(session, content=content)
    put_image(content, "image/png")
    make_item(session, project, image=image)
    return image


def test_image_is_for_members_of_its_project(
    client: TestClient, session: Session, project: Project, image: Image
) -> None:
    urls = [f"/images/{image.sha256}", f"/projects/{project.slug}/images/{image.sha256}"]
    session.commit()
    assert {client.get(url).status_code for url in urls} == {303}
    elsewhere, member = make_user(session), make_user(session)
    make_membership(session, make_project(session), elsewhere)
    make_membership(session, project, member)
    sign_in(client, session, elsewhere)
    assert {client.get(url).status_code for url in urls} == {404}
    sign_in(client, session, member)
    for url in urls:
        response = client.get(url)
        assert response.status_code == 200
        assert response.headers["Content-Type"] == "image/png"
        assert len(response.content) == image.n_bytes
        assert response.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        again = client.get(url, headers={"If-None-Match": response.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
    sign_in(client, session, make_user(session, is_admin=True))
    assert client.get(urls[0]).status_code == 200


def test_image_of_another_project_is_not_found_through_ours(
    client: TestClient, session: Session, image: Image
) -> None:
    ours, member = make_project(session), make_user(session)
    make_membership(session, ours, member)
    sign_in(client, session, member)
    assert client.get(f"/projects/{ours.slug}/images/{image.sha256}").status_code == 404
    assert client.get(f"/projects/{ours.slug}/images/nonsense").status_code == 404


def test_withdrawn_image_is_gone(
    client: TestClient, session: Session, project: Project, image: Image
) -> None:
    member = make_user(session)
    make_membership(session, project, member)
    held = session.get_one(ProjectImage, (project.id, image.sha256))
    held.withdrawn_at = func.now()
    sign_in(client, session, member)
    assert client.get(f"/images/{image.sha256}").status_code == 404
    assert client.get(f"/projects/{project.slug}/images/{image.sha256}").status_code == 404


def test_small_version_is_a_small_jpeg(
    client: TestClient, session: Session, project: Project, image: Image
) -> None:
    member = make_user(session)
    make_membership(session, project, member)
    sign_in(client, session, member)
    url = f"/images/{image.sha256}"
    small = client.get(f"{url}?w=160")
    assert small.headers["Content-Type"] == "image/jpeg"
    assert PillowImage.open(BytesIO(small.content)).size == (160, 107)
    assert small.headers["ETag"] != client.get(url).headers["ETag"]
    assert client.get(f"{url}?w=161").status_code == 404


def test_small_version_is_made_once_and_goes_with_its_image(
    client: TestClient, session: Session, project: Project, image: Image
) -> None:
    member = make_user(session)
    make_membership(session, project, member)
    sign_in(client, session, member)
    url = f"/images/{image.sha256}?w=320"
    first = client.get(url)
    kept = resized_path(image.sha256, 320)
    assert kept.read_bytes() == first.content
    kept.write_bytes(first.content + b"kept")
    assert client.get(url).content == first.content + b"kept"
    remove_unused_images([image.sha256], timedelta(0))
    assert kept.is_file()
    remove_unused_images([], timedelta(0))
    assert not kept.exists()


def test_sizes_to_choose_from_end_with_the_image_itself() -> None:
    url = "/projects/things/images/abc"
    assert srcset("things", "abc", 1000) == f"{url}?w=640 640w, {url}?w=960 960w, {url} 1000w"
    assert srcset("things", "abc", 480) == f"{url} 480w"


def test_image_whose_file_is_lost_says_so(
    client: TestClient, session: Session, project: Project
) -> None:
    lost = make_image(session, content=png_bytes((1, 2, 3), (11, 13)))
    make_item(session, project, image=lost)
    sign_in(client, session, make_user(session, is_admin=True))
    response = client.get(f"/images/{lost.sha256}")
    assert response.status_code == 404
    assert "missing in the store" in response.text
