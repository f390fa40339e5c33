"""What is refused, with the words a person reads; and that nothing of it is stored."""

import json
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.settings import get_settings
from app.models import Project
from app.services.dataset.imports import DataFormat, import_dataset, read_dataset
from tests.support.dataset_files import (
    blank_png,
    count_rows,
    jsonl,
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
from tests.support.odd_pictures import ODD, saved

Refuse = Callable[..., InvalidInput]


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def refuse(session: Session, project: Project, store: Path, tmp_path: Path) -> Refuse:
    """Import the files, expect a refusal, and see that no row and no file was stored."""
    write_images(tmp_path)

    def attempt(*paths: Path, **options: Any) -> InvalidInput:
        with pytest.raises(InvalidInput) as caught, read_dataset(paths, **options) as parsed:
            import_dataset(session, project, parsed, update=False, actor=None)
        assert count_rows(session) == (0, 0, 0)
        assert stored_files(store) == []
        return caught.value

    return attempt


def test_wrong_column_in_jsonl(refuse: Refuse, tmp_path: Path) -> None:
    rows = [row(number, image=..., img="1.png") for number in range(1, 51)]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert error.errors == [
        "data.jsonl, line 1 (and 49 more rows): the column 'img' is not known; did you mean image? "
        "expected are id, image, question, answer, and where there are any rationales (or "
        "rationale), answers, split, facts",
        "data.jsonl, line 1 (and 49 more rows): the column 'image' is missing; expected are id, "
        "image, question, answer, and where there are any rationales (or rationale), answers, "
        "split, facts",
    ]
    assert error.message.startswith("Nothing was imported: 2 problems. The first is data.jsonl")


def test_wrong_column_in_csv(refuse: Refuse, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", ["id", "image", "query", "answer"], [["1"] * 4])
    error = refuse(path)
    assert "the column 'query' is not known; did you mean question? expected are" in error.errors[0]
    assert "the column 'question' is missing" in error.errors[1]


def test_column_twice_in_csv(refuse: Refuse, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "data.csv", ["id", "id", "image", "question", "answer"], [])
    assert "the column 'id' is there twice" in refuse(path).message


def test_cell_too_many_in_csv(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('id,image,question,answer\n1,1.png,"a\nb",x\n2,1.png,a,b,c\n')
    assert "data.csv, line 4: has 5 cells, but the header has 4" in refuse(path).message


def test_quotation_mark_not_closed_in_csv(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text('id,image,question,answer\n1,1.png,a,b\n2,1.png,"a,b\n')
    assert "data.csv, line 3: cannot be read as CSV" in refuse(path).message


def test_duplicate_id_names_both_rows(refuse: Refuse, tmp_path: Path) -> None:
    rows = [row(1), row(2), row(3, id="q1")]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert error.errors == [
        "data.jsonl, line 3: the id 'q1' is taken already by data.jsonl, line 1"
    ]


def test_duplicate_id_across_files(refuse: Refuse, tmp_path: Path) -> None:
    first = write_jsonl(tmp_path / "a.jsonl", [row(1)])
    second = write_jsonl(tmp_path / "b.jsonl", [row(1)])
    assert (
        "b.jsonl, line 1: the id 'q1' is taken already by a.jsonl" in refuse(first, second).message
    )


def test_image_in_two_splits_names_both_rows(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "images/again.png").write_bytes((tmp_path / "images/1.png").read_bytes())
    rows = [row(1, split="train"), row(2, split="test"), row(3, image="again.png", split="test")]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert error.errors == [
        "data.jsonl, line 3: the image again.png is in split test, but in split train by "
        "data.jsonl, line 1. An image can be in one split only"
    ]


def test_missing_images_are_all_named(refuse: Refuse, tmp_path: Path) -> None:
    rows = [row(1), row(2, image="gone.png"), row(3, image="lost.png"), row(4, image="gone.png")]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert [line.split(" is not in ")[0] for line in error.errors] == [
        "data.jsonl, line 2: the image gone.png",
        "data.jsonl, line 3: the image lost.png",
    ]


def test_image_outside_its_folder(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture(9))
    names = ["../secret.png", str(tmp_path / "secret.png"), "a\\b.png", "C:/x.png"]
    rows = [row(number, image=name) for number, name in enumerate(names)]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert len(error.errors) == 4
    assert "image must be a file name inside the images folder" in error.errors[0]


def test_truncated_png(refuse: Refuse, tmp_path: Path) -> None:
    image = PillowImage.effect_noise((200, 200), 90)
    image.save(tmp_path / "images/cut.png")
    content = (tmp_path / "images/cut.png").read_bytes()
    (tmp_path / "images/cut.png").write_bytes(content[: len(content) // 2])
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1), row(2, image="cut.png")]))
    assert len(error.errors) == 1
    assert "data.jsonl, line 2: the image cut.png is damaged" in error.message


@pytest.mark.parametrize("format", ["JPEG", "WEBP", "GIF"])
def test_other_truncated_images(refuse: Refuse, tmp_path: Path, format: str) -> None:
    image = PillowImage.effect_noise((200, 200), 90)
    image.save(tmp_path / "images/cut", format)
    content = (tmp_path / "images/cut").read_bytes()
    (tmp_path / "images/cut").write_bytes(content[: len(content) // 3])
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="cut")]))
    assert "the image cut is" in error.message
    assert "damaged" in error.message


