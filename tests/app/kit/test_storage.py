import hashlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.kit import storage
from app.kit.errors import InvalidInput, SetupError
from app.kit.settings import get_settings
from tests.support.dataset_files import own_store, stored_files


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def test_an_image_lies_where_its_content_says(store: Path) -> None:
    sha256, is_new = storage.put_image(b"picture", "image/jpeg")
    assert is_new
    assert sha256 == hashlib.sha256(b"picture").hexdigest()
    path = storage.image_path(sha256, "image/jpeg")
    assert path == store / "images" / sha256[:2] / f"{sha256}.jpg"
    assert path.read_bytes() == b"picture"
    assert storage.put_image(b"picture", "image/jpeg") == (sha256, False)
    assert stored_files(store) == [path.name]


@pytest.mark.parametrize("name", ["../../etc/passwd", "ab", "A" * 64, ""])
def test_paths_are_made_of_digests_only(name: str) -> None:
    with pytest.raises(ValueError, match="is no sha256"):
        storage.image_path(name, "image/png")
    with pytest.raises(ValueError, match="is no sha256"):
        storage.adapter_folder(name)
    with pytest.raises(ValueError, match="is no sha256"):
        storage.release_path(1, 1, name, "jsonl.zip")


@pytest.mark.parametrize("name", ["../secret", "0" * 31, "0" * 32 + "/../x", "0" * 32 + ".a/b"])
def test_only_names_of_uploads_are_looked_up(name: str) -> None:
    with pytest.raises(InvalidInput, match="is not the name of an upload"):
        storage.upload_path(name)


def test_an_upload_is_kept_under_a_name_of_our_own(store: Path) -> None:
    upload = storage.put_upload(io.BytesIO(b"data"), "C:\\photos\\..\\My Data.JSONL")
    assert upload.filename == "My Data.JSONL"
    assert upload.name.endswith(".jsonl")
    assert upload.n_bytes == 4
    assert storage.upload_path(upload.name).read_bytes() == b"data"
    assert stored_files(store) == [upload.name]


def test_an_upload_above_the_limit_leaves_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(get_settings(), "max_upload_mb", 1)
    with pytest.raises(InvalidInput, match=r"big\.zip is larger than 1 MB"):
        storage.put_upload(io.BytesIO(bytes((1 << 20) + 1)), "big.zip")
    assert stored_files(store) == []


def test_a_file_appears_whole_or_not_at_all(store: Path) -> None:
    path = store / "a" / "b"

    def fail_half_way() -> None:
        with storage.atomic_file(path) as stream:
            stream.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert stored_files(store) == []
    with storage.atomic_file(path) as stream:
        stream.write(b"whole")
        assert not path.exists()
    assert stored_files(store) == ["b"]
    assert path.read_bytes() == b"whole"


def test_a_folder_appears_whole_or_not_at_all(store: Path) -> None:
    path = store / "release"

    def fail_half_way() -> None:
        with storage.atomic_folder(path) as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert list(store.iterdir()) == []
    with storage.atomic_folder(path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep/file").write_text("x")
        assert not path.exists()
    assert [entry.name for entry in store.iterdir()] == ["release"]
    assert (path / "deep/file").read_text() == "x"


def test_a_folder_that_is_in_the_way_is_not_overwritten(store: Path) -> None:
    (store / "release").mkdir(parents=True)
    (store / "release/mine.txt").write_text("keep")
    with (
        pytest.raises(SetupError, match="cannot be written"),
        storage.atomic_folder(store / "release") as folder,
    ):
        (folder / "new").write_text("x")
    assert stored_files(store) == ["mine.txt"]


def test_a_store_that_cannot_be_written_says_so(store: Path) -> None:
    store.parent.mkdir(exist_ok=True)
    store.write_text("a file where the folder should be")
    with pytest.raises(SetupError, match="cannot be written"):
        storage.put_image(b"picture", "image/png")


def test_removing_an_image_leaves_others_and_what_cannot_be_removed(
    store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone, left, stuck = (storage.put_image(bytes([n]), "image/png")[0] for n in range(3))
    path = storage.image_path(stuck, "image/png")
    path.unlink()
    path.mkdir()
    storage.remove_images([gone, stuck])
    assert stored_files(store) == [f"{left}.png"]
    assert "stays in the store" in caplog.text


def modes_in(store: Path) -> set[tuple[str, str]]:
    return {
        ("folder" if path.is_dir() else "file", oct(path.stat().st_mode & 0o7777))
        for path in [store, *store.rglob("*")]
    }


def fill(store: Path) -> None:
    storage.put_image(b"picture", "image/jpeg")
    storage.put_upload(io.BytesIO(b"data"), "rows.jsonl")
    with storage.atomic_folder(store / "releases" / "one") as folder:
        (folder / "images").mkdir()
        (folder / "images" / "a.jpg").write_bytes(b"picture")
        (folder / "README.md").write_text("text")


def test_what_is_stored_is_for_nobody_else(store: Path) -> None:
    before = os.umask(0o022)
    try:
        fill(store)
    finally:
        os.umask(before)
    assert modes_in(store) == {("folder", "0o700"), ("file", "0o600")}


def test_a_store_that_is_open_to_a_group_stays_open_to_it_and_to_nobody_else(store: Path) -> None:
    store.mkdir()
    store.chmod(0o2770)
    before = os.umask(0o022)
    try:
        fill(store)
    finally:
        os.umask(before)
    assert modes_in(store) == {("folder", "0o2770"), ("file", "0o660")}


def test_what_processes_write_by_themselves_is_as_private_as_the_store(store: Path) -> None:
    for mode, expected in ((0o755, 0o027), (0o700, 0o077), (0o2770, 0o007)):
        store.mkdir(exist_ok=True)
        store.chmod(mode)
        before = storage.keep_private()
        assert os.umask(before) == expected
