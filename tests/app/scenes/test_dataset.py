"""The demo project's data as a folder."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.scenes.dataset import IMAGE_LICENCE, write_demo_dataset, write_demo_pictures
from app.scenes.scene import Scene, is_held_out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    return write_demo_dataset(folder, seed=5, n_train=31, n_validation=10, n_test=20)


def items_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(folder)}:{path.read_bytes().hex()}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_splits_have_the_sizes_asked_for(written: Path) -> None:
    splits = [item["split"] for item in items_in(written)]
    assert [splits.count(name) for name in ("train", "validation", "test")] == [31, 10, 20]


def test_ids_are_unique_and_no_image_is_in_two_splits(written: Path) -> None:
    items = items_in(written)
    assert len({item["id"] for item in items}) == len(items)
    owners: dict[str, set[str]] = {}
    for item in items:
        owners.setdefault(item["image"], set()).add(item["split"])
    assert all(len(splits) == 1 for splits in owners.values())
    pictures = {path.name: path.read_bytes() for path in (written.parent / "images").iterdir()}
    assert set(pictures) == set(owners)
    assert len(set(pictures.values())) == len(pictures)


def test_every_item_has_three_rationales_that_fit(written: Path) -> None:
    critic = ExactCritic()
    for item in items_in(written):
        assert len(set(item["rationales"])) == 3
        asked = CriticItem(item["question"], item["answer"], (), item["facts"])
        assert all(verdict.fits for verdict in critic.judge(asked, item["rationales"]))


def test_scenes_are_those_that_the_model_never_saw(written: Path) -> None:
    assert all(is_held_out(Scene.from_dict(item["facts"])) for item in items_in(written))


def test_images_open(written: Path) -> None:
    for item in items_in(written):
        with Image.open(written.parent / "images" / item["image"]) as picture:
            assert picture.size == (336, 336)


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_demo_dataset(tmp_path / name, seed=9, n_train=6, n_validation=2, n_test=2)
    write_demo_dataset(tmp_path / "other", seed=10, n_train=6, n_validation=2, n_test=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two") != digest(tmp_path / "other")


def test_the_licence_of_the_images_is_named() -> None:
    assert "Apache-2.0" in IMAGE_LICENCE


def test_scenes_and_critic_need_no_torch() -> None:
    code = (
        "import sys, app.scenes.dataset, app.critics.exact;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_pictures_without_questions_show_other_scenes(written: Path, tmp_path: Path) -> None:
    folder = write_demo_pictures(tmp_path / "a", seed=5, n_pictures=12, besides=written)
    entries = items_in(folder / "metadata.jsonl")
    assert len(entries) == 12
    assert all(entry.keys() == {"file_name", "split", "facts"} for entry in entries)
    assert {entry["split"] for entry in entries} == {"train"}
    scenes = {Scene.from_dict(entry["facts"]) for entry in entries}
    assert len(scenes) == 12
    assert not scenes & {Scene.from_dict(item["facts"]) for item in items_in(written)}
    assert all(is_held_out(scene) for scene in scenes)
    assert all((folder / entry["file_name"]).is_file() for entry in entries)
    again = write_demo_pictures(tmp_path / "b", seed=5, n_pictures=12, besides=written)
    assert digest(again) == digest(folder)
