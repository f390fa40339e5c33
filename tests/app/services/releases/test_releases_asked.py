"""What a release tells of items whose question a model asked."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.lifecycle import QuestionState, RoundStatus
from app.services.accounts.pseudonyms import pseudonym
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.released_project import make_released_project
from tests.support.rounds.asked_questions import AskedRound

SOFA = "what color is the sofa?"


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def test_an_item_says_that_the_model_asked_and_who_kept_it(
    session: Session, tmp_path: Path
) -> None:
    project, items = make_released_project(session, tmp_path)
    asked = AskedRound(session, project, number=9)
    asked.ask()
    asked.round.status = RoundStatus.CANCELLED
    user = asked.add_member()
    question = asked.questions()[SOFA]
    question.state, question.decided_by_id = QuestionState.KEPT, user.id
    question.item_id, question.kept_answer = items[0].id, "red"
    question.edited_text = items[0].question
    session.flush()
    release = create_release(session, project, actor=None)
    for layout in (ReleaseFormat.JSONL, ReleaseFormat.HUGGINGFACE, ReleaseFormat.PARQUET):
        write_release(session, release, format=layout, out=tmp_path / layout.value)
    lines = (tmp_path / "jsonl" / "items.jsonl").read_text(encoding="utf-8").splitlines()
    rows = {row["item"]: row for row in map(json.loads, lines)}
    said = {name: row["asked"] for name, row in rows.items() if "asked" in row}
    assert said == {
        items[0].external_id: {
            "round": 9,
            "adapter": None,
            "temperature": 0.7,
            "seed": 7,
            "question": SOFA,
            "is_reworded": True,
            "answer": "red",
            "kept_by": pseudonym(project, user.id),
            "kept_by_kind": "person",
        }
    }
