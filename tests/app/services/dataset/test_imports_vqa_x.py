"""The two published layouts of VQA-X."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import Split
from app.models import Item, Project
from app.services.dataset.imports import import_dataset, read_dataset
from tests.support.dataset_files import own_store, picture, write_zip
from tests.support.factories import make_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def question(number: int, answers: list[str], explanations: list[str]) -> dict[str, Any]:
    return {
        "question": "Is this a beach scene?",
        "answers": [
            {"answer": answer, "answer_confidence": "yes", "answer_id": place}
            for place, answer in enumerate(answers, start=1)
        ],
        "image_id": str(number),
        "image_name": f"COCO_val2014_{number:012d}.jpg",
        "explanation": explanations,
    }


def load(session: Session, project: Project, path: Path, images: Path) -> list[Item]:
    with read_dataset([path], images=images) as parsed:
        import_dataset(session, project, parsed, update=False, actor=None)
    return list(session.scalars(select(Item).order_by(Item.external_id)))


def write_photos(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(number, format="JPEG"))
    return folder


def test_layout_by_question(session: Session, project: Project, tmp_path: Path) -> None:
    photos = write_photos(
        tmp_path / "coco",
        "COCO_val2014_000000000007.jpg",
        "val2014/COCO_val2014_000000000008.jpg",
    )
    path = tmp_path / "vqaX_val.json"
    path.write_text(
        json.dumps(
            {
                "70": question(7, ["no"] * 3 + ["yes"] * 7, ["there is sand", "and sea "]),
                "80": question(8, ["maybe", "no", "no", "maybe"], ["it is a room"]),
            }
        )
    )
    first, second = load(session, project, path, photos)
    assert (first.external_id, first.answer) == ("70", "yes")
    assert first.gold_rationales == ["there is sand", "and sea"]
    assert first.answers == ["no"] * 3 + ["yes"] * 7
    # Equally many said both: the one that comes first.
    assert (second.external_id, second.answer) == ("80", "maybe")
    # The file name says which split it is.
    assert {first.split, second.split} == {Split.VALIDATION}


def test_layout_by_column(session: Session, project: Project, tmp_path: Path) -> None:
    photos = write_photos(
        tmp_path / "coco", "COCO_val2014_000000000007.jpg", "COCO_train2014_000000000008.jpg"
    )
    columns = {
        "image_id": {"0": 7, "1": 8},
        "question": {"0": "Is it a beach?", "1": "How many?"},
        "question_id": {"0": 70, "1": 80},
        "multiple_choice_answer": {"0": "yes", "1": "2"},
        "question_type": {"0": "is it", "1": "how many"},
        "explanation": {"0": "there is sand.", "1": "two of them."},
        "explanation_2": {"0": "there is sea.", "1": None},
    }
    path = tmp_path / "test.json"
    path.write_text(json.dumps(columns))
    first, second = load(session, project, path, photos)
    assert (first.external_id, first.answer) == ("70", "yes")
    assert first.gold_rationales == ["there is sand.", "there is sea."]
    assert (second.answer, second.gold_rationales) == ("2", ["two of them."])
    assert first.split is Split.TEST


def test_in_a_zip_with_its_photos(session: Session, project: Project, tmp_path: Path) -> None:
    path = write_zip(
        tmp_path / "all.zip",
        {
            "vqax/annotations.json": json.dumps({"70": question(7, ["no"], ["a room"])}).encode(),
            "vqax/images/COCO_val2014_000000000007.jpg": picture(1, format="JPEG"),
        },
    )
    with read_dataset([path]) as parsed:
        report = import_dataset(session, project, parsed, update=False, actor=None)
    assert report.n_added == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([question(7, ["no"], ["x"])], "is a JSON list: write one object per line"),
        ({"7": {"question": "what?"}}, "question 7: answers is missing; expected is the VQA-X"),
        ({"7": "text"}, "question 7: is no object"),
        ({"7": question(7, [], ["x"])}, "question 7: answers hold no answer"),
        ({"7": question(7, ["no"], [])}, "COCO_val2014_000000000007.jpg is not in"),
    ],
)
def test_what_is_wrong_names_the_question(
    session: Session, project: Project, tmp_path: Path, content: object, message: str
) -> None:
    (tmp_path / "coco").mkdir()
    path = tmp_path / "x.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InvalidInput, match=r"x\.json") as caught:
        load(session, project, path, tmp_path / "coco")
    assert message in caught.value.message
