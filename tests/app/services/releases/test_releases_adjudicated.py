"""What a release tells of decisions of adjudicators, in each of its forms."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Adjudication, Admission, Candidate, RoundItem
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.factories import make_user
from tests.support.released_project import make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def rows_of(path: Path) -> dict[str, dict[str, Any]]:
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return {row["rationale"]: row for row in rows}


def test_every_form_tells_what_was_decided(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    place = session.scalars(select(RoundItem).where(RoundItem.item_id == items[0].id)).one()
    admin = make_user(session)
    for text, fits in (("it is red", True), ("a ball", False)):
        candidate = session.scalars(
            select(Candidate).where(Candidate.item_id == items[0].id, Candidate.text == text)
        ).one()
        session.add(
            Adjudication(
                round_id=place.round_id, item_id=items[0].id, candidate_id=candidate.id,
                fits=fits, decided_by_id=admin.id,
            )
        )  # fmt: skip
        if admission := session.get(Admission, (place.round_id, candidate.id)):
            admission.is_adjudicated = True
    release = create_release(session, project, actor=None)
    said = "on 2 of the candidates (`adjudications`) people differed, and an adjudicator decided"
    for layout in (ReleaseFormat.JSONL, ReleaseFormat.HUGGINGFACE, ReleaseFormat.PARQUET):
        out = tmp_path / layout.value
        write_release(session, release, format=layout, out=out)
        assert said in (out / "README.md").read_text(encoding="utf-8"), layout

    fits, misfit = {"round": 1, "fits": True}, {"round": 1, "fits": False}
    rationales = rows_of(tmp_path / "jsonl" / "rationales.jsonl")
    assert rationales["it is red"]["adjudications"] == [fits]
    assert rationales["it is red"]["admissions"][0]["adjudicated"] is True
    candidates = rows_of(tmp_path / "jsonl" / "candidates.jsonl")
    assert candidates["a ball"]["adjudications"] == [misfit]
    assert [text for text, row in candidates.items() if "adjudications" in row] == ["a ball"]

    flat = rows_of(tmp_path / "huggingface" / "train" / "metadata.jsonl")
    assert json.loads(flat["it is red"]["adjudications"]) == [fits]

    table = pyarrow.parquet.read_table(tmp_path / "parquet" / "candidates.parquet")
    decided = dict(
        zip(table["rationale"].to_pylist(), table["adjudications"].to_pylist(), strict=True)
    )
    assert decided["a ball"] == [misfit]


def test_a_release_without_decisions_has_no_columns_for_them(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.PARQUET, out=tmp_path / "out")
    table = pyarrow.parquet.read_table(tmp_path / "out" / "candidates.parquet")
    assert "adjudications" not in table.schema.names
