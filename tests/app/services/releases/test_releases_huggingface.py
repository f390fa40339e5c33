"""The folder is read by the library that people will read it with, without a network."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image as PillowImage
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.models import Admission, Project, Release, ReleaseRow, Round, RoundItem
from app.pictures.seeing import see
from app.services.releases.formats.huggingface import build_huggingface
from app.services.releases.formats.packing import pack_folder
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import load_with_datasets, own_store, stored_files
from tests.support.odd_pictures import ODD, halves, saved, with_position
from tests.support.released_project import (
    admit,
    correct_of,
    import_items,
    make_released_project,
)


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def write(session: Session, project: Project, out: Path) -> Release:
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.HUGGINGFACE, out=out)
    return release


def front_matter(out: Path) -> dict[str, Any]:
    _, yaml_text, _ = (out / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    loaded: dict[str, Any] = yaml.safe_load(yaml_text)
    return loaded


def test_datasets_loads_the_folder(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    out = tmp_path / "out"
    write(session, project, out)
    loaded, by_builder = load_with_datasets(
        tmp_path, {"path": str(out)}, {"path": "imagefolder", "data_dir": str(out)}
    )
    first, second = loaded["rows"]
    assert (first["item"], first["rationale"], first["adapter"]) == ("q1", "it is red", "")
    assert (second["rationale"], second["adapter"]) == ("it looks red", "d" * 64)
    # Item number n has a picture of one color, (n, 0, 77).
    assert [row["image"] for row in (first, second)] == [
        [[64, 48], [1, 0, 77]],
        [[64, 48], [3, 0, 77]],
    ]
    assert first["image_sha256"] == items[0].image_sha256
    assert (first["temperature"], first["n_draws"], first["people_votes"]) == (0.01, 2, 2)
    assert [draw["temperature"] for draw in json.loads(first["draws"])] == [0.01, 0.9]
    assert len(json.loads(first["verdicts"])) == 2
    assert {name for name, kind in loaded["types"].items() if "null" in kind.lower()} == set()
    assert [row["rationale"] for row in by_builder["rows"]] == ["it is red", "it looks red"]


def test_the_folder_holds_pictures_metadata_and_the_card(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    out = tmp_path / "out"
    write(session, project, out)
    pictures = [f"{items[number].image_sha256}.png" for number in (0, 2)]
    assert stored_files(out) == sorted(
        ["README.md", "croissant.json", "metadata.jsonl", "release.json", *pictures]
    )
    assert front_matter(out) == {
        "license": "cc-by-4.0",
        "pretty_name": "Street scenes",
        "task_categories": ["visual-question-answering"],
        "tags": ["rationales", "explanations", "human-feedback"],
        "size_categories": ["n<1K"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": "train", "path": "train/**"}],
            }
        ],
    }


def test_corrected_texts_are_a_configuration_of_their_own(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    correct_of(session, items[0], "a ball", "the red ball is a ball")
    correct_of(session, items[1], "nothing", "nobody is in the street")
    out = tmp_path / "out"
    write(session, project, out)
    default, written, by_builder = load_with_datasets(
        tmp_path,
        {"path": str(out)},
        {"path": str(out), "name": "written"},
        {"path": "imagefolder", "data_dir": str(out)},
    )
    accepted = ["it is red", "it looks red"]
    assert [row["rationale"] for row in default["rows"]] == accepted
    assert [row["rationale"] for row in by_builder["rows"]] == accepted
    first, second = written["rows"]
    assert (first["item"], first["rationale"]) == ("q1", "the red ball is a ball")
    assert (first["corrects"], first["author_kind"], first["round"]) == ("a ball", "person", 1)
    assert first["author"].startswith("annotator-")
    assert first["image"] == [[64, 48], [1, 0, 77]]
    assert (second["item"], second["corrects"]) == ("q2", "nothing")
    assert {name for name, kind in written["types"].items() if "null" in kind.lower()} == set()
    assert front_matter(out)["configs"][1] == {
        "config_name": "written",
        "data_files": [{"split": "train", "path": "written/**"}],
    }
    assert "corrected" in (out / "README.md").read_text(encoding="utf-8").split("## Files")[1]


def test_corrected_texts_load_where_nothing_was_admitted(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    session.execute(delete(Admission))
    correct_of(session, items[0], "a ball", "the red ball is a ball")
    out = tmp_path / "out"
    write(session, project, out)
    (written,) = load_with_datasets(tmp_path, {"path": str(out), "name": "written"})
    assert [row["corrects"] for row in written["rows"]] == ["a ball"]
    with pytest.raises(AssertionError):  # without the name they are never what is loaded
        load_with_datasets(tmp_path, {"path": str(out)})
    assert "only corrected texts can be loaded" in (out / "README.md").read_text(encoding="utf-8")


def test_the_card_says_where_corrected_texts_were_trained_on(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    second = session.scalars(select(Round).where(Round.number == 2)).one()
    training = {**second.settings["training"], "written": True}
    second.settings = {**second.settings, "training": training}
    write(session, project, tmp_path / "out")
    text = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |"))]
    assert ["corrected texts" in row for row in rows] == [False, True]


def test_a_picture_of_two_rationales_is_there_once(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    q1 = session.scalars(select(RoundItem).where(RoundItem.item_id == items[0].id)).one()
    admit(session, q1, "a ball", n_fits=1, n_votes=2)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.HUGGINGFACE, out=tmp_path / "out")
    lines = (tmp_path / "out/train/metadata.jsonl").read_text().splitlines()
    names = [json.loads(line)["file_name"] for line in lines]
    assert len(names) == 3
    assert sorted(set(names)) == sorted(
        path.relative_to(tmp_path / "out/train").as_posix()
        for path in (tmp_path / "out/train/images").iterdir()
    )


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("", {"license": "unknown"}),
        (
            'Photos: "COCO" terms\nTexts: CC BY',
            {"license": "other", "license_name": 'Photos: "COCO" terms'},
        ),
    ],
)
def test_any_licence_and_name_make_a_readable_card(
    session: Session, tmp_path: Path, licence: str, expected: dict[str, str]
) -> None:
    project, _ = make_released_project(session, tmp_path)
    project.licence = licence
    project.name = 'A: "b" # c \\ ü'
    write(session, project, tmp_path / "out")
    found = front_matter(tmp_path / "out")
    assert expected.items() <= found.items()
    assert found["pretty_name"] == project.name


def test_an_empty_release_says_that_there_is_nothing_to_load(
    session: Session, tmp_path: Path
) -> None:
    project, _ = import_items(session, tmp_path, n_items=1)
    write(session, project, tmp_path / "out")
    assert "nothing to load" in (tmp_path / "out/README.md").read_text()
    assert (tmp_path / "out/train/metadata.jsonl").read_text() == ""


@pytest.mark.parametrize("orientation", [1, 6])
def test_pictures_are_given_away_upright_and_without_notes(
    session: Session, tmp_path: Path, orientation: int
) -> None:
    """Also where they are built again; the file that was imported keeps its notes."""
    photo = saved(halves(), "PNG", exif=with_position(orientation))
    project, items = make_released_project(session, tmp_path, first_picture=photo)
    release = write(session, project, tmp_path / "out")
    given = tmp_path / "out/train/images" / f"{items[0].image_sha256}.png"
    assert b"Camera of Ada" in photo
    assert b"Camera of Ada" not in given.read_bytes()
    with PillowImage.open(given) as picture:
        assert picture.size == see(photo).size
        assert not picture.getexif()
    again = tmp_path / "again"
    write_release(session, release, format=ReleaseFormat.HUGGINGFACE, out=again)
    assert (again / given.relative_to(tmp_path / "out")).read_bytes() == given.read_bytes()
    packed = tmp_path / "packed.zip"
    write_release(session, release, format=ReleaseFormat.HUGGINGFACE, out=packed)
    with zipfile.ZipFile(packed) as archive:
        name = f"train/images/{given.name}"
        assert archive.read(name) == given.read_bytes()


def test_a_release_of_before_keeps_its_pictures_as_they_were(
    session: Session, tmp_path: Path
) -> None:
    photo = saved(halves(), "PNG", exif=with_position())
    project, items = make_released_project(session, tmp_path, first_picture=photo)
    release = create_release(session, project, actor=None)
    former = {name: part for name, part in release.card.items() if name != "pictures"}
    payloads = session.scalars(
        select(ReleaseRow.payload)
        .where(ReleaseRow.release_id == release.id)
        .order_by(ReleaseRow.number)
    )
    (tmp_path / "old").mkdir()
    about = {"number": 1, "content_hash": "0" * 64, "n_rows": release.n_rows, **former}
    entries = build_huggingface(payloads, about, tmp_path / "old")
    pack_folder(entries, tmp_path / "out")
    given = tmp_path / "out/train/images" / f"{items[0].image_sha256}.png"
    assert given.read_bytes() == photo
    assert "upright" not in (tmp_path / "out/README.md").read_text(encoding="utf-8")


def test_what_browsers_cannot_show_is_given_away_as_png(session: Session, tmp_path: Path) -> None:
    scan = ODD["16 bits, TIFF"][0]()
    project, items = make_released_project(session, tmp_path, first_picture=scan)
    write(session, project, tmp_path / "out")
    (loaded,) = load_with_datasets(tmp_path, {"path": str(tmp_path / "out")})
    (first,) = [row for row in loaded["rows"] if row["item"] == "q1"]
    assert first["image"] == [[48, 32], [51, 51, 51]]
    assert (tmp_path / "out/train/images" / f"{items[0].image_sha256}.png").is_file()
