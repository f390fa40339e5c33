"""Conversations, pairs and labels as the libraries read them that train on them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas
import pyarrow
import pyarrow.json
import pytest
from sqlalchemy.orm import Session

from app.lifecycle import DecidedBy
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import load_with_datasets, own_store
from tests.support.released_project import import_items, make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def write(
    session: Session, tmp_path: Path, format: ReleaseFormat, by: DecidedBy = DecidedBy.JUDGEMENT
) -> Path:
    project, items = make_released_project(session, tmp_path)
    items[0].question = "is <image> red?"
    release = create_release(session, project, actor=None)
    out = tmp_path / f"{format}-{by}"
    write_release(session, release, format=format, out=out, by=by)
    return out


def text_of(message: Any) -> str:
    return str(message[0]["content"])


# --- LLaVA, LLaMA-Factory -------------------------------------------------------------------

# Of the form `sharegpt` with pictures, as LLaMA-Factory's data/README.md describes it.
ROLES = ("human", "gpt")
COLUMNS = {"messages", "system", "tools", "images", "videos", "audios", "chosen", "rejected"}
TAGS = {"role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag"}


def check_llama_factory(folder: Path) -> list[dict[str, Any]]:
    """Reads a folder by its `dataset_info.json` and refuses what is not documented."""
    described = json.loads((folder / "dataset_info.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = []
    for entry in described.values():
        assert entry.keys() <= {"file_name", "formatting", "columns", "tags"}
        assert entry["formatting"] == "sharegpt"
        assert entry["columns"].keys() <= COLUMNS
        assert entry["tags"].keys() <= TAGS
        for row in json.loads((folder / entry["file_name"]).read_text(encoding="utf-8")):
            messages, images = (row[entry["columns"][name]] for name in ("messages", "images"))
            # People stand at the odd places, the model at the even ones.
            roles = [message[entry["tags"]["role_tag"]] for message in messages]
            assert roles == [ROLES[n % 2] for n in range(len(messages))]
            assert len(messages) % 2 == 0
            texts = [message[entry["tags"]["content_tag"]] for message in messages]
            assert sum(text.count("<image>") for text in texts) == len(images)
            assert not re.search("<(video|audio)>", "".join(texts))
            assert all((folder / image).is_file() for image in images)
            rows.append(row)
    return rows


def test_conversations_have_the_documented_forms(session: Session, tmp_path: Path) -> None:
    out = write(session, tmp_path, ReleaseFormat.LLAVA)
    first, second = check_llama_factory(out)
    assert [message["value"] for message in first["conversations"]] == [
        "<image>\nis (image) red?",
        "red, seeing that it is red",
    ]
    # LLaVA's own form: one picture by name, and the tag in the first message.
    for row in (first, second):
        assert isinstance(row["id"], str)
        assert (out / row["image"]).is_file()
        assert row["conversations"][0]["value"].startswith("<image>\n")


def test_conversations_are_read_by_the_libraries(session: Session, tmp_path: Path) -> None:
    out = write(session, tmp_path, ReleaseFormat.LLAVA)
    (loaded,) = load_with_datasets(tmp_path, {"path": str(out)})
    assert loaded["rows"][1]["conversations"][1]["value"] == "red, seeing that it looks red"
    assert len(pandas.read_json(out / "train.json")) == 2
    rows = json.loads((out / "train.json").read_text(encoding="utf-8"))
    assert pyarrow.Table.from_pylist(rows).num_rows == 2


# --- trl ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        # Ben saw the same three texts, in another order. The critic of round 2 judged two.
        (
            DecidedBy.JUDGEMENT,
            [
                ("q1", "it is red", "grün"),
                ("q1", "a ball", "grün"),
                ("q1", "it is red", "a ball"),
                ("q1", "it is red", "grün"),
                ("q3", "it looks red", "no idea"),
            ],
        ),
        (
            DecidedBy.AGREED,
            [
                ("q1", "a ball", "grün"),
                ("q1", "it is red", "a ball"),
                ("q1", "it is red", "grün"),
                ("q3", "it looks red", "no idea"),
            ],
        ),
        (
            DecidedBy.POLICY,
            [
                ("q1", "it is red", "a ball"),
                ("q1", "it is red", "grün"),
                ("q3", "it looks red", "no idea"),
            ],
        ),
    ],
)
def test_pairs_have_pictures_and_are_said_alike(
    session: Session, tmp_path: Path, by: DecidedBy, expected: list[tuple[str, str, str]]
) -> None:
    out = write(session, tmp_path, ReleaseFormat.PREFERENCE, by)
    (loaded,) = load_with_datasets(tmp_path, {"path": str(out)})
    start = "red, seeing that "
    found = [
        tuple(
            text_of(row[side]).removeprefix(start).split(" |")[0] for side in ("chosen", "rejected")
        )
        for row in loaded["rows"]
    ]
    named = [(row["item"], *pair) for row, pair in zip(loaded["rows"], found, strict=True)]
    assert sorted(named) == sorted(expected)
    assert text_of(loaded["rows"][0]["prompt"]) == "is <image> red?"
    assert loaded["rows"][0]["image"] == [[64, 48], [1, 0, 77]]
    assert {name for name, kind in loaded["types"].items() if "null" in kind.lower()} == set()


def test_labels_are_true_and_false(session: Session, tmp_path: Path) -> None:
    out = write(session, tmp_path, ReleaseFormat.KTO)
    (loaded,) = load_with_datasets(tmp_path, {"path": str(out)})
    counted = [row["label"] for row in loaded["rows"]]
    # Six verdicts on q1, two on q2, whose second judge found the answer wrong, two on q3.
    assert (len(counted), sum(counted)) == (10, 4)
    assert loaded["types"]["label"] == "Value('bool')"
    assert loaded["rows"][0]["image"] == [[64, 48], [1, 0, 77]]


@pytest.mark.parametrize("format", [ReleaseFormat.PREFERENCE, ReleaseFormat.KTO])
def test_pandas_and_pyarrow_read_the_rows(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    path = write(session, tmp_path, format) / "train/metadata.jsonl"
    n = len(pandas.read_json(path, lines=True))
    assert n == pyarrow.json.read_json(path).num_rows > 4


@pytest.mark.parametrize(
    "format", [ReleaseFormat.LLAVA, ReleaseFormat.PREFERENCE, ReleaseFormat.KTO]
)
def test_a_release_without_rows_is_valid(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = import_items(session, tmp_path, n_items=1)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=format, out=tmp_path / "out")
    name = "train.json" if format is ReleaseFormat.LLAVA else "train/metadata.jsonl"
    assert (tmp_path / "out" / name).read_text() in {"[]\n", ""}


@pytest.mark.parametrize("format", list(ReleaseFormat))
def test_the_same_release_gives_the_same_bytes(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    paths = [tmp_path / "first.zip", tmp_path / "second.zip"]
    for path in paths:
        write_release(session, release, format=format, out=path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
