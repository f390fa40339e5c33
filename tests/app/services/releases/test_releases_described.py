"""The description that programs read of a release, and the limits that its card names."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import RunStatus
from app.models import Release, Round
from app.services.quality.asking import request_evidence
from app.services.quality.evidence import gather_evidence
from app.services.releases.formats.limits import known_limits
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.released_project import correct_of, import_items, make_released_project

# The validator's own, on what it reads with.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def released(session: Session, tmp_path: Path) -> Release:
    project, items = make_released_project(session, tmp_path)
    correct_of(session, items[0], "a ball", "the red ball is a ball")
    return create_release(session, project, actor=None)


def rows_of(out: Path, name: str) -> list[dict[str, Any]]:
    described = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    return list(described.records(name))


# The rows of one file of each form, with a column and what stands in it.
READ = {
    ReleaseFormat.JSONL: ("rationales", "rationale", [b"it is red", b"it looks red"]),
    ReleaseFormat.HUGGINGFACE: ("train", "n_draws", [2, 1]),
    ReleaseFormat.PARQUET: ("items", "n_rationales", [1, 0, 1]),
    ReleaseFormat.LLAVA: ("train", "image", None),
    ReleaseFormat.PREFERENCE: ("train", "n_for", [1, 1, 1, 1, 1]),
    ReleaseFormat.KTO: ("train", "label", None),
}


@pytest.mark.parametrize("format", list(ReleaseFormat))
def test_the_standards_own_validator_takes_every_form_and_reads_its_rows(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    out = tmp_path / "out"
    write_release(session, released(session, tmp_path), format=format, out=out)
    described = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert not described.metadata.ctx.issues.warnings
    name, column, expected = READ[format]
    found = [row[f"{name}/{column}"] for row in rows_of(out, name)]
    assert found
    assert expected is None or found == expected
    for entry in json.loads((out / "croissant.json").read_text())["distribution"]:
        if entry["@type"] == "cr:FileSet":
            assert list(out.glob(entry["includes"]))


def test_every_set_of_rows_can_be_read(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_release(session, released(session, tmp_path), format=ReleaseFormat.PARQUET, out=out)
    described = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))
    names = [one.id for one in described.metadata.record_sets]
    assert names == ["candidates", "items", "rationales/train", "written"]
    assert all(rows_of(out, name) for name in names)


def test_the_description_says_how_it_was_annotated(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_release(session, released(session, tmp_path), format=ReleaseFormat.JSONL, out=out)
    content = json.loads((out / "croissant.json").read_text(encoding="utf-8"))
    assert content["license"] == "cc-by-4.0"
    protocol = content["rai:dataAnnotationProtocol"]
    assert protocol[0].startswith("Guidelines of the annotators, version 1: Pick every rationale")
    assert "Round 1 admitted by majority." in protocol
    assert content["rai:machineAnnotationTools"][0].startswith("critic rouge:0.5")
    card = (out / "README.md").read_text(encoding="utf-8").split("## Known limits")[1]
    for limit in content["rai:dataLimitations"]:
        assert f"- {limit}" in card


def test_the_card_tells_what_was_measured_of_agreement_and_of_nobody(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    first = session.scalars(select(Round).where(Round.number == 1)).one()
    run = request_evidence(session, first, actor=None)
    run.status, run.attempt = RunStatus.RUNNING, 1
    session.flush()
    gather_evidence(session, run.id, attempt=1)
    release = create_release(session, project, actor=None)
    (told,) = release.card["evidence"]
    assert told["round"] == 1
    assert "people" not in told["agreement"]
    assert "people" not in told["positions"]
    out = tmp_path / "out"
    write_release(session, release, format=ReleaseFormat.HUGGINGFACE, out=out)
    card = (out / "README.md").read_text(encoding="utf-8")
    (line,) = [line for line in card.splitlines() if line.startswith("| 1 | 2 | ")]
    # Of two items an interval cannot be given; Cohen's kappa compares these two people.
    assert f"| {told['agreement']['cohen']['value']:.2f}" in line
    assert "undefined" not in line
    assert "chance is in it" not in card
    assert "(permutation test):" in card
    assert f"(p {told['positions']['p']:.3f}; most unlike chance is place" in card


def test_limits_follow_from_the_figures(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    second = session.scalars(select(Round).where(Round.number == 2)).one()
    judging = {**second.settings["judging"], "control": "permuted"}
    second.settings = {**second.settings, "judging": judging}
    release = create_release(session, project, actor=None)
    said = " ".join(known_limits(release.card))
    assert "Critics, that is programs, gave 1 of 5 judgements." in said
    assert "Verdicts of round 2 were changed on purpose" in said
    assert "the share of equal judgements" in said
    empty, _ = import_items(session, tmp_path / "empty", n_items=1)
    said = " ".join(known_limits(create_release(session, empty, actor=None).card))
    assert "Critics" not in said
    assert "agree" not in said
