"""The published layouts of A-OKVQA, ACT-X and CLEVR-X."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.kit.errors import InvalidInput
from app.lifecycle import DataFormat, Split
from app.services.dataset.formats.published.json_stream import objects_in
from app.services.dataset.imports import read_dataset
from tests.support.dataset_files import own_store, picture

Entry = dict[str, Any]


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def write(path: Path, content: object, *images: str) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    for number, name in enumerate(images):
        image = path.parent / "images" / name
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(picture(number))
    return path


def knowledge_question(number: int, **changes: Any) -> Entry:
    entry: Entry = {
        "split": "train",
        "image_id": number,
        "question_id": f"q{number}",
        "question": "What is the man by the bags awaiting?",
        "choices": ["skateboarder", "train", "delivery", "cab"],
        "correct_choice_idx": 3,
        "direct_answers": ["ride", "ride", "bus"],
        "difficult_direct_answer": False,
        "rationales": ["A cab stops there.", "He has bags."],
    }
    return {name: value for name, value in (entry | changes).items() if value is not ...}


def scene_question(index: int, part: str, **changes: Any) -> Entry:
    return {
        "question_index": index,
        "image_filename": f"CLEVR_{part}_{index:06d}.png",
        "image_index": index,
        "split": part,
        "question": "How many balls are there?",
        "answer": "1",
        "program": [{"inputs": [], "function": "scene"}],
        "factual_explanation": ["There is a purple ball."],
        **changes,
    }


def test_a_okvqa_has_the_right_choice_and_its_rationales(tmp_path: Path) -> None:
    entries = [
        knowledge_question(299207),
        knowledge_question(7, choices=..., correct_choice_idx=..., split="val"),
    ]
    names = ("000000299207.jpg", "val2017/000000000007.jpg")
    path = write(tmp_path / "aokvqa_v1p0_train.json", entries, *names)
    with read_dataset([path]) as parsed:
        first, second = (item.row for item in parsed.items)
    assert (first.external_id, first.answer, first.split) == ("q299207", "cab", Split.TRAIN)
    assert first.gold_rationales == ("A cab stops there.", "He has bags.")
    assert (second.answer, second.split) == ("ride", Split.VALIDATION)


def test_act_x_asks_what_the_person_is_doing(tmp_path: Path) -> None:
    content = {
        "000033016": {
            "answers": "curling",
            "image_name": "000033016.jpg",
            "explanation": ["he slides a stone", "he is on the ice"],
        },
        "11": {"answers": "yoga", "explanation": ["on a mat"]},
    }
    path = write(tmp_path / "actX_test.json", content, "000033016.jpg", "mpi/11.jpg")
    with read_dataset([path]) as parsed:
        first, second = (item.row for item in parsed.items)
    assert (first.external_id, first.answer, first.split) == ("000033016", "curling", Split.TEST)
    assert first.question == "What is the person doing?"
    assert first.gold_rationales == ("he slides a stone", "he is on the ice")
    assert second.answer == "yoga"


def test_clevr_x_calls_clevrs_validation_part_its_test(tmp_path: Path) -> None:
    questions = [
        scene_question(3, "val"),
        scene_question(3, "val", factual_explanation=["A purple ball is there."]),
        scene_question(4, "val", image_filename="CLEVR_val_000003.png", answer=2),
    ]
    content = {"info": {"split": "val", "version": "1.0"}, "questions": questions}
    images = [f"val/{questions[0]['image_filename']}"]
    path = write(tmp_path / "CLEVR_val_explanations_v0.7.10.json", content, *images)
    with read_dataset([path]) as parsed:
        first, second = (item.row for item in parsed.items)
    assert (first.external_id, first.answer, first.split) == ("val-3", "1", Split.TEST)
    assert first.gold_rationales == ("There is a purple ball.", "A purple ball is there.")
    assert (second.external_id, second.answer) == ("val-4", "2")


def test_a_tenth_of_clevrs_train_part_is_for_validation(tmp_path: Path) -> None:
    questions = [scene_question(n, "train", image_filename=f"{n // 10}.png") for n in range(2000)]
    path = write(tmp_path / "train.json", {"questions": questions})
    for number in range(200):
        image = tmp_path / "images/train" / f"{number}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(picture(number))
    with read_dataset([path], format=DataFormat.CLEVR_X) as parsed:
        splits = [item.row.split for item in parsed.items]
    assert set(splits) == {Split.TRAIN, Split.VALIDATION}
    assert 100 <= splits.count(Split.VALIDATION) <= 300


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (
            [
                knowledge_question(1, question=""),
                knowledge_question(2, choices=..., direct_answers=...),
                7,
                knowledge_question(4, image_id="x"),
            ],
            [
                "data.json, question q1: question is empty",
                "data.json, question q2: has no answer (the test split of A-OKVQA was published",
                "data.json, row 3: must be an object, but is a number",
                "data.json, question q4: image_id must be a number, but is 'x'",
            ],
        ),
        (
            {
                "1": {"answers": "yoga", "explanation": [7, []], "image_name": "../1.jpg"},
                "2": {"explanation": ["on a mat"]},
                "3": 5,
            },
            [
                "data.json, picture 1: image must be a file name inside the images folder",
                "data.json, picture 1: rationale must be a text, but is a list",
                "data.json, picture 2: answers is missing; expected is the ACT-X layout",
                "data.json, picture 3: is no object; expected is the ACT-X layout",
            ],
        ),
        (
            {
                "info": {},
                "questions": [
                    scene_question(1, "test"),
                    scene_question(2, "val", factual_explanation={}),
                    "x",
                ],
            },
            [
                "data.json, question 1: split must be train or val, but is 'test'",
                "data.json, question 2: rationales must be a list of texts, but is an object",
                "data.json, row 3: must be an object, but is 'x'",
            ],
        ),
    ],
)
def test_every_row_that_is_wrong_is_named(
    tmp_path: Path, content: object, problems: list[str]
) -> None:
    path = write(tmp_path / "data.json", content, *(f"{n:012d}.jpg" for n in range(1, 5)))
    with pytest.raises(InvalidInput) as caught:
        read_dataset([path])
    assert len(caught.value.errors) == len(problems)
    for line, problem in zip(caught.value.errors, problems, strict=True):
        assert line.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[{"question_id": "a"', "is no JSON"),
        ('[{"question_id": "a"} {"question_id": "b"}]', "']' is missing"),
        ('[{"question_id": "a", "question_id": "b"}]', "is there twice"),
        ('{"info": {}, "scenes": []}', "has no list 'questions'"),
        ('{"info": NaN, "questions": []}', "is not a JSON value"),
        ('{"questions": {"a": 1}}', "'[' is missing"),
    ],
)
def test_broken_files_are_refused_in_a_sentence(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "data.json"
    path.write_text(text)
    format = DataFormat.A_OKVQA if text.startswith("[") else DataFormat.CLEVR_X
    with pytest.raises(InvalidInput) as caught:
        read_dataset([path], format=format)
    assert problem in caught.value.message


def test_a_list_is_read_object_by_object_wherever_a_read_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "app.services.dataset.formats.published.json_stream._CHUNK"
    monkeypatch.setattr(module, 3)
    values = [{"n": 12345, "text": "grün [{,"}, [1, 2], 678, "x", None]
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"a": [1], "b": 23, "list": values}, ensure_ascii=False))
    with path.open("rb") as stream:
        assert list(objects_in(stream, "list.json", key="list")) == values
