"""A backup holds all of an installation at one moment; a restore brings all of it back, or none."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.cli.operation import archive
from app.cli.operation.archive_file import DUMP, MANIFEST
from app.cli.operation.database_dump import split_password
from app.embedded import EmbeddedServices, HomeLock, open_home
from app.events.rounds import RoundCreated
from app.kit import db, storage
from app.kit.db import session_scope
from app.kit.errors import AppError
from app.kit.schema_upgrade import migrate
from app.kit.settings import get_settings
from app.lifecycle import Job, RunStatus
from app.models import Base, Image, Project, User
from app.services import events
from app.services.accounts import accounts
from app.services.projects import projects
from app.services.runs import runs
from tests.support.browsing import make_token, whose_session, whose_token
from tests.support.command_line import run_illume
from tests.support.databases import connected, new_database
from tests.support.factories import (
    make_image,
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
    png_bytes,
)

REPOSITORY = Path(__file__).parents[4]
Rows = dict[str, list[str]]


@dataclass
class Installation:
    """A database, a data folder and a store of its own; `use` makes it the one of the settings."""

    url: str
    home: Path
    use: Callable[[], None]

    @property
    def store(self) -> Path:
        return self.home / "store"

    def rows(self) -> Rows:
        """All rows of all tables, as text."""
        with connected(self.url) as connection:
            return {
                table.name: sorted(
                    row[0]
                    for row in connection.execute(
                        text(f'SELECT to_jsonb(t)::text FROM "{table.name}" AS t')  # noqa: S608
                    )
                )
                for table in Base.metadata.sorted_tables
            }

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.store).as_posix(): path.read_bytes()
            for path in storage.list_files(self.store)
        }

    def names(self) -> set[str]:
        with connected(self.url) as connection:
            return set(connection.execute(text('SELECT name FROM "user"')).scalars())


@dataclass
class Patterns:
    """Made once, never changed; tests get copies: an empty and a filled one, and its backup."""

    empty: str
    filled: str
    store: Path
    backup: Path


@pytest.fixture(scope="module")
def patterns(
    services: EmbeddedServices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Patterns]:
    folder = tmp_path_factory.mktemp("patterns")
    with new_database(services) as empty, pytest.MonkeyPatch.context() as patch:
        settle(patch, empty, folder)
        migrate()
        with new_database(services, like=empty) as filled:
            settle(patch, filled, folder)
            with session_scope() as session:
                fill(session)
            db.forget_engine()
            archive.backup(folder / "backup.tar")
            yield Patterns(empty, filled, folder / "store", folder / "backup.tar")
    db.forget_engine()
    get_settings.cache_clear()


def settle(patch: pytest.MonkeyPatch, url: str, home: Path) -> None:
    patch.setenv("DATABASE_URL", url)
    patch.setenv("ILLUME_HOME", str(home))
    get_settings.cache_clear()
    db.forget_engine()


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    """Settings of a test; undone before the services' own are read again."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch
        db.forget_engine()
    get_settings.cache_clear()


@pytest.fixture
def filled(
    services: EmbeddedServices, patterns: Patterns, tmp_path: Path, patch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """One with people, a round in progress, an image, an adapter, a release and an upload."""
    home = tmp_path / "filled"
    shutil.copytree(patterns.store, home / "store")
    with new_database(services, like=patterns.filled) as url:
        settle(patch, url, home)
        yield Installation(url, home, lambda: settle(patch, url, home))


@pytest.fixture
def other(
    services: EmbeddedServices, patterns: Patterns, tmp_path: Path, patch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """An empty installation. Where a test has both, this one is that of the settings."""
    home = tmp_path / "other"
    with new_database(services, like=patterns.empty) as url:
        settle(patch, url, home)
        yield Installation(url, home, lambda: settle(patch, url, home))


@pytest.fixture
def saved(patterns: Patterns, tmp_path: Path) -> Path:
    """A backup of the filled installation."""
    return shutil.copy(patterns.backup, tmp_path / "backup.tar")


def fill(session: Session) -> None:
    make_user(session, name="ada", password_hash="hashed")
    project = make_project(session)
    image = add_image(session, (1, 2, 3))
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project, image=image))
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    events.record(
        session,
        RoundCreated(number=round_.number),
        project_id=project.id,
        round_id=round_.id,
    )
    session.execute(
        text(
            "INSERT INTO adapter (project_id, run_id, run_attempt, base_model, base_revision,"
            " digest) VALUES (:project, :run, 0, 'demo', '1', :digest)"
        ),
        {"project": project.id, "run": run.id, "digest": "a" * 64},
    )
    with storage.atomic_folder(storage.adapter_folder("a" * 64)) as folder:
        (folder / "weights.safetensors").write_bytes(b"weights")
        (folder / "meta.json").write_text("{}", encoding="utf-8")
    with storage.atomic_file(storage.release_path(project.id, 1, "b" * 64, "rows.jsonl")) as file:
        file.write("ünïcode\n".encode())
    storage.put_upload(io.BytesIO(b"a,b\n1,2\n"), "items.csv")