def test_damaged_checksum(refuse: Refuse, tmp_path: Path) -> None:
    content = bytearray(picture(1))
    content[-20] ^= 0xFF
    (tmp_path / "images/bad.png").write_bytes(content)
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="bad.png")]))
    assert "the image bad.png is damaged" in error.message


@pytest.mark.parametrize("size", [(20_000, 20_000), (9_000, 9_000), (10_000, 12_000)])
def test_image_of_too_many_pixels(refuse: Refuse, tmp_path: Path, size: tuple[int, int]) -> None:
    content = blank_png(*size)
    assert len(content) < 1_000_000
    (tmp_path / "images/huge.png").write_bytes(content)
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="huge.png")]))
    assert "the image huge.png has" in error.message
    assert "more than 50 million pixels: make it smaller" in error.message


def test_animated_image(refuse: Refuse, tmp_path: Path) -> None:
    frames = [PillowImage.new("RGB", (20, 20), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "images/a.gif", save_all=True, append_images=frames[1:])
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="a.gif")]))
    assert "the image a.gif is animated (2 frames)" in error.message


@pytest.mark.parametrize("content", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\0" * 99])
def test_no_image_at_all(refuse: Refuse, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "images/x.png").write_bytes(content)
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="x.png")]))
    assert "the image x.png is" in error.message


def test_zip_that_leads_out(refuse: Refuse, tmp_path: Path) -> None:
    for name in ("../evil.png", "a/../../evil.png", "/etc/evil.png", "..\\evil.png", "C:/evil.png"):
        path = write_zip(tmp_path / "data.zip", {"data.jsonl": jsonl([row(1)]), name: picture(1)})
        error = refuse(path)
        assert "evil.png" in error.message
        assert "out of the archive" in error.message or "plain name" in error.message
    assert not list(tmp_path.parent.glob("evil.png"))


def test_zip_with_a_link(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    link = zipfile.ZipInfo("images/1.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data.jsonl", jsonl([row(1)]))
        archive.writestr(link, "/etc/passwd")
    assert "'images/1.png' is a link or a device, not a file" in refuse(path).message


@pytest.mark.slow
def test_zip_bomb(refuse: Refuse, tmp_path: Path) -> None:
    """1 GB of zeros, packed into one megabyte."""
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("data.jsonl", "w", force_zip64=True) as stream,
    ):
        for _ in range(1024):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    error = refuse(path)
    assert "'data.jsonl' would grow from 1,0" in error.message
    assert "this looks like a zip bomb" in error.message


def test_zip_that_lies_about_its_sizes(refuse: Refuse, tmp_path: Path) -> None:
    """The directory says 100 bytes; the packed data hold a megabyte of zeros."""
    path = write_zip(tmp_path / "data.zip", {"data.jsonl": bytes(1 << 20)})
    size = (1 << 20).to_bytes(4, "little")
    content = path.read_bytes().replace(size, (100).to_bytes(4, "little"))
    path.write_bytes(content)
    assert "data.jsonl in data.zip is damaged" in refuse(path).message


