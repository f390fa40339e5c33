"""Images are for members of a project that holds them, and for ever in their browsers."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image as PillowImage
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.kit.storage import (
    image_path,
    put_image,
    remove_images,
    resized_path,
    shown_path,
    store_folder,
)
from app.models import Image, Project, ProjectImage
from app.pictures import VERSION
from app.pictures.files import MEDIA_TYPES, Shown
from app.pictures.seeing import see
from app.web.assets.image_urls import WIDTHS, srcset
from app.web.http.images import AT_A_TIME, PictureLine
from tests.support.browsing import sign_in
from tests.support.factories import (
    make_image,
    make_item,
    make_membership,
    make_project,
    make_user,
    png_bytes,
)
from tests.support.odd_pictures import ODD, TURNED, damaged_notes, halves, saved, with_position


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
    remove_images(["0" * 64])
    assert kept.is_file()
    remove_images([image.sha256])
    assert not kept.exists()


def test_sizes_to_choose_from_end_with_the_image_itself() -> None:
    url = "/projects/things/images/abc"
    assert srcset("things", "abc", 1000) == (
        f"{url}?w=640&v={VERSION} 640w, {url}?w=960&v={VERSION} 960w, {url}?v={VERSION} 1000w"
    )
    assert srcset("things", "abc", 480) == f"{url}?v={VERSION} 480w"


def test_image_whose_file_is_lost_says_so(
    client: TestClient, session: Session, project: Project
) -> None:
    lost = make_image(session, content=png_bytes((1, 2, 3), (11, 13)))
    make_item(session, project, image=lost)
    sign_in(client, session, make_user(session, is_admin=True))
    response = client.get(f"/images/{lost.sha256}")
    assert response.status_code == 404
    assert "missing in the store" in response.text


# --- The same picture for everybody ---------------------------------------------------------


@pytest.fixture
def member(client: TestClient, session: Session, project: Project) -> TestClient:
    person = make_user(session)
    make_membership(session, project, person)
    sign_in(client, session, person)
    return client


def hold(session: Session, project: Project, content: bytes) -> Image:
    """The picture as a stored image of the project, as an import would put it there."""
    with PillowImage.open(BytesIO(content)) as opened:
        media_type = MEDIA_TYPES[opened.format or ""]
    put_image(content, media_type)
    width, height = see(content).size
    image = make_image(session, content=content, media_type=media_type, size=(width, height))
    make_item(session, project, image=image)
    session.commit()
    return image


def served(client: TestClient, image: Image, query: str = "") -> PillowImage.Image:
    response = client.get(f"/images/{image.sha256}{query}")
    assert response.status_code == 200
    return PillowImage.open(BytesIO(response.content))


@pytest.mark.parametrize("kind", ["transparent PNG", "16 bits, TIFF", "GIF", "CMYK JPEG"])
def test_the_full_view_is_what_the_model_sees(
    member: TestClient, session: Session, project: Project, kind: str
) -> None:
    content = ODD[kind][0]()
    image = hold(session, project, content)
    shown, seen = served(member, image), see(content)
    assert shown.mode == "RGB"
    assert shown.size == seen.size
    assert shown.format in {"PNG", "JPEG"}
    difference = np.abs(np.asarray(shown, dtype=int) - np.asarray(seen, dtype=int)).max()
    assert difference <= (12 if "JPEG" in kind else 0)
    small = np.asarray(served(member, image, "?w=160"), dtype=int)
    assert np.abs(small - np.asarray(seen, dtype=int)).mean() < 5
    again = member.get(f"/images/{image.sha256}")
    assert shown_path(image.sha256, again.headers["Content-Type"]).read_bytes() == again.content


@pytest.mark.parametrize("kind", TURNED)
def test_full_view_and_small_sizes_are_turned_alike(
    member: TestClient, session: Session, project: Project, kind: str
) -> None:
    image = hold(session, project, TURNED[kind](6))
    for query in ("", "?w=160"):
        shown = served(member, image, query)
        assert shown.size == (32, 48)
        assert not shown.getexif()


def test_notes_that_cannot_be_written_again_do_not_matter(
    member: TestClient, session: Session, project: Project
) -> None:
    image = hold(session, project, saved(halves(), "JPEG", exif=damaged_notes(8)))
    assert served(member, image, "?w=320").size == (32, 48)


def test_nobody_is_told_where_a_picture_was_taken(
    member: TestClient, session: Session, project: Project
) -> None:
    content = saved(halves(), "JPEG", exif=with_position())
    image = hold(session, project, content)
    assert b"Camera of Ada" in content
    for query in ("", "?w=160"):
        shown = member.get(f"/images/{image.sha256}{query}").content
        assert b"Camera of Ada" not in shown
        assert b"Exif" not in shown
    assert image_path(image.sha256, "image/jpeg").read_bytes() == content


def test_sizes_that_older_rules_made_are_made_again(
    member: TestClient, session: Session, project: Project
) -> None:
    content = ODD["transparent PNG"][0]()
    image = hold(session, project, content)
    old = store_folder() / "resized/160" / image.sha256[:2] / f"{image.sha256}.jpg"
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(saved(PillowImage.new("RGB", (48, 32)), "JPEG"))
    response = member.get(f"/images/{image.sha256}?w=160", headers={"If-None-Match": "*"})
    right = PillowImage.open(BytesIO(response.content)).getpixel((40, 16))
    assert min(right) > 245  # type: ignore[type-var, arg-type]
    assert f"-v{VERSION}-" in response.headers["ETag"]
    assert resized_path(image.sha256, 160).is_file()
    remove_images([image.sha256])
    assert not old.exists()
    assert not resized_path(image.sha256, 160).exists()


def test_a_store_that_cannot_be_written_still_shows_pictures(
    member: TestClient, session: Session, project: Project
) -> None:
    """Nothing can be kept where the folder should be: there is a file."""
    image = hold(session, project, ODD["16 bits"][0]())
    with in_the_way(resized_path(image.sha256, 160).parents[2]):
        assert served(member, image, "?w=160").size == (48, 32)
        assert served(member, image).size == (48, 32)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="needs a folder nobody can write to")
def test_a_store_that_may_not_be_written_still_shows_pictures(
    member: TestClient, session: Session, project: Project
) -> None:
    """Not even root makes a folder in /sys: it is refused as on a read-only disk."""
    image = hold(session, project, ODD["16 bits"][0]())
    with in_the_way(store_folder() / "resized") as path:
        path.unlink()
        path.symlink_to("/sys/kernel")
        assert served(member, image, "?w=320").size == (48, 32)
        assert served(member, image).size == (48, 32)


@contextmanager
def in_the_way(path: Path) -> Iterator[Path]:
    aside = path.with_name("aside")
    if path.exists():
        path.rename(aside)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    try:
        yield path
    finally:
        path.unlink()
        if aside.exists():
            aside.rename(path)


def test_an_image_that_cannot_be_decoded_is_named_and_no_crash(
    member: TestClient, session: Session, project: Project
) -> None:
    content = saved(PillowImage.effect_noise((300, 200), 90), "PNG")
    image = hold(session, project, content)
    image_path(image.sha256, "image/png").write_bytes(content[:9000])
    response = member.get(f"/images/{image.sha256}?w=160")
    assert response.status_code == 404
    assert "This image cannot be shown" in response.text


def test_all_sizes_of_a_large_picture_are_made_at_once_and_kept(
    member: TestClient, session: Session, project: Project
) -> None:
    image = hold(session, project, saved(PillowImage.new("RGBA", (2400, 1800)), "PNG"))
    assert served(member, image, "?w=640").size == (640, 480)
    assert all(resized_path(image.sha256, width).is_file() for width in WIDTHS)


SMALLER_SIZES = """
import resource, sys
from pathlib import Path
from app.pictures.files import show_smaller
from app.web.assets.image_urls import WIDTHS

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

