"""Parquet files, the folders of `datasets`, and our own releases imported again."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import ReleaseFormat, Split
from app.models import Item, Project, Release
from app.services.dataset.imports import ImportReport, import_dataset, read_dataset
from app.services.releases.releases import create_release, write_release
from tests.support.dataset_files import (
    count_rows,
    own_store,
    picture,
    row,
    write_images,
    write_jsonl,
    write_zip,
)
from tests.support.factories import make_project
from tests.support.odd_pictures import halves, saved, with_position
from tests.support.released_project import make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def load(session: Session, project: Project, *paths: Path) -> ImportReport:
    with read_dataset(paths) as parsed:
        return import_dataset(session, project, parsed, update=False, actor=None)


def items_of(session: Session, project: Project) -> list[dict[str, Any]]:
    names = (
        *("external_id", "image_name", "question", "answer", "gold_rationales", "answers"),
        *("facts", "split"),
    )
    found = session.scalars(
        select(Item).where(Item.project_id == project.id).order_by(Item.external_id)
    )
    return [{name: getattr(item, name) for name in names} for item in found]


def with_picture(number: int, **changes: Any) -> dict[str, Any]:
    content = {"bytes": picture(number), "path": f"{number}.png"}
    return row(number, image=content, split=..., **changes)


def write_parquet(path: Path, rows: list[dict[str, Any]], group: int = 2) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path, row_group_size=group)
    return path


# --- Parquet --------------------------------------------------------------------------------


def test_pictures_are_read_from_the_rows(
    session: Session, project: Project, tmp_path: Path
) -> None:
    rows = [with_picture(number) for number in range(1, 6)]
    path = write_parquet(tmp_path / "data/train-00000-of-00001.parquet", rows)
    report = load(session, project, path)
    assert (report.n_added, report.n_images, report.splits) == (5, 5, {"train": 5})
    stored = items_of(session, project)
    assert [item["image_name"] for item in stored] == [f"{n}.png" for n in range(1, 6)]
    assert stored[0]["gold_rationales"] == ["the ball is red"]


def test_pictures_of_one_name_are_told_apart(tmp_path: Path) -> None:
    rows = [with_picture(1), with_picture(2), with_picture(3)]
    for values in rows:
        values["image"]["path"] = "same.png"
    rows[2]["image"] = rows[0]["image"]
    with read_dataset([write_parquet(tmp_path / "data.parquet", rows)]) as parsed:
        first, second, third = (item.image_sha256 for item in parsed.items)
    assert first == third != second


def test_pictures_may_lie_beside_the_file(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    path = write_parquet(tmp_path / "data.parquet", [row(1), row(2, facts=None)])
    assert load(session, project, path).n_added == 2


def test_a_okvqa_is_read_as_its_hub_form_has_it(
    session: Session, project: Project, tmp_path: Path
) -> None:
    entry = {
        "image": {"bytes": picture(1), "path": None},
        "question_id": "a",
        "question": "What is it?",
        "choices": ["red", "blue"],
        "correct_choice_idx": 1,
        "direct_answers": "['red', 'navy', 'red', 'it\\'s blue']",
        "difficult_direct_answer": False,
        "rationales": ["It is blue."],
    }
    load(session, project, write_parquet(tmp_path / "validation.parquet", [entry]))
    (item,) = items_of(session, project)
    assert (item["external_id"], item["answer"]) == ("a", "blue")
    assert (item["split"], item["gold_rationales"]) == (Split.VALIDATION, ["It is blue."])
    assert item["answers"] == ["red", "navy", "red", "it's blue"]


def test_wrong_rows_are_named_and_nothing_is_stored(
    session: Session, project: Project, tmp_path: Path
) -> None:
    rows = [with_picture(1), with_picture(2, question=" "), with_picture(3, answer=None)]
    rows[2]["image"]["bytes"] = b"no picture"
    path = write_parquet(tmp_path / "data.parquet", rows)
    with pytest.raises(InvalidInput) as caught:
        load(session, project, path)
    assert caught.value.errors == [
        "data.parquet, row 2: question is empty",
        "data.parquet, row 3: answer is missing",
    ]
    assert count_rows(session) == (0, 0, 0)


def test_a_broken_picture_is_named_with_its_row(tmp_path: Path) -> None:
    rows = [with_picture(1), with_picture(2)]
    rows[1]["image"]["bytes"] = b"no picture"
    with pytest.raises(InvalidInput) as caught:
        read_dataset([write_parquet(tmp_path / "data.parquet", rows)])
    assert "data.parquet, row 2: the image 2.png is no PNG" in caught.value.message


@pytest.mark.parametrize("content", [b"PAR1", b"PAR1 and no more PAR1"])
def test_what_is_no_parquet_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="is no readable Parquet file"):
        read_dataset([path])


# --- Folders of `datasets` ------------------------------------------------------------------


def picture_folder(folder: Path) -> Path:
    for number, split in ((1, "train"), (2, "test")):
        here = folder / split
        here.mkdir(parents=True)
        (here / f"{number}.png").write_bytes(picture(number))
        values = row(number, image=..., split=...)
        write_jsonl(here / "metadata.jsonl", [{"file_name": f"{number}.png", **values}])
    (folder / "README.md").write_text("# Data")
    (folder / "dataset_infos.json").write_text("{}")
    return folder


def test_a_picture_folder_gives_each_row_the_split_of_its_folder(
    session: Session, project: Project, tmp_path: Path
) -> None:
    report = load(session, project, picture_folder(tmp_path / "data"))
    assert report.splits == {"test": 1, "train": 1}
    assert [item["external_id"] for item in items_of(session, project)] == ["q1", "q2"]


def test_a_folder_of_parquet_files_may_come_as_a_zip(
    session: Session, project: Project, tmp_path: Path
) -> None:
    train = write_parquet(tmp_path / "train.parquet", [with_picture(1)])
    test = write_parquet(tmp_path / "test.parquet", [with_picture(2)])
    files = {
        "data/train-00000-of-00001.parquet": train.read_bytes(),
        "data/test-00000-of-00001.parquet": test.read_bytes(),
    }
    report = load(session, project, write_zip(tmp_path / "data.zip", files))
    assert report.splits == {"test": 1, "train": 1}


def test_metadata_may_be_a_table(session: Session, project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "data/validation"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(picture(1))
    (folder / "metadata.csv").write_text("file_name,id,question,answer\n1.png,a,what?,red\n")
    assert load(session, project, tmp_path / "data").splits == {"validation": 1}


# --- Our own releases -----------------------------------------------------------------------

WHOLE = (ReleaseFormat.JSONL, ReleaseFormat.PARQUET)


@pytest.fixture
def released(session: Session, tmp_path: Path) -> tuple[Project, Release]:
    """The first picture knows where it was taken, so that a release gives away another one."""
    photo = saved(halves(), "PNG", exif=with_position())
    project, _ = make_released_project(session, tmp_path, first_picture=photo)
    first = session.scalars(select(Item).where(Item.external_id == "q1")).one()
    first.answers = ["red", "dark red", "red", "red"]
    return project, create_release(session, project, actor=None)


@pytest.mark.parametrize("format", [*WHOLE, ReleaseFormat.HUGGINGFACE])
@pytest.mark.parametrize("ending", ["", ".zip"])
def test_a_release_imported_again_gives_the_same_items(
    session: Session,
    tmp_path: Path,
    released: tuple[Project, Release],
    format: ReleaseFormat,
    ending: str,
) -> None:
    source, release = released
    out = tmp_path / f"out{ending}"
    write_release(session, release, format=format, out=out)
    again = make_project(session, name="Again")
    load(session, again, out)
    # The Hugging Face folder holds the items that have a rationale; q4 was never judged.
    names = {"q1", "q2", "q3"} if format in WHOLE else {"q1", "q3"}
    expected = [item for item in items_of(session, source) if item["external_id"] in names]
    assert items_of(session, again) == expected
    shas = select(Item.external_id, Item.image_sha256)
    expected_shas = session.execute(shas.where(Item.project_id == source.id))
    found_shas = session.execute(shas.where(Item.project_id == again.id))
    assert dict(iter(found_shas)) == {id_: sha for id_, sha in expected_shas if id_ in names}


@pytest.mark.parametrize("format", [*WHOLE, ReleaseFormat.HUGGINGFACE])
def test_a_release_imported_into_its_own_project_changes_nothing(
    session: Session, tmp_path: Path, released: tuple[Project, Release], format: ReleaseFormat
) -> None:
    project, release = released
    write_release(session, release, format=format, out=tmp_path / "out")
    report = load(session, project, tmp_path / "out")
    assert (report.n_added, report.changed, report.refused) == (0, [], [])
    assert report.n_unchanged == report.n_rows


@pytest.mark.parametrize("format", [ReleaseFormat.PREFERENCE, ReleaseFormat.KTO])
def test_forms_without_whole_items_are_refused(
    session: Session, tmp_path: Path, released: tuple[Project, Release], format: ReleaseFormat
) -> None:
    write_release(session, released[1], format=format, out=tmp_path / "out")
    with pytest.raises(InvalidInput) as caught:
        read_dataset([tmp_path / "out"])
    assert "import its items.jsonl or items.parquet" in caught.value.message


def test_candidates_of_a_release_are_no_items(
    session: Session, tmp_path: Path, released: tuple[Project, Release]
) -> None:
    write_release(session, released[1], format=ReleaseFormat.JSONL, out=tmp_path / "out")
    with pytest.raises(InvalidInput, match="does not hold whole items"):
        read_dataset([tmp_path / "out/candidates.jsonl"])


def test_a_picture_is_taken_for_the_imported_one_only_where_it_shows_the_same(
    session: Session, tmp_path: Path, released: tuple[Project, Release]
) -> None:
    write_release(session, released[1], format=ReleaseFormat.JSONL, out=tmp_path / "out")
    path = tmp_path / "out/items.jsonl"
    first = json.loads(path.read_text(encoding="utf-8").splitlines()[0])
    (tmp_path / "out" / first["image_file"]).write_bytes(picture(99))
    with read_dataset([path]) as parsed:
        found = next(item for item in parsed.items if item.row.external_id == "q1")
    assert found.row.made_from == first["image_sha256"] != found.image_sha256
