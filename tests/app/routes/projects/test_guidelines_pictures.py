"""Pictures in guidelines: added on their page, shown to members wherever guidelines are read."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.storage import image_path
from app.lifecycle import Role
from app.models import GuidelinesPicture, Image, Project, ProjectImage
from app.services.projects.guidelines import update_guidelines
from app.services.projects.guidelines_pictures import list_mentioned, with_files
from app.web.render.markdown import ShownPicture, list_unshown, render_markdown
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.dataset_files import own_store
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_user,
    png_bytes,
)
from tests.support.odd_pictures import halves, saved, with_position

RED = png_bytes((200, 30, 60), (1200, 800))


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def become(client: TestClient, session: Session, project: Project | None) -> TestClient:
    user = make_user(session)
    if project is not None:
        make_membership(session, project, user, Role.ANNOTATOR)
    return sign_in(client, session, user)


def send(
    client: TestClient,
    project: Project,
    content: bytes | None = RED,
    *,
    name: str = "red.png",
    button: str = "add",
    **fields: str,
):  # type: ignore[no-untyped-def]
    return client.post(
        f"/projects/{project.slug}/guidelines",
        data={"guidelines": "Look:", "alt": "a red box", "button": button, **fields},
        files={"picture": (name, content)} if content is not None else {},
    )


def test_an_added_picture_brings_its_line_and_keeps_what_was_typed(
    admin: TestClient, session: Session, project: Project
) -> None:
    added = send(admin, project, version="1", guidelines="Look  here:\n\n- one")
    assert added.status_code == 200
    assert one(added, "textarea[name=guidelines]").text.strip() == (
        "Look  here:\n\n- one\n\n![a red box](picture:1)"
    )
    assert one(added, "input[name=version]")["value"] == "1"
    session.refresh(project)
    assert project.guidelines_version == 1, "nothing is saved but the picture"
    again = send(admin, project, alt="once [more]")
    assert "![once \\[more\\]](picture:1)" in one(again, "textarea[name=guidelines]").text
    assert len(session.scalars(select(GuidelinesPicture)).all()) == 1
    kept = send(admin, project, png_bytes((1, 2, 3)), button="save", version="1")
    assert kept.status_code == 303
    session.refresh(project)
    assert project.guidelines == "Look:\n\n![a red box](picture:2)"


def test_two_admins_who_write_at_once_are_told_after_adding_too(
    admin: TestClient, session: Session, project: Project
) -> None:
    update_guidelines(session, project, guidelines="Somebody else's.", actor=None)
    added = send(admin, project, version="1")
    version = one(added, "input[name=version]")["value"]
    assert send(admin, project, None, button="", version=str(version)).status_code == 409


@pytest.mark.parametrize(
    ("content", "fields", "said"),
    [
        (b"no picture", {}, "is no PNG, JPEG, WebP, GIF or TIFF image"),
        (b"", {}, "is empty"),
        (png_bytes((1, 2, 3), (2001, 10)), {}, "more than 200 to 1"),
        (RED[:-300], {}, "is damaged"),
        (RED, {"alt": " "}, "Say what the picture shows"),
        (RED, {"alt": "a" * 501}, "at most 500 characters"),
        (None, {}, "Choose a picture"),
        (None, {"item": "nowhere"}, "no item with that id"),
    ],
)
def test_a_picture_is_refused_in_a_sentence_and_the_text_stays(
    admin: TestClient,
    session: Session,
    project: Project,
    content,
    fields,
    said: str,  # type: ignore[no-untyped-def]
) -> None:
    refused = send(admin, project, content, **fields)
    assert refused.status_code == 422
    assert said in text_of(refused, "form [role=alert]")
    assert one(refused, "textarea[name=guidelines]").text.strip() == "Look:"
    assert not session.scalars(select(GuidelinesPicture)).all()


def test_an_item_s_picture_is_put_in_by_the_item_s_id(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project)
    session.commit()
    added = send(admin, project, None, item=f" {item.external_id} ")
    assert "![a red box](picture:1)" in one(added, "textarea[name=guidelines]").text
    assert session.scalars(select(GuidelinesPicture.image_sha256)).one() == item.image_sha256


def test_pictures_are_shown_wherever_guidelines_are_read_and_by_old_versions(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    round_id, slug = round_.id, project.slug
    send(admin, project, button="save", version="1")
    assert admin.post(f"/projects/{slug}/guidelines", data={"guidelines": "No more."})
    read = "section[aria-labelledby=read-title] img"
    shown = one(admin.get(f"/projects/{slug}/guidelines?version=2"), read)
    assert (shown["alt"], shown["width"], shown["height"]) == ("a red box", "640", "427")
    assert not page(admin.get(f"/projects/{slug}/guidelines")).select(read)
    session.refresh(project)
    update_guidelines(session, project, guidelines="![box](picture:1)", actor=None)
    become(admin, session, project)
    for address in (f"/projects/{slug}", f"/rounds/{round_id}/judge"):
        image = one(admin.get(address), ".prose img")
        served = admin.get(str(image["src"]))
        assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
        assert "default-src 'self'" in served.headers["content-security-policy"]


def test_pictures_are_for_members_alone_and_without_what_the_camera_noted(
    admin: TestClient, session: Session, project: Project
) -> None:
    content = saved(halves(), "JPEG", exif=with_position())
    send(admin, project, content, name="photo.jpg")
    sha256 = session.scalars(select(GuidelinesPicture.image_sha256)).one()
    addresses = (f"/projects/{project.slug}/images/{sha256}", f"/images/{sha256}")
    for address in addresses:
        served = admin.get(address)
        assert served.status_code == 200
        with PillowImage.open(io.BytesIO(served.content)) as picture:
            assert not picture.getexif()
    become(admin, session, make_project(session))
    assert [admin.get(address).status_code for address in addresses] == [404, 404]


def test_a_withdrawn_picture_is_not_shown_by_guidelines_either(
    admin: TestClient, session: Session, project: Project
) -> None:
    item = make_item(session, project)
    session.commit()
    send(admin, project, None, item=item.external_id, button="save")
    held = session.get_one(ProjectImage, (project.id, item.image_sha256))
    held.withdrawn_at = item.created_at
    session.commit()
    shown = admin.get(f"/projects/{project.slug}/guidelines")
    assert not page(shown).select(".prose img")
    for address in (f"/projects/{project.slug}/images/", "/images/"):
        assert admin.get(address + item.image_sha256).status_code == 404


@pytest.mark.parametrize(
    "address", ["https://example.org/x.png", "picture:9", "data:image/png;base64,AAAA", "x.png"]
)
def test_pictures_from_elsewhere_are_not_loaded_and_saving_says_so(
    admin: TestClient, project: Project, address: str
) -> None:
    url = f"/projects/{project.slug}/guidelines"
    kept = admin.post(url, data={"guidelines": f"![a box]({address})"})
    assert kept.status_code == 303
    shown = admin.get(url)
    assert f"but a picture is not shown: {address}" in text_of(shown, ".toast--warn")
    assert not page(shown).select(".prose img")
    assert "a box" in text_of(shown, "section[aria-labelledby=read-title] .prose")


def test_only_admins_add_pictures(client: TestClient, session: Session, project: Project) -> None:
    become(client, session, project)
    assert send(client, project).status_code == 403
    assert not session.scalars(select(Image)).all()


def test_an_added_picture_is_stored_as_items_pictures_are(
    admin: TestClient, session: Session, project: Project
) -> None:
    send(admin, project)
    image = session.scalars(select(Image)).one()
    assert image_path(image.sha256, image.media_type).read_bytes() == RED
    assert (image.width, image.height, image.n_bytes) == (1200, 800, len(RED))


def test_markdown_shows_the_pictures_that_there_are() -> None:
    pictures = (ShownPicture(3, "/p/3", "/p/3 9w", 30, 1000),)
    html = str(render_markdown('![<b>"x"</b>](picture:3)', pictures))
    assert 'src="/p/3"' in html
    assert 'width="14" height="480"' in html
    assert "&lt;b&gt;" in html
    assert '<a href="/p/3" target="_blank"' in html
    linked = str(render_markdown("[![x](picture:3)](https://example.org)", pictures))
    assert linked.count("<a ") == 1
    text = "![a][one] and ![b](<picture:3>) `![c](x)`\n\n[one]: picture:12"
    assert list_mentioned(text) == [3, 12]
    assert list_unshown(text, frozenset({3})) == ["picture:12"]
    assert with_files(text, {3: "guidelines/3.png"}) == text.replace(
        "picture:3", "guidelines/3.png"
    )