def add_image(session: Session, color: tuple[int, int, int]) -> Image:
    content = png_bytes(color)
    storage.put_image(content, "image/png")
    return make_image(session, content=content)


# --- There and back -------------------------------------------------------------------------


def test_everything_comes_back(saved: Path, filled: Installation, other: Installation) -> None:
    before = filled.rows()
    assert sum(map(len, before.values())) > 10
    archive.restore(saved, replace=False)
    assert other.rows() == before
    assert other.files() == filled.files()
    assert len(other.files()) == 5


def test_restored_database_works_on(saved: Path, other: Installation) -> None:
    archive.restore(saved, replace=False)
    with session_scope() as session:
        user = make_user(session, name="grace")
        project = make_project(session)
    assert user.id > 1  # numbering goes on where it was
    assert project.id > 1
    with pytest.raises(IntegrityError, match="append-only"), session_scope() as session:
        session.execute(text("DELETE FROM event"))


def test_backup_says_its_size_and_is_for_its_owner_alone(
    filled: Installation, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    n_bytes = archive.backup(file)
    assert file.stat().st_size == n_bytes
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "filled"]


def test_passing_things_and_secrets_do_not_travel(filled: Installation, tmp_path: Path) -> None:
    get_settings().resolve_secret_key()
    (filled.store / "state" / "run").mkdir(parents=True)
    (filled.store / "state" / "run" / "optimizer.pt").write_bytes(b"half a training")
    (filled.store / "images" / ".part-0123").write_bytes(b"half an image")
    archive.backup(tmp_path / "backup.tar")
    with tarfile.open(tmp_path / "backup.tar") as tar:
        names = tar.getnames()
    assert (names[0], names[-1]) == (DUMP, MANIFEST)
    assert len(names) == 7
    assert not [name for name in names if "state" in name or "part" in name or "secret" in name]


def test_workers_of_then_are_forgotten(filled: Installation, tmp_path: Path) -> None:
    with session_scope() as session:
        runs.register_worker(session, name="gone:gpu:1", pid=1, device="cpu", queues=["gpu"])
        session.execute(text("UPDATE run SET worker_id = (SELECT id FROM worker)"))
        session.execute(text("UPDATE worker SET seen_at = now() - interval '1 minute'"))
    archive.backup(tmp_path / "backup.tar")
    archive.restore(tmp_path / "backup.tar", replace=True)
    rows = filled.rows()
    assert rows["worker"] == []
    assert json.loads(rows["run"][0])["worker_id"] is None


def test_damaged_file_of_the_store_is_mended(saved: Path, filled: Installation) -> None:
    filled.use()
    before = filled.files()
    image = next(path for path in storage.list_files(filled.store) if path.suffix == ".png")
    image.write_bytes(b"rot")
    archive.restore(saved, replace=True)
    assert filled.files() == before


