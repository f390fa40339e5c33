"""Projects that are put away and deleted: what is refused, what goes, and what stays."""

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit import storage
from app.kit.db import session_scope
from app.kit.errors import Conflict, InvalidInput
from app.kit.storage import image_path
from app.lifecycle import RoundStatus, Split
from app.models import Base, Event, Image, Item, Project, ProjectImage, User
from app.queries.dataset.imports import hold_images, insert_project_images
from app.queries.projects.projects import find_project, list_project_overviews
from app.round_settings import LoopSettings
from app.services.projects import removal
from app.services.releases.files import FILES, archive_path
from app.services.releases.releases import (
    ReleaseFormat,
    create_release,
    write_release,
)
from app.services.rounds import rounds
from tests.support.dataset_files import own_store, picture
from tests.support.factories import make_image, make_item, make_project, make_round, make_user
from tests.support.processes import wait_for
from tests.support.released_project import correct, judge, make_released_project, show
from tests.support.worker_processes import somebody_waits_for


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def test_an_archived_project_is_in_no_list_and_starts_nothing(session: Session) -> None:
    project = make_project(session, name="Scenes")
    ada = make_user(session, is_admin=True)
    removal.archive_project(session, project, actor=ada)
    assert list_project_overviews(session, ada) == []
    assert [one.project for one in list_project_overviews(session, ada, is_archived=True)] == [
        project
    ]
    with pytest.raises(Conflict, match="archived"):
        rounds.create_round(session, project, settings=LoopSettings(), actor=ada)
    removal.unarchive_project(session, project, actor=ada)
    assert [one.project for one in list_project_overviews(session, ada)] == [project]
    tags = set(session.scalars(select(Event.tag)))
    assert {"project:archived", "project:unarchived"} <= tags


def test_a_project_with_an_open_round_is_not_archived(session: Session) -> None:
    project = make_project(session)
    make_round(session, project, status=RoundStatus.JUDGING)
    with pytest.raises(Conflict, match="A round is open"):
        removal.archive_project(session, project, actor=None)


def test_only_an_archived_project_is_deleted_and_only_by_its_name(session: Session) -> None:
    project = make_project(session, name="Street scenes")
    with pytest.raises(Conflict, match="archive it first"):
        removal.request_deletion(session, project, typed_name="Street scenes", actor=None)
    removal.archive_project(session, project, actor=None)
    with pytest.raises(InvalidInput, match="Type the name"):
        removal.request_deletion(session, project, typed_name="street", actor=None)
    removal.request_deletion(session, project, typed_name=" Street  scenes ", actor=None)
    assert find_project(session, project.slug) is None
    with pytest.raises(Conflict, match="being deleted"):
        removal.unarchive_project(session, project, actor=None)


