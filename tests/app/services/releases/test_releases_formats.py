"""What the files of a release call things, in this format and in that of older releases."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.models import Adapter, Item, Round
from app.services.releases.formats.huggingface import build_huggingface
from app.services.releases.formats.jsonl import build_jsonl
from app.services.releases.formats.packing import Entry
from app.services.releases.names import public_model_name
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.released_project import make_released_project

# A manifest and a card as the first format had them.
ABOUT = {
    "item": "q1",
    "item_version": 1,
    "image": "a" * 64,
    "image_file": "a" * 64 + ".png",
    "split": "train",
    "question": "what?",
    "answer": "red",
}
DRAW = {
    "round": 1,
    "base_model": "/home/ann/models/tiny",
    "base_revision": None,
    "adapter": None,
    "strategy": "direct",
    "prompt": ", seeing that",
    "temperature": 0.3,
    "number": 1,
    "seed": 7,
    "log_probability": -1.5,
}
PAYLOADS = [
    {
        "kind": "rationale",
        "row_id": "0" * 20,
        **ABOUT,
        "rationale": "it is red",
        "author_kind": "model",
        "author": None,
        "first_draw": DRAW,
        "n_draws": 1,
        "draws": [DRAW],
        "people_fits": 1,
        "people_votes": 1,
        "critic_fits": 0,
        "critic_votes": 0,
        "verdicts": [],
        "admissions": [
            {"round": 1, "policy": "any", "judge_kind": "person", "n_fits": 1, "n_votes": 1}
        ],
    },
    {
        "kind": "item",
        "row_id": "1" * 20,
        **ABOUT,
        "gold_rationales": [],
        "facts": None,
        "n_rationales": 1,
        "answer_is_in_doubt": False,
        "judgements": [],
    },
]
DRAW_2 = {"opener" if name == "prompt" else name: value for name, value in DRAW.items()}
PAYLOADS_2 = [
    {
        **payload,
        "image_name": "first.png",
        **({"first_draw": DRAW_2, "draws": [DRAW_2]} if "draws" in payload else {}),
    }
    for payload in PAYLOADS
]
SAID = {"judgements": 1, "verdicts": 1, "none_fits": 0, "answer_is_wrong": 0, "faults": {}}
RELEASE = {
    "number": 1,
    "content_hash": "0" * 64,
    "n_rows": 1,
    "project": "Scenes",
    "slug": "scenes",
    "description": "",
    "licence": "cc-by-4.0",
    "guidelines": "Pick.",
    "guidelines_version": 1,
    "released_on": "2026-01-01",
    "previous": None,
    "rounds": [],
    "figures": {
        "rationales": 1,
        "rationales_per_split": {"train": 1},
        "candidates": 1,
        "items": 1,
        "items_with_rationale": 1,
        "items_in_doubt": 0,
        "images": 1,
        "tombstones": 0,
        "people": {"annotators": 1, **SAID, "active_minutes": 0.5},
        "critics": {"names": [], **SAID, "judgements": 0},
        "agreement": {
            "on_candidates": {"n": 0, "n_same": 0, "share": None},
            "on_items": {"n": 0, "n_same": 0, "share": None},
        },
    },
}


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def digest_of(entries: list[Entry], folder: Path) -> str:
    digest = hashlib.sha256()
    for entry in sorted(entries, key=lambda entry: entry.name):
        digest.update(entry.name.encode() + b"\0")
        if entry.source.is_relative_to(folder):
            digest.update(entry.source.read_bytes())
    return digest.hexdigest()


@pytest.mark.parametrize(
    ("build", "format", "published"),
    [
        (build_jsonl, 1, "45b2a1eca17418096a0de3bd5dbb294b3798eb4c0cd5f0437645a45c9f91bb02"),
        (build_huggingface, 1, "4f731d98bcb5edd22fbe9284d5b419f53435940ec0b86f3961f0c821c11d0568"),
        (build_jsonl, 2, "364dc7f6bc1c918c01de9f5268ae8b4edbcb117e1c1f0971e93ebcf39da86c1b"),
        (build_huggingface, 2, "5e4d82ba60a1d8a7ebde7c3718d61caf3bc1be37d613ec6004fb85ef7c73f17d"),
    ],
)
def test_an_older_release_is_built_to_the_bytes_that_were_published(
    build: Callable[..., list[Entry]], format: int, published: str, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    payloads, release = (
        (PAYLOADS, RELEASE) if format == 1 else (PAYLOADS_2, {**RELEASE, "format": format})
    )
    assert digest_of(build(iter(payloads), release, folder), folder) == published


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Columns from which trl and datasets conclude what a row is.
MAGIC = {
    *("prompt", "completion", "chosen", "rejected", "messages", "conversations", "text", "label"),
    *("labels", "images", "tools", "input_ids", "score"),
}


def test_no_column_has_a_name_that_trainers_take_for_something_else(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    for format in (ReleaseFormat.JSONL, ReleaseFormat.HUGGINGFACE):
        write_release(session, release, format=format, out=tmp_path / format)
        # What a form has for trainers stands under the names that they look for.
        meant = {"prompt", "completion"} if format is ReleaseFormat.HUGGINGFACE else set()
        for path in (tmp_path / format).rglob("*.jsonl"):
            for row in read(path):
                assert (MAGIC & row.keys()) == meant, path
                assert "image" not in row, path
    flat = read(tmp_path / "huggingface" / "train" / "metadata.jsonl")
    assert flat[0]["opener"] == ", seeing that"


def test_jsonl_holds_the_pictures_and_the_names_they_had(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    session.execute(update(Item).where(Item.id == items[1].id).values(image_name=None))
    session.expire_all()
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.JSONL, out=tmp_path / "out")
    files = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")}
    assert "withdrawn.jsonl" not in files
    assert sum(name.startswith("images/") for name in files) == 3
    rows = read(tmp_path / "out" / "items.jsonl")
    assert [row["image_name"] for row in rows] == ["1.png", None, "3.png"]
    for row in [*rows, *read(tmp_path / "out" / "rationales.jsonl")]:
        assert str(row["image_file"]) in files


def test_no_file_of_a_release_names_a_folder_of_a_machine(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    for round_ in session.query(Round):
        round_.settings = {**round_.settings, "base_model": "/home/ann/models/tiny-vlm"}
    session.execute(update(Adapter).values(base_model="/home/ann/models/tiny-vlm"))
    session.flush()
    session.expire_all()
    release = create_release(session, project, actor=None)
    for format in ReleaseFormat:
        write_release(session, release, format=format, out=tmp_path / format)
        written = b"".join(
            path.read_bytes() for path in (tmp_path / format).rglob("*") if path.is_file()
        )
        assert b"tiny-vlm" in written
        assert b"home/ann" not in written


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("demo", "demo"),
        ("org/model", "org/model"),
        ("/data/models/model/", "model"),
        ("~/model", "model"),
        ("./model", "model"),
        ("C:\\models\\model", "model"),
        ("work/ann/model", "model"),
        ("/root/.cache/huggingface/hub/models--org--my-model/snapshots/1234", "org/my-model"),
        ("/", "a local model"),
    ],
)
def test_a_base_is_named_without_the_folders_it_lies_in(model: str, name: str) -> None:
    assert public_model_name(model) == name