def test_backup_beside_writers_names_nothing_that_it_lacks(
    filled: Installation, other: Installation, tmp_path: Path
) -> None:
    filled.use()
    stop = threading.Event()

    def keep_importing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            with session_scope() as session:
                add_image(session, (number % 256, number // 256, 200))

    writer = threading.Thread(target=keep_importing)
    writer.start()
    try:
        for number in range(3):
            archive.backup(tmp_path / f"{number}.tar")
    finally:
        stop.set()
        writer.join()
    other.use()
    archive.restore(tmp_path / "2.tar", replace=False)
    with session_scope() as session:
        images = session.query(Image).all()
    assert len(images) > 1
    for image in images:
        content = storage.image_path(image.sha256, image.media_type).read_bytes()
        assert hashlib.sha256(content).hexdigest() == image.sha256


# --- Backups that are refused, or told apart ------------------------------------------------


def test_missing_image_is_told_and_the_rest_is_saved(
    filled: Installation, other: Installation, tmp_path: Path
) -> None:
    filled.use()
    with session_scope() as session:
        lost = make_image(session)
    with pytest.raises(AppError, match=f"1 files .*{lost.sha256}"):
        archive.backup(tmp_path / "backup.tar")
    other.use()
    archive.restore(tmp_path / "backup.tar", replace=False)
    assert other.rows() == filled.rows()


def test_missing_adapter_is_told(filled: Installation, tmp_path: Path) -> None:
    for path in storage.list_files(storage.adapters_folder()):
        path.unlink()
    with pytest.raises(AppError, match=r"1 files .*adapters/aaaa"):
        archive.backup(tmp_path / "backup.tar")


def test_older_backup_stays_when_a_new_one_fails(
    filled: Installation, tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backup.tar"
    archive.backup(file)
    before = file.read_bytes()
    settle(patch, filled.url.replace("/test_", "/no_test_"), filled.home)
    with pytest.raises(AppError, match="database cannot be reached"):
        archive.backup(file)
    assert file.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "filled"]


def test_places_that_cannot_hold_a_backup(filled: Installation, tmp_path: Path) -> None:
    for place, complaint in (
        (tmp_path, "is a folder"),
        (tmp_path / "nowhere" / "backup.tar", "There is no folder"),
        (filled.store / "backup.tar", "lies in the store"),
    ):
        with pytest.raises(AppError, match=complaint):
            archive.backup(place)


def test_database_without_tables_is_told_so(
    services: EmbeddedServices, tmp_path: Path, patch: pytest.MonkeyPatch
) -> None:
    with new_database(services) as url:
        settle(patch, url, tmp_path)
        with pytest.raises(AppError, match="illume migrate"):
            archive.backup(tmp_path / "backup.tar")


def test_password_is_not_among_the_arguments_of_a_program() -> None:
    conninfo, password = split_password("postgresql+psycopg://ann:s3%20cret@host:5433/data")
    assert password == "s3 cret"
    assert psycopg.conninfo.conninfo_to_dict(conninfo) == {
        "user": "ann",
        "host": "host",
        "port": "5433",
        "dbname": "data",
    }


# --- Restores that are refused --------------------------------------------------------------


def test_filled_database_is_not_overwritten_unasked(saved: Path, other: Installation) -> None:
    with session_scope() as session:
        make_user(session, name="grace")
    before = other.rows()
    with pytest.raises(AppError, match=r"not empty.*user.*--replace"):
        archive.restore(saved, replace=False)
    assert (other.rows(), other.store.exists()) == (before, False)
    archive.restore(saved, replace=True)
    assert other.names() == {"ada"}


def test_replacing_takes_everything_of_a_later_version_away(
    saved: Path, other: Installation
) -> None:
    with connected(other.url) as connection:
        connection.execute(text('CREATE TABLE later (user_id bigint REFERENCES "user" (id))'))
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(text("CREATE FUNCTION newer() RETURNS int LANGUAGE sql AS 'SELECT 1'"))
    archive.restore(saved, replace=True)
    with connected(other.url) as connection:
        assert connection.execute(text("SELECT to_regclass('later')")).scalar() is None
        assert connection.execute(text("SELECT to_regproc('newer')")).scalar() is None
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    assert version == json.loads(read_manifest(saved))["migration"]


def test_database_of_another_program_is_left_alone(saved: Path, other: Installation) -> None:
    with connected(other.url) as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    with pytest.raises(AppError, match="belongs to another program"):
        archive.restore(saved, replace=True)


def test_restore_that_fails_half_way_changes_nothing(saved: Path, other: Installation) -> None:
    with session_scope() as session:
        make_user(session, name="grace")
    db.forget_engine()
    with connected(other.url) as connection:
        # Stands in the way of a key that is made after all rows are in.
        connection.execute(text("CREATE SEQUENCE in_the_way"))
        connection.execute(text('ALTER TABLE "user" RENAME CONSTRAINT pk_user TO pk_person'))
        connection.execute(text("ALTER SEQUENCE in_the_way RENAME TO pk_user"))
    before = other.rows()
    with pytest.raises(AppError, match=r'psql failed: .*"pk_user" already exists') as refused:
        archive.restore(saved, replace=True)
    assert "\n" not in refused.value.message
    assert other.rows() == before


def read_manifest(file: Path) -> bytes:
    with tarfile.open(file) as tar:
        stream = tar.extractfile(MANIFEST)
        assert stream is not None
        return stream.read()


def rewrite(
    file: Path,
    *,
    change_manifest: Callable[[dict[str, Any]], None] | None = None,
    contents: dict[str, bytes] | None = None,
    add: tarfile.TarInfo | None = None,
) -> None:
    """The same archive with another manifest, other contents, or one more member."""
    with tarfile.open(file) as tar:
        members = [(member, tar.extractfile(member)) for member in tar]
        read = [(member, stream.read() if stream else b"") for member, stream in members]
    with tarfile.open(file, "w") as tar:
        if add is not None:
            tar.addfile(add, io.BytesIO(b"x" * add.size))
        for member, old in read:
            content = (contents or {}).get(member.name, old)
            if member.name == MANIFEST and change_manifest is not None:
                manifest = json.loads(content)
                change_manifest(manifest)
                content = json.dumps(manifest).encode()
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def check_refused(file: Path, installation: Installation, complaint: str) -> None:
    """Refused in one line, and nothing has happened."""
    before = installation.rows()
    with pytest.raises(AppError, match=complaint) as refused:
        archive.restore(file, replace=True)
    assert "\n" not in refused.value.message
    assert installation.rows() == before
    assert not installation.store.exists()


def test_no_archive(other: Installation, tmp_path: Path) -> None:
    check_refused(tmp_path / "nothing.tar", other, "There is no file")
    for name, content in (("empty", b""), ("text", b"hello" * 1000)):
        (tmp_path / name).write_bytes(content)
        check_refused(tmp_path / name, other, "no backup, or it was cut off")


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_archive_that_was_cut_off(saved: Path, other: Installation, share: float) -> None:
    with tarfile.open(saved) as tar:
        end = max(member.offset_data + member.size for member in tar)
    # A share of what it holds: the padding after that may be lost without harm.
    saved.write_bytes(saved.read_bytes()[: int(end * share)])
    check_refused(saved, other, "cut off")


@pytest.mark.parametrize("ending", [".png", ".dump", ".safetensors"])
def test_archive_with_one_wrong_byte(saved: Path, other: Installation, ending: str) -> None:
    with tarfile.open(saved) as tar:
        member = next(member for member in tar if member.name.endswith(ending))
    content = bytearray(saved.read_bytes())
    content[member.offset_data + 3] ^= 1
    saved.write_bytes(content)
    check_refused(saved, other, f"damaged: .*{ending}")


def test_archive_of_a_newer_version(saved: Path, other: Installation) -> None:
    rewrite(saved, change_manifest=lambda manifest: manifest.update(format=2, new={}))
    check_refused(saved, other, "newer version of ILLUME.*Update")


def test_schema_that_is_not_known(saved: Path, other: Installation) -> None:
    rewrite(saved, change_manifest=lambda manifest: manifest.update(migration="7777"))
    check_refused(saved, other, "schema 7777.*Update")


def test_server_that_is_older_than_the_backup(saved: Path, other: Installation) -> None:
    rewrite(saved, change_manifest=lambda manifest: manifest.update(postgres=99))
    check_refused(saved, other, "backup is of PostgreSQL 99")


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: manifest.pop("format"),
        lambda manifest: manifest.update(format=0),
        lambda manifest: manifest.update(files={}),
        lambda manifest: manifest["files"].pop(DUMP),
        lambda manifest: manifest["files"].update(extra={"sha256": "0" * 64, "n_bytes": 1}),
        lambda manifest: manifest.update(surprise=True),
    ],
)
def test_manifest_that_does_not_fit(
    saved: Path, other: Installation, change: Callable[[dict[str, Any]], None]
) -> None:
    rewrite(saved, change_manifest=change)
    check_refused(saved, other, "cannot be understood|damaged")


