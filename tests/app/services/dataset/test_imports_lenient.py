"""What differs only in how it is written is read, and what is nearly right is told as such."""

import json
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.kit.errors import InvalidInput
from app.services.dataset.formats.reading import ParsedDataset
from app.services.dataset.imports import read_dataset
from tests.support.dataset_files import (
    jsonl,
    own_store,
    picture,
    row,
    write_images,
    write_jsonl,
    write_zip,
)

HEADER = "id,image,question,answer"
FIRST, SECOND = "1,1.png,colour?,red", "2,2.png,colour?,blue"


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    write_images(tmp_path)
    with own_store(tmp_path) as folder:
        yield folder


def read(*paths: Path) -> ParsedDataset:
    with read_dataset(list(paths)) as parsed:
        return parsed


def rows_of(*paths: Path) -> list[tuple[str, str]]:
    return [(item.row.external_id, item.row.answer) for item in read(*paths).items]


def problems_of(*paths: Path) -> list[str]:
    with pytest.raises(InvalidInput) as refused:
        read(*paths)
    return refused.value.errors or [refused.value.message]


def write_text(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


# --- Tables ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "\r".join([HEADER, FIRST, SECOND, ""]),
        "\r".join([HEADER, FIRST, SECOND]),
        "\r\n".join([HEADER, FIRST, SECOND, ""]),
        "\r\n".join(["", "", HEADER, FIRST, "", SECOND]),
        "\n".join([",,,", HEADER, FIRST, ",,,", SECOND, ",,,"]),
        "\ufeff\n" + "\n".join([HEADER, FIRST, SECOND]),
        "\n".join([HEADER + ",,", FIRST + ",,", SECOND + ",,"]),
        "\n".join([HEADER + ",,", FIRST, SECOND + ","]),
        "\n".join([HEADER, FIRST + ",,", SECOND]),
        "\n".join([HEADER + ",rationale_1,split", FIRST + ",it is,train", SECOND]),
        "\n".join(["sep=;", *(line.replace(",", ";") for line in (HEADER, FIRST, SECOND))]),
        "\n".join([" ID ,Image,QUESTION,Answer", FIRST, SECOND]),
    ],
)
def test_harmless_differences_of_csv_are_read(tmp_path: Path, text: str) -> None:
    path = write_text(tmp_path / "data.csv", text)
    assert rows_of(path) == [("1", "red"), ("2", "blue")]


def test_line_ends_inside_of_a_cell_are_kept(tmp_path: Path) -> None:
    text = f'{HEADER}\r\n1,1.png,"A) red\r\nB) blue",red\r\n'
    (item,) = read(write_text(tmp_path / "data.csv", text)).items
    assert item.row.question == "A) red\r\nB) blue"


def test_problems_name_the_line_that_an_editor_shows(tmp_path: Path) -> None:
    text = "\r".join(["", HEADER, FIRST, "2,2.png,colour?"])
    assert problems_of(write_text(tmp_path / "data.csv", text)) == [
        "data.csv, line 4: answer is missing"
    ]
    text = "\r".join([json.dumps(row(1)), "", "{"])
    (line,) = problems_of(write_text(tmp_path / "data.jsonl", text))
    assert line.startswith("data.jsonl, line 3: is no JSON")


def test_a_cell_without_a_column_is_told(tmp_path: Path) -> None:
    text = "\n".join([HEADER + ",", FIRST + ",what is this?"])
    assert problems_of(write_text(tmp_path / "data.csv", text)) == [
        "data.csv, line 2: has 5 cells, but the header has 4"
    ]


@pytest.mark.parametrize("header", ['"' * 3 + "x" * 140_000, "a\0b", '"'])
def test_a_header_that_is_none_is_a_sentence(tmp_path: Path, header: str) -> None:
    (line, *_) = problems_of(write_text(tmp_path / "data.csv", header + "\n" + FIRST))
    assert "data.csv, line 1" in line


# --- Values ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"answer": 2.5}, ("q1", "2.5")),
        ({"answer": -0.1}, ("q1", "-0.1")),
        ({"answer": 3.0}, ("q1", "3")),
        ({"id": 1.0}, ("1", "red")),
        ({"id": 12345678901234567890}, ("12345678901234567890", "red")),
        ({"rationale": "", "rationales": ...}, ("q1", "red")),
        ({"rationales": "", "split": " ", "facts": ""}, ("q1", "red")),
    ],
)
def test_jsonl_takes_what_csv_takes(
    tmp_path: Path, changes: dict[str, Any], wanted: tuple[str, str]
) -> None:
    assert rows_of(write_jsonl(tmp_path / "data.jsonl", [row(1, **changes)])) == [wanted]