def test_deleting_takes_all_rows_and_files_of_a_project_and_nothing_of_another(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    with session_scope() as session:
        project, items = make_released_project(session, tmp_path)
        round_ = make_round(session, project, number=3, status=RoundStatus.CANCELLED)
        place = show(session, round_, items[2], ["some text"])
        judgement = judge(session, place, make_user(session))
        correct(session, place, judgement, "some text", "a better text")
        release = create_release(session, project, actor=None)
        file = archive_path(release, FILES["jsonl"])
        write_release(session, release, format=ReleaseFormat.JSONL, out=file)
        paths = {item.image_sha256: image_path(item.image_sha256, "image/png") for item in items}
        shared = session.get_one(Image, items[0].image_sha256)
        other = make_project(session, name="Other")
        make_item(session, other, image=shared)
        removal.archive_project(session, project, actor=None)
        removal.request_deletion(session, project, typed_name=project.name, actor=None)
        n_people = session.execute(select(func.count()).select_from(User)).scalar_one()
        other_id, shared_digest = other.id, shared.sha256
    assert file.is_file()
    assert removal.delete_requested() == 1
    assert removal.delete_requested() == 0

    left = {"user": n_people, "project": 1, "item": 1, "image": 1, "project_image": 1}
    with session_scope() as session:
        for table in Base.metadata.sorted_tables:
            n = session.execute(select(func.count()).select_from(table)).scalar_one()
            expected = left.get(
                table.name, n if table.name in {"event", "guidelines_version"} else 0
            )
            assert n == expected, table.name
        assert session.scalars(select(Project.id)).all() == [other_id]
        assert session.scalars(select(Item.project_id)).all() == [other_id]
        assert session.scalars(select(ProjectImage.image_sha256)).all() == [shared_digest]
        # What was deleted is known, though nothing of it is there.
        deleted = session.scalars(select(Event).where(Event.project_id.is_(None))).all()
        assert [event.tag for event in deleted] == ["project:deletion:requested"]
        assert deleted[0].details["releases"] == [1]
    assert {digest for digest, path in paths.items() if path.is_file()} == {shared_digest}
    assert not file.exists()
    assert not file.parent.exists()


def test_files_of_a_deleted_project_go_with_their_smaller_versions(
    session: Session, store: Path
) -> None:
    image = make_image(session)
    for path in (
        image_path(image.sha256, "image/png"),
        storage.resized_path(image.sha256, 640),
        storage.shown_path(image.sha256, "image/png"),
        store / "resized/160" / image.sha256[:2] / f"{image.sha256}.jpg",  # as older rules made it
        storage.adapter_folder("a" * 64) / "meta.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    storage.remove_images([image.sha256])
    storage.remove_project_files(7, ["a" * 64])
    assert [path for path in store.rglob("*") if path.is_file()] == []


# --- While others import the same pictures --------------------------------------------------


def project_to_delete(image: Image) -> int:
    """A project with an item of this image, whose deletion was asked for."""
    with session_scope() as session:
        project = make_project(session)
        make_item(session, project, image=session.get_one(Image, image.sha256))
        removal.archive_project(session, project, actor=None)
        removal.request_deletion(session, project, typed_name=project.name, actor=None)
        return project.id


def stored_image() -> Image:
    """An image with its file, which a project can be given."""
    storage.put_image(picture(1), "image/png")
    with session_scope() as session:
        return make_image(session, content=picture(1))


def take(session: Session, project_id: int, image: Image) -> None:
    """Brings an image into a project, as an import does."""
    columns = {name: getattr(image, name) for name in ("width", "height", "n_bytes")}
    hold_images(session, [{"sha256": image.sha256, "media_type": "image/png", **columns}])
    storage.put_image(picture(1), "image/png")
    insert_project_images(
        session,
        [{"project_id": project_id, "image_sha256": image.sha256, "split": Split.TRAIN}],
    )


def is_kept(image: Image) -> bool:
    """Whether the image has both its row and its file. Raises where it has one of them."""
    with session_scope() as session:
        row = session.get(Image, image.sha256)
    has_file = image_path(image.sha256, "image/png").is_file()
    assert has_file == (row is not None)
    return has_file


def new_project() -> int:
    with session_scope() as session:
        return make_project(session).id


def test_a_deletion_leaves_the_images_that_an_import_is_about_to_use(
    database: sessionmaker[Session],
) -> None:
    image = stored_image()
    project_to_delete(image)
    other = new_project()
    with session_scope() as session:
        take(session, other, image)
        assert removal.delete_requested() == 1  # and waits for nobody
        assert is_kept(image)
    assert is_kept(image)


def test_an_import_stores_anew_what_a_deletion_has_just_taken(
    database: sessionmaker[Session],
) -> None:
    image = stored_image()
    project_id = project_to_delete(image)
    other = new_project()

    def bring() -> None:
        with session_scope() as session:
            take(session, other, image)

    with ThreadPoolExecutor(1) as pool, session_scope() as session:
        removal.delete_project(session, project_id)
        assert not image_path(image.sha256, "image/png").exists()
        brought = pool.submit(bring)
        wait_for(somebody_waits_for(database, "INSERT INTO image%"))
        session.commit()
        brought.result(timeout=10)
    assert is_kept(image)


@pytest.mark.parametrize("seed", range(3))
def test_images_keep_their_files_whatever_comes_and_goes(
    database: sessionmaker[Session], seed: int
) -> None:
    image = stored_image()
    leaving = [project_to_delete(image) for _ in range(3)]
    coming = [new_project() for _ in range(3)]

    def bring(project_id: int) -> None:
        with session_scope() as session:
            take(session, project_id, image)

    def delete(project_id: int) -> None:
        with session_scope() as session:
            removal.delete_project(session, project_id)

    tasks = [partial(delete, id_) for id_ in leaving] + [partial(bring, id_) for id_ in coming]
    random.Random(seed).shuffle(tasks)
    with ThreadPoolExecutor(len(tasks)) as pool:
        for future in [pool.submit(task) for task in tasks]:
            future.result(timeout=20)
    assert is_kept(image)