@pytest.mark.parametrize(
    "name", ["store/../../evil", "/evil", "evil", "store", "store//x", "store/./x", "./x"]
)
def test_name_that_leads_elsewhere(saved: Path, other: Installation, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = 1
    rewrite(saved, add=member)
    check_refused(saved, other, "which a backup never does")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_member_that_is_no_file(saved: Path, other: Installation, kind: bytes) -> None:
    member = tarfile.TarInfo("store/images/link")
    member.type, member.linkname = kind, "/etc/passwd"
    rewrite(saved, add=member)
    check_refused(saved, other, "which a backup never does")


def test_member_that_the_manifest_does_not_name(saved: Path, other: Installation) -> None:
    member = tarfile.TarInfo("store/extra")
    member.size = 1
    rewrite(saved, add=member)
    check_refused(saved, other, "damaged: store/extra")


def test_dump_that_postgres_cannot_read(saved: Path, other: Installation) -> None:
    """Right by its sums, so that only PostgreSQL finds out; the rows stay."""
    garbage = b"PGDMP and nothing more"

    def bless(manifest: dict[str, Any]) -> None:
        entry = {"sha256": hashlib.sha256(garbage).hexdigest(), "n_bytes": len(garbage)}
        manifest["files"][DUMP] = entry

    rewrite(saved, contents={DUMP: garbage}, change_manifest=bless)
    with session_scope() as session:
        make_user(session, name="grace")
    with pytest.raises(AppError, match="pg_restore failed: "):
        archive.restore(saved, replace=True)
    assert other.names() == {"grace"}


# --- While something runs -------------------------------------------------------------------


def test_restore_waits_for_nobody_who_is_connected(saved: Path, other: Installation) -> None:
    dsn = other.url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(dsn, application_name="illume"):
        check_refused(saved, other, "1 connections of ILLUME .*Stop all of them")
    archive.restore(saved, replace=False)


@pytest.mark.parametrize("name", ["elsewhere:gpu:1", "HERE:cpu:PID"])
def test_restore_refuses_beside_a_live_worker(saved: Path, other: Installation, name: str) -> None:
    name = name.replace("HERE", os.uname().nodename).replace("PID", str(os.getpid()))
    with session_scope() as session:
        runs.register_worker(session, name=name, pid=os.getpid(), device="cpu", queues=["gpu"])
    check_refused(saved, other, f"The worker {name} is alive")


def test_worker_of_this_machine_that_has_ended_is_in_nobodys_way(
    saved: Path, other: Installation
) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    name = f"{os.uname().nodename}:gpu:{ended.pid}"
    with session_scope() as session:
        runs.register_worker(session, name=name, pid=ended.pid, device="cpu", queues=["gpu"])
    archive.restore(saved, replace=True)
    assert other.names() == {"ada"}


def test_restore_refuses_while_illume_up_runs(saved: Path, other: Installation) -> None:
    script = (
        "import sys, time; from pathlib import Path; from app.embedded import HomeLock\n"
        "with HomeLock(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    home = open_home(other.home)
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(home)], cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        check_refused(saved, other, f"everything stopped. .*process {holder.pid}")
    finally:
        holder.kill()
        holder.communicate()
    archive.restore(saved, replace=False)


def test_nothing_can_start_during_a_restore(
    saved: Path, other: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def try_to_start() -> None:
        with pytest.raises(AppError, match="already running"):
            HomeLock(other.home).acquire()
        seen.append("refused")

    monkeypatch.setattr(archive, "migrate", try_to_start)
    archive.restore(saved, replace=False)
    assert seen == ["refused"]
    with HomeLock(other.home):  # and free again afterwards
        pass


# --- The commands ---------------------------------------------------------------------------


@pytest.mark.slow
def test_commands_on_embedded_services(tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        home = str(tmp_path / name)
        without = ("DATABASE_URL", "REDIS_URL", "STORE")
        return run_illume(*arguments, without=without, ILLUME_HOME=home)

    assert run("first", "user", "add", "ada", "--admin").returncode == 0
    saved = run("first", "backup", str(file))
    assert (saved.returncode, saved.stderr) == (0, "")
    assert f"Wrote {file}" in saved.stdout
    restored = run("second", "restore", str(file))
    assert (restored.returncode, restored.stderr) == (0, "")
    again = run("second", "user", "add", "ada")
    assert again.returncode == 1
    assert "taken" in again.stderr
    refused = run("second", "restore", str(file))
    assert refused.returncode == 1
    assert refused.stderr.startswith("illume: The database is not empty")
    assert run("second", "restore", "--replace", str(file)).returncode == 0


# --- Keys ----------------------------------------------------------------------------------


def test_a_restore_brings_back_no_session_and_no_link(filled: Installation, tmp_path: Path) -> None:
    """Neither those that were open when the backup was made, nor those that were ended since."""
    filled.use()
    with session_scope() as session:
        ada = session.scalars(select(User)).first()
        assert ada is not None
        keys = [accounts.start_session(session, ada) for _ in range(2)]
        links = [
            accounts.make_sign_in_link(session, ada, is_reset=is_reset).rpartition("/")[2]
            for is_reset in (False, True)
        ]
        project = session.scalars(select(Project)).one()
        invite = projects.make_invite(session, project, actor=None).rpartition("/")[2]
        token = make_token(session, ada)
        user_id = ada.id
    archive.backup(tmp_path / "keys.tar")
    with session_scope() as session:
        accounts.end_session(session, user_id, keys[0])
        accounts.use_sign_in_link(session, links[0])
    archive.restore(tmp_path / "keys.tar", replace=True)
    with session_scope() as session:
        assert session.get_one(User, user_id).password_hash == "hashed"
        for key in keys:
            assert whose_session(session, user_id, key) is None
        for link in links:
            assert not accounts.is_usable(accounts.find_link(session, link))
        with pytest.raises(AppError):
            projects.find_invite(session, invite)
        assert whose_token(session, token) is None
