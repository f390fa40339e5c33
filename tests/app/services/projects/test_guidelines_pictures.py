"""What becomes of the pictures in guidelines: releases hold them, deleted projects do not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.db import session_scope
from app.kit.storage import image_path, resized_path
from app.models import GuidelinesPicture, Image, Project
from app.services.projects import removal
from app.services.projects.guidelines import update_guidelines
from app.services.projects.guidelines_pictures import add_picture, verify_picture
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.factories import make_project, png_bytes
from tests.support.released_project import make_released_project

BLUE = png_bytes((9, 30, 200), (40, 30))


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def put_in(session: Session, project: Project, content: bytes = BLUE) -> str:
    picture = verify_picture(content, "blue.png")
    return add_picture(session, project, picture, alt="a blue box", actor=None)


@pytest.mark.parametrize("format", list(ReleaseFormat))
def test_a_release_holds_the_pictures_that_its_guidelines_show(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = make_released_project(session, tmp_path)
    line = put_in(session, project)
    put_in(session, project, png_bytes((1, 1, 1)))  # added, and shown by no text
    update_guidelines(session, project, guidelines=f"Look:\n\n{line}", actor=None)
    release = create_release(session, project, actor=None)
    session.commit()
    folders = [tmp_path / "out", tmp_path / "again"]
    write_release(session, release, format=format, out=folders[0])
    update_guidelines(session, project, guidelines="Nothing to see.", actor=None)
    write_release(session, release, format=format, out=folders[1])
    for folder in folders:
        assert (folder / "guidelines" / "1.png").read_bytes() == BLUE
        assert [path.name for path in (folder / "guidelines").iterdir()] == ["1.png"]
        readme = (folder / "README.md").read_text(encoding="utf-8")
        assert "> ![a blue box](guidelines/1.png)" in readme


def test_a_deleted_project_takes_its_pictures_along_and_leaves_those_of_others(
    database: sessionmaker[Session],
) -> None:
    shared = png_bytes((7, 7, 7))
    with session_scope() as session:
        project, other = make_project(session, name="Scenes"), make_project(session, name="Other")
        put_in(session, project)
        put_in(session, project, shared)
        put_in(session, other, shared)
        blue, grey = session.scalars(
            select(GuidelinesPicture.image_sha256)
            .where(GuidelinesPicture.project_id == project.id)
            .order_by(GuidelinesPicture.number)
        )
        removal.archive_project(session, project, actor=None)
        removal.request_deletion(session, project, typed_name="Scenes", actor=None)
    small = resized_path(blue, 160)
    small.parent.mkdir(parents=True)
    small.write_bytes(b"x")
    assert removal.delete_requested() == 1
    assert not image_path(blue, "image/png").exists()
    assert not small.exists()
    assert image_path(grey, "image/png").read_bytes() == shared
    with session_scope() as session:
        assert session.scalars(select(Image.sha256)).all() == [grey]
