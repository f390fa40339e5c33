"""What several people answered: how files say it, and what an import does with it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import JudgementStatus, RoundStatus
from app.models import Item, Judgement, Project
from app.services.dataset.imports import ImportReport, read_dataset
from tests.support.dataset_files import load, own_store, row, write_csv, write_images, write_jsonl
from tests.support.factories import make_project, make_round, make_round_item, make_user


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def load_rows(
    session: Session, project: Project, folder: Path, *rows: Any, update: bool = False
) -> ImportReport:
    write_images(folder)
    return load(session, project, write_jsonl(folder / "data.jsonl", list(rows)), update=update)


def answers_of(session: Session, project: Project) -> dict[str, Sequence[str]]:
    items = session.scalars(select(Item).where(Item.project_id == project.id))
    return {item.external_id: item.answers for item in items}


def test_they_are_kept_as_often_as_they_were_given(
    session: Session, project: Project, tmp_path: Path
) -> None:
    load_rows(
        session,
        project,
        tmp_path,
        row(1, answers=["red", " red ", "dark red", "", 2]),
        row(2, answers=[{"answer": "yes", "answer_confidence": "maybe"}, {"answer": "no"}]),
        row(3),
    )
    assert answers_of(session, project) == {
        "q1": ["red", "red", "dark red", "2"],
        "q2": ["yes", "no"],
        "q3": [],
    }


def test_csv_has_them_as_json(session: Session, project: Project, tmp_path: Path) -> None:
    write_images(tmp_path)
    header = ["id", "image", "question", "answer", "answers"]
    cells = ["1", "1.png", "is it red?", "yes", json.dumps(["yes", "no", "yes", "yes"])]
    load(session, project, write_csv(tmp_path / "data.csv", header, [cells]))
    assert answers_of(session, project) == {"1": ["yes", "no", "yes", "yes"]}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("red", "answers must be a list of what several people answered, but is 'red'"),
        (["red"] * 51, "there are 51 answers; at most 50 are allowed"),
        ([["red"]], "answer must be a text, but is a list"),
        (["x" * 501], "answer has 501 characters; at most 500 are allowed"),
    ],
)
def test_what_is_no_list_of_answers_is_told(tmp_path: Path, given: object, problem: str) -> None:
    write_images(tmp_path)
    path = write_jsonl(tmp_path / "data.jsonl", [row(1, answers=given)])
    with pytest.raises(InvalidInput) as caught:
        read_dataset([path])
    assert [error.removeprefix("data.jsonl, line 1: ") for error in caught.value.errors] == [
        problem
    ]


def test_they_are_added_to_an_item_that_was_judged(
    session: Session, project: Project, tmp_path: Path
) -> None:
    """What people judged stays what it was, and so does the version that they judged."""
    load_rows(session, project, tmp_path, row(1), row(2))
    item = session.scalars(select(Item).where(Item.external_id == "q1")).one()
    round_ = make_round(session, project, status=RoundStatus.CANCELLED)
    round_item = make_round_item(session, round_, item)
    session.add(
        Judgement(
            round_item_id=round_item.id,
            round_id=round_.id,
            user_id=make_user(session).id,
            status=JudgementStatus.SUBMITTED,
            slot=1,
            max_slots=1,
            shown_order=[],
            none_fits=True,
            submitted_at=round_.status_changed_at,
        )
    )
    session.flush()
    rows = [row(1, answers=["red"] * 4), row(2)]
    assert load_rows(session, project, tmp_path, *rows).changed == ["q1"]
    report = load_rows(session, project, tmp_path, *rows, update=True)
    assert (report.n_updated, report.refused) == (1, [])
    assert answers_of(session, project) == {"q1": ["red"] * 4, "q2": []}
    assert item.version == 1
    # Others in their place would change what was measured with them.
    other = load_rows(session, project, tmp_path, row(1, answers=["blue"] * 4), update=True)
    assert other.refused == ["q1: has been judged and is not rewritten"]


def test_a_file_that_does_not_speak_of_them_leaves_them(
    session: Session, project: Project, tmp_path: Path
) -> None:
    load_rows(session, project, tmp_path, row(1, answers=["red"] * 4))
    report = load_rows(session, project, tmp_path, row(1), update=True)
    assert (report.n_unchanged, report.changed) == (1, [])
    report = load_rows(session, project, tmp_path, row(1, answer="blue"), update=True)
    assert report.n_updated == 1
    assert answers_of(session, project) == {"q1": ["red"] * 4}