def test_zip_that_is_none(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    path.write_bytes(b"\0" * 1000)
    assert "data.zip is no readable zip file" in refuse(path).message


def test_damaged_zip(refuse: Refuse, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"data.jsonl": jsonl([row(1)]), "1.png": picture(1)})
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refuse(path).message


def test_encrypted_zip(refuse: Refuse, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "data.zip", {"data.jsonl": jsonl([row(1)])})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    start = content.index(b"PK\x01\x02")
    content[start + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in refuse(path).message


def test_zip_without_data(refuse: Refuse, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "photos.zip", {"notes.txt": b"none"})
    assert "there are no rows in photos.zip" in refuse(path).message


@pytest.mark.parametrize("name", ["data.jsonl", "data.csv", "data.json", "data.zip", "1.png"])
def test_a_gigabyte_of_zeros(refuse: Refuse, tmp_path: Path, name: str) -> None:
    path = tmp_path / ("images" if name == "1.png" else "") / name
    with path.open("wb") as stream:
        stream.truncate(1 << 30)  # a sparse file: it takes no room on the disk
    if name == "1.png":
        path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    error = refuse(path)
    assert any(
        words in error.message
        for words in ("zero bytes", "no readable zip", "no JSON object", "1,073,741,824 bytes")
    )


@pytest.mark.parametrize("name", ["data.jsonl", "data.csv", "data.json", "data.zip"])
def test_empty_file(refuse: Refuse, tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert refuse(tmp_path / name).message == f"Nothing was imported: {name} is empty."


def test_file_of_blank_lines_and_header_alone(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "data.jsonl").write_text("\n \n\n")
    assert "there are no rows in data.jsonl" in refuse(tmp_path / "data.jsonl").message
    path = write_csv(tmp_path / "data.csv", ["id", "image", "question", "answer"], [])
    assert "there are no rows in data.csv" in refuse(path).message


def test_wrong_encoding(refuse: Refuse, tmp_path: Path) -> None:
    text = "".join(json.dumps(row(1)) + "\n") + '{"id": "2", "question": "où?"}\n'
    path = tmp_path / "data.jsonl"
    path.write_bytes(text.encode("latin-1"))
    assert (
        "data.jsonl, line 2: is not UTF-8 (byte 0xf9 at position 27). Save the file as UTF-8"
        in refuse(path).message
    )
    path.write_bytes(text.encode("utf-16"))
    assert "data.jsonl is written in UTF-16. Save it as UTF-8" in refuse(path).message


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "is no JSON (Expecting property name"),
        ("[1, 2]", "must be an object, but is a list"),
        ('"text"', "must be an object, but is 'text'"),
        ("NaN", "is no JSON (NaN is not a JSON value)"),
        ('{"id": 1, "id": 2}', "is no JSON (the key 'id' is there twice)"),
        ("[" * 100_000, "is no JSON (nested too deep)"),
    ],
)
def test_lines_that_are_no_rows(refuse: Refuse, tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(row(1)) + "\n\n" + line + "\n")
    error = refuse(path)
    assert len(error.errors) == 1
    assert f"data.jsonl, line 3: {message}" in error.errors[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"question": None}, "question is missing"),
        ({"question": "  "}, "question is empty"),
        ({"answer": True}, "answer must be a text, but is true or false"),
        ({"answer": {"n": 1}}, "answer must be a text, but is an object"),
        ({"id": ["q"]}, "id must be a text, but is a list"),
        ({"question": "x" * 2001}, "question has 2,001 characters; at most 2,000 are allowed"),
        ({"answer": "a\0b"}, "answer holds a control character"),
        ({"answer": "\ud800"}, "answer holds a control character or half of a character"),
        ({"rationales": "red"}, "rationales must be a list of texts, but is 'red'"),
        ({"rationales": ["ok", " "]}, "rationale is empty (number 2 of the rationales)"),
        ({"rationales": [""]}, "rationale is empty"),
        ({"rationales": ["x"] * 51}, "there are 51 rationales; at most 50 are allowed"),
        ({"split": "dev2"}, "split must be train, validation or test, but is 'dev2'"),
        ({"split": 3}, "split must be train, validation or test, but is a number"),
        ({"facts": [1]}, "facts must be an object, but is a list"),
        ({"facts": {"n": "x" * 100_000}}, "characters; at most 100,000 are allowed"),
        ({"facts": {"a\0": 1}}, "facts hold a control character"),
    ],
)
def test_fields_that_are_wrong(
    refuse: Refuse, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1), row(2, **changes)]))
    assert len(error.errors) == 1
    assert error.errors[0].startswith("data.jsonl, line 2: ")
    assert message in error.errors[0]


