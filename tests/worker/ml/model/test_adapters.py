import json
from pathlib import Path

import pytest

from worker.ml.errors import AdapterError
from worker.ml.model.adapters import content_digest, publish_adapter, verify_adapter


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    return folder


def test_published_under_its_digest_with_its_meta(source: Path, tmp_path: Path) -> None:
    digest, place = publish_adapter(source, tmp_path / "store", {"round": 3, "seed": 1})
    assert place == tmp_path / "store" / digest
    assert json.loads((place / "meta.json").read_text()) == {"round": 3, "seed": 1}
    assert verify_adapter(place) == digest == content_digest(source)
    assert sorted(path.name for path in (tmp_path / "store").iterdir()) == [digest]


def test_publishing_again_changes_nothing(source: Path, tmp_path: Path) -> None:
    first = publish_adapter(source, tmp_path / "store", {"round": 3})
    assert publish_adapter(source, tmp_path / "store", {"round": 4}) == first
    assert json.loads((first[1] / "meta.json").read_text()) == {"round": 3}


def test_other_bytes_or_names_are_another_adapter(source: Path) -> None:
    before = content_digest(source)
    (source / "adapter_model.safetensors").write_bytes(b"weight")
    changed = content_digest(source)
    (source / "more").write_bytes(b"s")
    assert len({before, changed, content_digest(source)}) == 3


def test_a_failure_leaves_nothing_behind(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("worker.ml.model.adapters.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space left"):
        publish_adapter(source, tmp_path / "store", {})
    assert list((tmp_path / "store").iterdir()) == []


def test_a_damaged_adapter_is_found(source: Path, tmp_path: Path) -> None:
    _, place = publish_adapter(source, tmp_path / "store", {})
    (place / "adapter_model.safetensors").write_bytes(b"rotten")
    with pytest.raises(AdapterError, match="is damaged"):
        verify_adapter(place)
    with pytest.raises(AdapterError, match="is not in the store"):
        verify_adapter(tmp_path / "store" / "absent")


def test_nothing_to_publish(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"holds no adapter_config\.json"):
        publish_adapter(tmp_path, tmp_path / "store", {})
