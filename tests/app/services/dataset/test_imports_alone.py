"""Pictures that come without a question: folders, zips, tables, and what is wrong with some."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.storage import image_path
from app.lifecycle import Split
from app.models import Event, Image, Item, Project, ProjectImage
from app.services.dataset.imports import import_dataset, read_dataset
from app.services.dataset.plan import default_split
from tests.support.dataset_files import (
    blank_png,
    count_rows,
    jsonl,
    load,
    own_store,
    picture,
    row,
    stored_files,
    write_csv,
    write_images,
    write_jsonl,
    write_zip,
)
from tests.support.factories import make_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def write_pictures(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def images_of(session: Session, project: Project) -> dict[str | None, ProjectImage]:
    images = session.scalars(select(ProjectImage).where(ProjectImage.project_id == project.id))
    return {image.image_name: image for image in images}


def refused(session: Session, project: Project, *paths: Path) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught, read_dataset(paths) as parsed:
        import_dataset(session, project, parsed, update=False, actor=None)
    assert count_rows(session) == (0, 0, 0)
    return caught.value


def test_a_folder_of_pictures_at_any_depth(
    session: Session, project: Project, tmp_path: Path, store: Path
) -> None:
    folder = write_pictures(
        tmp_path / "pics",
        {
            "a.png": picture(1),
            "deep/er/b.JPG": picture(2, format="JPEG"),
            "test/c.png": picture(3),
            "Validation/d.png": picture(4),
            ".hidden.png": picture(5),
            "__MACOSX/a.png": b"clutter",
            "train-station.png": picture(6),
        },
    )
    report = load(session, project, folder)
    assert (report.n_rows, report.n_added, report.n_pictures, report.n_pictures_added) == (
        0,
        0,
        5,
        5,
    )
    assert report.n_images == 5
    assert count_rows(session) == (0, 5, 5)
    images = images_of(session, project)
    assert set(images) == {
        "a.png",
        "deep/er/b.JPG",
        "test/c.png",
        "Validation/d.png",
        "train-station.png",
    }
    assert images["test/c.png"].split is Split.TEST
    assert images["Validation/d.png"].split is Split.VALIDATION
    for name in ("a.png", "deep/er/b.JPG", "train-station.png"):
        assert images[name].split is default_split(images[name].image_sha256)
    stored = session.get_one(Image, images["a.png"].image_sha256)
    assert image_path(stored.sha256, stored.media_type).read_bytes() == picture(1)
    assert len(stored_files(store)) == 5
    assert "5 images without questions" in report.as_lines()[0]
    assert "5 added, 0 there already" in report.as_lines()[0]


def test_a_zip_of_pictures_beside_other_files(
    session: Session, project: Project, tmp_path: Path
) -> None:
    path = write_zip(
        tmp_path / "pics.zip",
        {"a.png": picture(1), "b/a.png": picture(2), "LICENCE": b"free", "notes.txt": b"hm"},
    )
    report = load(session, project, path)
    assert report.n_pictures_added == 2
    assert set(images_of(session, project)) == {"a.png", "b/a.png"}
    assert report.warnings == [
        "2 files of pics.zip are no pictures by their names and were left out: LICENCE, notes.txt"
    ]


@pytest.mark.parametrize("kind", ["jsonl", "csv", "metadata"])
def test_a_table_without_the_columns_of_question_and_answer(
    session: Session, project: Project, tmp_path: Path, kind: str
) -> None:
    write_images(tmp_path)
    facts = {"objects": [{"color": "red"}]}
    if kind == "jsonl":
        path = write_jsonl(
            tmp_path / "data.jsonl",
            [{"image": "1.png", "split": "test"}, {"id": 7, "image": "2.png", "facts": facts}],
        )
    elif kind == "csv":
        rows = [["1.png", "test", ""], ["2.png", "", json.dumps(facts)]]
        path = write_csv(tmp_path / "data.csv", ["Image", "split", "facts"], rows)
    else:
        path = tmp_path / "images"
        rows_of_folder: list[dict[str, object]] = [
            {"file_name": "1.png", "split": "test"},
            {"file_name": "2.png", "facts": facts},
        ]
        write_jsonl(path / "metadata.jsonl", rows_of_folder)
    report = load(session, project, path)
    assert (report.n_rows, report.n_pictures) == (0, 2)
    assert sum(report.picture_splits.values()) == 2
    images = images_of(session, project)
    assert images["1.png"].split is Split.TEST
    assert images["1.png"].facts is None
    assert images["2.png"].facts == facts


def test_rows_with_and_without_a_question_in_one_file(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    path = write_jsonl(
        tmp_path / "data.jsonl",
        [row(1), {"image": "1.png"}, {"image": "2.png"}, {"image": "2.png"}],
    )
    report = load(session, project, path)
    assert (report.n_rows, report.n_added, report.n_pictures, report.n_images) == (1, 1, 1, 2)
    assert count_rows(session) == (1, 2, 2)
    assert set(images_of(session, project)) == {None, "2.png"}
    event = session.scalars(select(Event).order_by(Event.id.desc())).first()
    assert event is not None
    assert event.details["n_pictures"] == 1


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"image": "1.png", "question": "what?"}, "the column 'answer' is missing"),
        ({"image": "1.png", "answer": "red"}, "the column 'question' is missing"),
        ({"image": "1.png", "rationales": ["so"]}, "the column 'question' is missing"),
        ({"image": "1.png", "Question?": "what?"}, "did you mean question?"),
        ({"id": "a", "question": None, "answer": None, "image": "1.png"}, "question is missing"),
        ({"split": "train"}, "the column 'image' is missing"),
        ({"image": ""}, "image is empty"),
        ({"image": "../1.png"}, "image must be a file name inside the images folder"),
        ({"image": "1.png", "split": "some"}, "split must be train, validation or test"),
        ({"image": "9.png"}, "the image 9.png is not in"),
    ],
)
def test_half_a_row_is_refused_as_ever(
    session: Session, project: Project, tmp_path: Path, values: dict[str, object], fault: str
) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [values])
    assert any(fault in line for line in refused(session, project, path).errors)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"no picture", "is no PNG, JPEG, WebP, GIF or TIFF image"),
        (b"", "is empty"),
        (picture(1)[:-30], "is damaged"),
        (blank_png(9000, 9000), "more than 50 million pixels"),
    ],
)
def test_a_bad_picture_is_told_by_its_name_and_nothing_is_stored(
    session: Session, project: Project, tmp_path: Path, content: bytes, fault: str
) -> None:
    files = {"a.png": picture(1), "deep/b.png": content}
    error = refused(session, project, write_pictures(tmp_path / "pics", files))
    assert len(error.errors) == 1
    assert error.errors[0].startswith("pics, picture 2: the image deep/b.png ")
    assert fault in error.errors[0]


@pytest.mark.parametrize("files", [{}, {"a.heic": b"phone"}, {"a.png/.hidden.png": b""}])
def test_a_folder_without_pictures(
    session: Session, project: Project, tmp_path: Path, files: dict[str, bytes]
) -> None:
    folder = tmp_path / "pics"
    folder.mkdir()
    error = refused(session, project, write_pictures(folder, files))
    assert error.message.startswith("Nothing was imported: there are no rows in pics.")
    assert "A folder or zip of pictures alone is read, too" in error.message


def test_a_loose_picture_is_told_where_to_go(
    session: Session, project: Project, tmp_path: Path
) -> None:
    folder = write_pictures(tmp_path, {"a.JPG": picture(1, format="JPEG")})
    assert "Put pictures that come without rows into a zip" in (
        refused(session, project, folder / "a.JPG").message
    )


def test_parquet_with_pictures_in_its_rows(
    session: Session, project: Project, tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"bytes": picture(number), "path": f"{number}.png"} for number in (1, 2)]
    table = pyarrow.table({"image": rows, "split": ["train", "test"]})
    parquet.write_table(table, tmp_path / "pictures.parquet")
    report = load(session, project, tmp_path / "pictures.parquet")
    assert report.picture_splits == {"train": 1, "test": 1}
    assert set(images_of(session, project)) == {"1.png", "2.png"}


def test_a_zip_that_leads_out_or_would_burst(
    session: Session, project: Project, tmp_path: Path
) -> None:
    out = write_zip(tmp_path / "out.zip", {"../a.png": picture(1)})
    assert "leads out of the archive" in refused(session, project, out).message
    bomb = write_zip(tmp_path / "bomb.zip", {"a.png": bytes(1 << 24)})
    assert "zip bomb" in refused(session, project, bomb).message


def test_the_same_picture_twice_counts_once(
    session: Session, project: Project, tmp_path: Path
) -> None:
    files = {"a.png": picture(1), "b.png": picture(1), "c.png": picture(2)}
    report = load(session, project, write_pictures(tmp_path / "pics", files))
    assert (report.n_pictures, report.n_pictures_added) == (2, 2)
    assert report.warnings == [
        "1 picture is the same as another one and counts once: b.png (as a.png)"
    ]
    assert set(images_of(session, project)) == {"a.png", "c.png"}


def test_one_picture_in_two_splits(session: Session, project: Project, tmp_path: Path) -> None:
    files = {"train/a.png": picture(1), "test/b.png": picture(1)}
    error = refused(session, project, write_pictures(tmp_path / "pics", files))
    assert "An image can be in one split only" in error.message


def test_the_same_folder_again_and_a_name_with_another_picture(
    session: Session, project: Project, tmp_path: Path, store: Path
) -> None:
    folder = write_pictures(tmp_path / "pics", {"a.png": picture(1)})
    load(session, project, folder)
    n_events = len(session.scalars(select(Event)).all())
    for path in store.rglob("*.png"):
        path.unlink()
    again = load(session, project, folder)
    assert (again.n_pictures, again.n_pictures_added, again.n_images) == (1, 0, 0)
    assert len(session.scalars(select(Event)).all()) == n_events
    assert len(stored_files(store)) == 1  # what the store had lost is back
    other = load(session, project, write_pictures(tmp_path / "pics", {"a.png": picture(2)}))
    assert other.n_pictures_added == 1
    assert other.warnings == [
        "1 picture has the name of another one that is here already; both are kept: a.png"
    ]
    assert count_rows(session) == (0, 2, 2)


def test_a_picture_keeps_its_split_and_gets_questions_later(
    session: Session, project: Project, tmp_path: Path
) -> None:
    write_images(tmp_path)
    load(session, project, write_jsonl(tmp_path / "a.jsonl", [{"image": "1.png", "split": "test"}]))
    late = write_jsonl(tmp_path / "b.jsonl", [row(1, split=...)])
    report = load(session, project, late)
    assert (report.n_added, report.n_images) == (1, 0)
    assert session.scalars(select(Item)).one().split is Split.TEST
    moved = write_jsonl(tmp_path / "c.jsonl", [{"image": "1.png", "split": "train"}])
    with pytest.raises(InvalidInput, match="An image keeps its split"):
        load(session, project, moved)


def test_other_facts_wait_for_an_update(session: Session, project: Project, tmp_path: Path) -> None:
    write_images(tmp_path)

    def tell(facts: dict[str, int], *, update: bool = False) -> list[str]:
        path = write_jsonl(tmp_path / "a.jsonl", [{"image": "1.png", "facts": facts}])
        return load(session, project, path, update=update).changed

    assert tell({"n": 1}) == []
    assert tell({"n": 2}) == ["1.png"]
    assert images_of(session, project)["1.png"].facts == {"n": 1}
    assert tell({"n": 2}, update=True) == []
    assert images_of(session, project)["1.png"].facts == {"n": 2}


def test_a_zip_of_pictures_serves_the_rows_of_another_file(
    session: Session, project: Project, tmp_path: Path
) -> None:
    pictures = write_zip(tmp_path / "pics.zip", {"1.png": picture(1), "2.png": picture(2)})
    data = write_zip(tmp_path / "data.zip", {"data.jsonl": jsonl([row(1)])})
    report = load(session, project, data, pictures)
    assert (report.n_rows, report.n_pictures, report.n_images) == (1, 0, 1)