def test_numbers_that_are_not_finite(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    text = json.dumps(row(1, facts={"n": 1}))
    path.write_text(text.replace('"n": 1', '"n": 1e999') + "\n")
    assert "facts hold a number that is not finite" in refuse(path).message
    path.write_text(text.replace('"n": 1', '"n": NaN') + "\n")
    assert "NaN is not a JSON value" in refuse(path).message


def test_line_that_never_ends(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(json.dumps(row(1)) + "\n" + '{"id": "' + "x" * (1 << 20) + '"}\n')
    assert "data.jsonl, line 2: is longer than 1 MB" in refuse(path).message


def test_every_problem_is_counted_and_the_first_ones_are_listed(
    refuse: Refuse, tmp_path: Path
) -> None:
    rows = [row(number, answer="") for number in range(1, 501)]
    error = refuse(write_jsonl(tmp_path / "data.jsonl", rows))
    assert len(error.errors) == 201
    assert error.errors[199] == "data.jsonl, line 200: answer is empty"
    assert error.errors[200] == "… and 300 more"
    assert "500 problems" in error.message


def test_files_that_are_not_there(refuse: Refuse, tmp_path: Path) -> None:
    assert refuse(tmp_path / "no.jsonl").message == "There is no file no.jsonl."
    (tmp_path / "empty").mkdir()
    assert "there are no rows in empty" in refuse(tmp_path / "empty").message
    path = write_jsonl(tmp_path / "data.jsonl", [row(1)])
    assert "There is no folder" in refuse(path, images=tmp_path / "nowhere").message


def test_format_that_cannot_be_told(refuse: Refuse, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "data.txt", [row(1)])
    assert "The format of data.txt cannot be told from its name" in refuse(path).message
    assert read_dataset([path], format=DataFormat.JSONL).items


def test_file_above_the_limit(
    refuse: Refuse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "data.jsonl"
    with path.open("wb") as stream:
        stream.truncate((1 << 20) + 1)
    monkeypatch.setattr(get_settings(), "max_upload_mb", 1)
    assert refuse(path).message == "data.jsonl is larger than 1 MB (MAX_UPLOAD_MB)."


# --- Pictures that could not be used later --------------------------------------------------


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((10, 2100), "has 10 × 2,100 pixels, which is more than 200 to 1"),
        ((1, 50_000_000), "has 1 × 50,000,000 pixels; at most 65,500 are allowed on a side"),
        ((66_000, 700), "has 66,000 × 700 pixels; at most 65,500 are allowed on a side"),
    ],
)
def test_shapes_that_models_refuse(
    refuse: Refuse, tmp_path: Path, size: tuple[int, int], message: str
) -> None:
    (tmp_path / "images/strip.png").write_bytes(blank_png(*size))
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1), row(2, image="strip.png")]))
    assert len(error.errors) == 1
    assert f"data.jsonl, line 2: the image strip.png {message}" in error.errors[0]


def test_several_pages(refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "images/scan.tif").write_bytes(ODD["several pages"][0]())
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="scan.tif")]))
    assert "the image scan.tif holds 2 pages, but the model reads only one" in error.message


def test_picture_without_its_end(refuse: Refuse, tmp_path: Path) -> None:
    whole = saved(PillowImage.effect_noise((200, 200), 90), "TIFF")
    (tmp_path / "images/cut.tif").write_bytes(whole[: len(whole) // 2])
    error = refuse(write_jsonl(tmp_path / "data.jsonl", [row(1, image="cut.tif")]))
    assert "the image cut.tif is" in error.message
    assert "damaged" in error.message
