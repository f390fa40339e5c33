"""Projects that are put away and deleted: what is refused, what goes, and what stays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit import storage
from app.kit.db import session_scope
from app.kit.errors import Conflict, InvalidInput
from app.kit.storage import image_path
from app.lifecycle import RoundStatus
from app.models import Base, Event, Image, Item, Project, ProjectImage, User
from app.queries.projects.projects import find_project, list_project_overviews
from app.round_settings import LoopSettings
from app.services.projects import removal
from app.services.releases.releases import (
    ReleaseFormat,
    archive_path,
    create_release,
    write_release,
)
from app.services.rounds import rounds
from tests.support.dataset_files import own_store
from tests.support.factories import make_image, make_item, make_project, make_round, make_user
from tests.support.released_project import correct, judge, make_released_project, show


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
        file = archive_path(release, ReleaseFormat.JSONL)
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
        storage.adapter_folder("a" * 64) / "meta.json",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    storage.remove_project_files(7, [image.sha256], ["a" * 64])
    assert [path for path in store.rglob("*") if path.is_file()] == []