begun = peak()
show_smaller(Path(sys.argv[1]), WIDTHS)
print(peak() - begun)
"""


@pytest.mark.parametrize(("format", "most_mb"), [("JPEG", 150), ("PNG", 400)])
def test_all_sizes_of_fifty_megapixels_are_made_from_one_reading(
    tmp_path: Path, format: str, most_mb: float
) -> None:
    """Its pixels take 150 MB, and nothing else of that size is held beside them for long."""
    path = tmp_path / "large"
    PillowImage.new("RGB", (8000, 6250), "navy").save(path, format)
    command = [sys.executable, "-c", SMALLER_SIZES, str(path)]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert float(printed) < most_mb


def test_pictures_are_worked_on_two_at_a_time_and_each_once() -> None:
    """And whoever waits for one that is being made is given it."""
    line, most, now, n_made = PictureLine(), 0, 0, 0
    made: dict[str, Shown] = {}
    lock = threading.Lock()

    def make(name: str) -> Shown:
        nonlocal most, now, n_made
        with lock:
            now, n_made = now + 1, n_made + 1
            most = max(most, now)
        time.sleep(0.05)  # long enough for others to come in between
        with lock:
            now -= 1
        made[name] = Shown(name.encode(), "image/png")
        return made[name]

    async def all_at_once() -> None:
        async with anyio.create_task_group() as group:
            for name in "abcdabcd":
                group.start_soon(line.work, name, partial(made.get, name), partial(make, name))

    anyio.run(all_at_once)
    assert (most, n_made) == (AT_A_TIME, 4)