def test_names_of_columns_differ_in_the_size_of_letters(tmp_path: Path) -> None:
    values = {name.upper(): value for name, value in row(1).items()}
    assert rows_of(write_jsonl(tmp_path / "data.jsonl", [values])) == [("q1", "red")]


@pytest.mark.parametrize(
    ("column", "meant"),
    [("rationle", "rationale"), ("image_path", "image"), ("Explanations", "rationales")],
)
def test_a_misspelt_column_is_told_with_the_one_that_is_meant(
    tmp_path: Path, column: str, meant: str
) -> None:
    (line,) = problems_of(write_jsonl(tmp_path / "data.jsonl", [row(1, **{column: "x"})]))
    assert f"the column {column!r} is not known; did you mean {meant}?" in line


def test_a_column_that_means_nothing_to_us_is_told_without_a_guess(tmp_path: Path) -> None:
    (line,) = problems_of(write_jsonl(tmp_path / "data.jsonl", [row(1, zzz="x")]))
    assert "the column 'zzz' is not known; expected are id" in line


def test_the_empty_one_of_several_rationales_is_told_by_its_number(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, rationales=["a", "b", "", "d"])])
    assert problems_of(path) == [
        "data.jsonl, line 1: rationale is empty (number 3 of the rationales)"
    ]


# --- Names of pictures ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "wanted"),
    [
        ("photos/a.png", "a.png"),
        ("photos\\a.png", "a.png"),
        ("data\\images\\a.png", "images/a.png"),
        ("images/a.PNG", "a.png"),
        ("images/A.png", "a.png"),
        (unicodedata.normalize("NFD", "images/Übung é.png"), "Übung é.png"),
        ("images/Übung é.png", unicodedata.normalize("NFD", "Übung é.png")),
    ],
)
def test_names_in_a_zip_are_found_as_they_are_meant(
    tmp_path: Path, member: str, wanted: str
) -> None:
    photos = write_zip(
        tmp_path / "photos.zip", {member: picture(7), "__MACOSX/photos/._a.png": b"x"}
    )
    together = {member: picture(7), "data.jsonl": jsonl([row(1, image=wanted)])}
    rows = write_jsonl(tmp_path / "elsewhere.jsonl", [row(1, image=wanted)])
    assert rows_of(rows, photos) == [("q1", "red")]
    assert rows_of(write_zip(tmp_path / "data.zip", together)) == [("q1", "red")]


def test_names_that_a_zip_holds_in_utf_8_without_saying_so(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"data.jsonl": jsonl([row(1, image="äö.png")])})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("images/XXXX.png", picture(7))
    path.write_bytes(path.read_bytes().replace(b"XXXX", "äö".encode()))
    assert rows_of(path) == [("q1", "red")]


def test_a_name_in_another_size_of_letters_is_found_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "images/B.JPG").write_bytes(picture(7, format="JPEG"))
    nfd = unicodedata.normalize("NFD", "é.png")
    (tmp_path / "images" / nfd).write_bytes(picture(8))
    rows = [row(1, image="b.jpg"), row(2, image="é.png")]
    assert len(rows_of(write_jsonl(tmp_path / "data.jsonl", rows))) == 2


def test_a_name_that_could_be_two_files_is_told_with_one_of_them(tmp_path: Path) -> None:
    files = {"x/a.png": picture(7), "y/a.png": picture(8)}
    path = write_zip(tmp_path / "data.zip", {**files, "data.jsonl": jsonl([row(1, image="a.png")])})
    (line,) = problems_of(path)
    assert line.endswith("the image a.png is not in data.zip; there is x/a.png")
    exact = {"x/a.png": picture(7), "y/A.png": picture(8)}
    path = write_zip(tmp_path / "more.zip", {**exact, "data.jsonl": jsonl([row(1, image="a.png")])})
    (item,) = read(path).items
    assert item.row.images == ("a.png",)


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("1.jpg", "; there is 1.png"), ("photo_7.png", "; there is foto_7.png"), ("19.png", None)],
)
def test_a_missing_picture_is_told_with_the_name_that_is_nearest(
    tmp_path: Path, wanted: str, nearest: str | None
) -> None:
    """Another number is another file, however near it is written."""
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, image=wanted)])
    (tmp_path / "images/foto_7.png").write_bytes(picture(7))
    (line,) = problems_of(path)
    assert f"the image {wanted} is not in " in line
    assert line.endswith(nearest) if nearest else "there is" not in line
