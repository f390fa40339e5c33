"""Where models looked, in a release: looks, marks of their place, and boxes that people drew."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Project, Release, ReleaseRow, Sample, User
from app.services.accounts.erasure import erase_person
from app.services.accounts.pseudonyms import pseudonym
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.factories import make_user
from tests.support.judging import open_item, submit
from tests.support.released_project import make_released_project
from tests.support.rounds.looks import (
    FALLS,
    OTHER,
    TEXT,
    make_looks,
    make_map,
    make_perception_round,
)

BOX = {"left": 0.1, "top": 0.35, "right": 0.4, "bottom": 0.7}
FILES = {
    ReleaseFormat.JSONL: "candidates.jsonl",
    ReleaseFormat.PARQUET: "candidates.parquet",
    ReleaseFormat.HUGGINGFACE: "README.md",
}


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def judged(session: Session, tmp_path: Path) -> tuple[Project, User]:
    """A project one of whose rounds asked where to look, and who marked and drew in it."""
    project, (item, *_) = make_released_project(session, tmp_path)
    round_ = make_perception_round(session, project, number=9)
    make_looks(session, round_, item=item)
    noor = make_user(session, name="Noor")
    judgement = open_item(session, round_, noor)
    one, two = draws(session)
    make_map(session, one)
    submit(
        session,
        judgement,
        none_fits=True,
        marks={one: {1: {"place": "right"}}, two: {2: {"place": "wrong"}}},
        boxes={two: {2: BOX}},
    )
    round_.status = RoundStatus.CANCELLED
    session.flush()
    return project, noor


def draws(session: Session) -> tuple[int, int]:
    """The most probable draw of each rationale, the one of one look first."""
    found = session.scalars(
        select(Sample)
        .where(Sample.strategy == "perception", Sample.log_probability == -1.0)
        .order_by(Sample.id)
    )
    one, two = sorted(found, key=lambda sample: len((sample.trace or {})["looks"]))
    return one.id, two.id


def rows_of(session: Session, release: Release) -> dict[str, dict[str, Any]]:
    statement = select(ReleaseRow.payload).where(ReleaseRow.release_id == release.id)
    return {row["rationale"]: row for row in session.scalars(statement) if "rationale" in row}


def test_a_row_holds_the_looks_with_what_was_measured_and_what_people_said(
    session: Session, judged: tuple[Project, User]
) -> None:
    project, noor = judged
    release = create_release(session, project, actor=None)
    rows = rows_of(session, release)
    (look,) = rows[TEXT]["looks"].pop("looks")
    assert rows[TEXT]["looks"] == {"round": 9, "without": "blue", "n_ways": 2}
    assert (look["rows"], look["columns"], look["probability"]) == (3, 3, 0.92)
    assert tuple(look["occlusion"]) == FALLS
    assert [one["occlusion"] for one in rows[OTHER]["looks"]["looks"]] == [None, None]
    who = {"round": 9, "judge": pseudonym(project, noor.id), "judge_kind": "person"}
    left = {"looked": {"rows": 3, "columns": 3, "row": 2, "column": 1}}
    corner = {"looked": {"rows": 3, "columns": 3, "row": 3, "column": 3}}
    assert rows[TEXT]["marks"] == [{**who, "turn": 1, **left, "of": "place", "value": "right"}]
    assert rows[OTHER]["marks"] == [{**who, "turn": 2, **corner, "of": "place", "value": "wrong"}]
    assert rows[OTHER]["boxes"] == [{**who, "turn": 2, **corner, **BOX}]
    assert "boxes" not in rows[TEXT]
    assert not {"looks", "boxes", "marks"} & rows["it is red"].keys()
    figures = release.card["figures"]
    assert (figures["looks"], figures["marks"], figures["boxes"]) == (2, 2, 1)


def test_boxes_and_marks_stay_under_the_pseudonym_of_a_person_who_was_erased(
    session: Session, judged: tuple[Project, User]
) -> None:
    project, noor = judged
    before = rows_of(session, create_release(session, project, actor=None))
    erase_person(session, noor, typed_name="Noor", actor=make_user(session, is_admin=True))
    after = rows_of(session, create_release(session, project, actor=None))
    assert after[OTHER]["boxes"][0]["left"] == before[OTHER]["boxes"][0]["left"]
    assert "Noor" not in json.dumps(after)


@pytest.mark.parametrize("format", FILES)
def test_every_form_holds_looks_and_boxes_and_says_what_they_are(
    session: Session, judged: tuple[Project, User], tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = judged
    out = tmp_path / "out"
    write_release(session, create_release(session, project, actor=None), format=format, out=out)
    readme = (out / "README.md").read_text("utf-8")
    assert "`looks`" in readme
    assert "`boxes`" in readme
    if format is ReleaseFormat.JSONL:
        lines = (out / FILES[format]).read_text("utf-8").splitlines()
        rows = {row["rationale"]: row for row in map(json.loads, lines)}
        assert rows[OTHER]["boxes"][0]["right"] == 0.4
    elif format is ReleaseFormat.PARQUET:
        pyarrow = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.read_table(out / FILES[format]).to_pylist()
        rows = {row["rationale"]: row for row in table}
        assert rows[OTHER]["boxes"][0]["looked"]["row"] == 3
        assert rows[TEXT]["boxes"] == []
        assert json.loads(rows[TEXT]["looks"])["without"] == "blue"
    else:
        lines = (out / "train/metadata.jsonl").read_text("utf-8").splitlines()
        assert {(row["looks"], row["boxes"]) for row in map(json.loads, lines)} == {("", "")}
