"""Parquet files as datasets, pandas and pyarrow read them, and what is said without pyarrow."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pandas
import pyarrow.parquet
import pytest
from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Admission
from app.services.releases.formats import parquet
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.command_line import hide, run_python
from tests.support.dataset_files import load_with_datasets, own_store
from tests.support.released_project import correct_of, import_items, make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def out(session: Session, tmp_path: Path) -> Path:
    project, items = make_released_project(session, tmp_path)
    correct_of(session, items[0], "a ball", "the red ball is a ball")
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.PARQUET, out=tmp_path / "out")
    return tmp_path / "out"


def test_datasets_loads_rationales_and_every_other_kind(out: Path, tmp_path: Path) -> None:
    names = ("candidates", "items", "written")
    named = [{"path": str(out), "name": name} for name in names]
    default, candidates, items, written = load_with_datasets(tmp_path, {"path": str(out)}, *named)
    first, second = default["rows"]
    assert (first["item"], first["rationale"], first["split"]) == ("q1", "it is red", "train")
    assert first["image"] == [[64, 48], [1, 0, 77]]
    assert second["image"] == [[64, 48], [3, 0, 77]]
    assert first["completion"][0]["content"] == "red, seeing that it is red"
    assert [draw["temperature"] for draw in first["draws"]] == [0.01, 0.9]
    assert len(candidates["rows"]) == 5
    assert [row["item"] for row in items["rows"]] == ["q1", "q2", "q3"]
    assert items["rows"][0]["gold_rationales"] == ["the ball is red"]
    assert json.loads(items["rows"][1]["facts"]) == {"n": 0.2}
    assert [row["corrects"] for row in written["rows"]] == ["a ball"]


def test_pandas_and_pyarrow_read_typed_columns(out: Path) -> None:
    table = pyarrow.parquet.read_table(out / "rationales/train.parquet")
    assert table.column("people_votes").to_pylist() == [2, 0]
    assert str(table.schema.field("verdicts").type).startswith("list<")
    frame = pandas.read_parquet(out / "candidates.parquet")
    assert sorted(frame["rationale"])[:2] == ["a ball", "grün | \n\u2028 ünïcode"]
    assert frame.set_index("rationale").loc["a ball", "verdicts"][0]["fits"] in {True, False}
    content = table.column("image").to_pylist()[0]["bytes"]
    with PillowImage.open(io.BytesIO(content)) as image:
        assert image.size == (64, 48)


def test_an_admission_keeps_the_probability_that_it_came_from(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    weighed, counted = session.scalars(select(Admission).order_by(Admission.candidate_id))
    weighed.policy, weighed.probability = "dawid_skene_0.9", 0.9375
    release = create_release(session, project, actor=None)

    def read(name: str) -> list[float | None]:
        write_release(session, release, format=ReleaseFormat.PARQUET, out=tmp_path / name)
        table = pyarrow.parquet.read_table(tmp_path / name / "rationales/train.parquet")
        admissions = table.column("admissions").to_pylist()
        return [one.get("probability", "absent") for (one,) in admissions]

    assert read("now") == [0.9375, None]
    assert counted.probability is None
    release.card = {**release.card, "format": 5}  # kept in memory: a release never changes
    with session.no_autoflush:
        assert read("before") == ["absent", "absent"]
    session.expire(release)


def test_rows_are_written_a_group_at_a_time(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "ROWS_IN_ONE_GROUP", 2)
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.PARQUET, out=tmp_path / "out")
    described = pyarrow.parquet.ParquetFile(tmp_path / "out/candidates.parquet").metadata
    assert [described.row_group(n).num_rows for n in range(described.num_row_groups)] == [2, 2, 1]


def test_an_empty_release_can_be_read(session: Session, tmp_path: Path) -> None:
    project, _ = import_items(session, tmp_path, n_items=1)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=ReleaseFormat.PARQUET, out=tmp_path / "out")
    table = pyarrow.parquet.read_table(tmp_path / "out/rationales/train.parquet")
    assert (table.num_rows, "image" in table.column_names) == (0, True)


def test_without_pyarrow_the_program_starts_and_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys, app.main\n"
        "from app.services.releases.formats.parquet import require_parquet\n"
        "assert 'pyarrow' not in sys.modules\n"
        "require_parquet()\n"
    )
    done = run_python("-c", code, **hide(tmp_path, "pyarrow"))
    assert "Parquet needs pyarrow. Install: pip install 'illume[parquet]'" in done.stderr
