"""The prior of a project: what a file of episodes must hold, and what becomes of those before."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.db import get_session_factory
from app.kit.errors import Conflict, InvalidInput
from app.lifecycle import Job, Split
from app.models import Event, Item, PriorEpisode, Project, TrainingRow
from app.queries.dataset.imports import try_lock_import
from app.queries.dataset.prior import PriorCount, count_prior
from app.services.dataset.items import correct_item
from app.services.dataset.prior import PriorReport, import_prior, read_prior, remove_prior
from app.services.projects.removal import archive_project
from app.strategies.monologue import Turn
from tests.support.factories import make_image, make_item, make_project, make_run

LOOK = {"asked": "what color is the ball?", "observed": "red."}


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def item(session: Session, project: Project) -> Item:
    return make_item(session, project, external_id="q1")


def episode(item: object = "q1", **changes: Any) -> dict[str, Any]:
    values = {"item": item, "turns": [LOOK], "answer": "red", "rationale": "the ball is red"}
    return {name: value for name, value in (values | changes).items() if value is not ...}


def write(folder: Path, rows: Sequence[Any]) -> Path:
    path = folder / "prior.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def load(session: Session, project: Project, path: Path) -> PriorReport:
    report = import_prior(session, project, read_prior(path), actor=None)
    session.flush()
    session.expire_all()
    return report


def current(session: Session, project: Project) -> list[PriorEpisode]:
    return list(
        session.scalars(
            select(PriorEpisode)
            .where(PriorEpisode.project_id == project.id, PriorEpisode.removed_at.is_(None))
            .order_by(PriorEpisode.id)
        )
    )


def test_episodes_are_stored_with_their_looks(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    looks = [LOOK, {"asked": " What color is the ball ", "observed": "red"}]
    rows = [
        episode(turns=looks),
        episode(rationale=...),
        episode(turns=[], rationale="  "),
        episode(answer="Red."),
    ]
    report = load(session, project, write(tmp_path, rows))
    assert report.as_dict() == {
        "n_episodes": 4,
        "n_items": 1,
        "n_added": 4,
        "n_unchanged": 0,
        "n_removed": 0,
        "n_without_turns": 1,
        "n_without_rationale": 2,
    }
    first, second, third, _ = current(session, project)
    assert [Turn.model_validate(turn) for turn in first.turns] == [
        Turn(asked="what color is the ball?", observed="red."),
        Turn(asked="What color is the ball", observed="red", is_repeated=True),
    ]
    assert (first.item_id, first.answer, first.rationale) == (item.id, "red", "the ball is red")
    assert (second.rationale, third.turns, third.rationale) == (None, [], None)
    assert count_prior(session, project.id) == PriorCount(4, 1, 0)
    event = session.scalars(select(Event).where(Event.tag == "prior:imported")).one()
    assert event.details == {"n_episodes": 4, "n_items": 1, "n_removed": 0}
    assert report.as_lines()[0] == (
        "The prior: 4 added, 0 unchanged, 0 removed: 4 episodes of 1 items."
    )


def test_the_same_file_again_changes_nothing_and_another_takes_its_place(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    both = write(tmp_path, [episode(), episode(turns=[])])
    load(session, project, both)
    ids = [entry.id for entry in current(session, project)]
    again = load(session, project, both)
    assert (again.n_added, again.n_unchanged, again.n_removed) == (0, 2, 0)
    assert again.as_lines()[0].startswith("Nothing changed: the prior is what this file holds")
    other = load(session, project, write(tmp_path, [episode(), episode(rationale="it is red")]))
    assert (other.n_added, other.n_unchanged, other.n_removed) == (1, 1, 1)
    kept, new = current(session, project)
    assert (kept.id, new.rationale) == (ids[0], "it is red")
    tags = session.scalars(select(Event.tag).where(Event.project_id == project.id)).all()
    assert list(tags) == ["prior:imported", "prior:imported"]


def test_an_episode_that_a_training_has_read_stays_as_the_record_of_it(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    load(session, project, write(tmp_path, [episode(), episode(turns=[])]))
    read, _ = current(session, project)
    run = make_run(session, project, Job.TRAIN)
    session.add(TrainingRow(run_id=run.id, item_id=item.id, prior_episode_id=read.id))
    session.flush()
    assert remove_prior(session, project, actor=None) == 2
    session.expire_all()
    assert current(session, project) == []
    assert session.scalars(select(PriorEpisode.id)).all() == [read.id]
    assert session.get_one(PriorEpisode, read.id).removed_at is not None
    assert remove_prior(session, project, actor=None) == 0
    tags = session.scalars(select(Event.tag).where(Event.project_id == project.id)).all()
    assert list(tags) == ["prior:imported", "prior:removed"]
    # And the same episode may come again.
    assert load(session, project, write(tmp_path, [episode()])).n_added == 1


def test_episodes_of_a_reworded_item_are_outdated_until_they_are_imported_again(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    path = write(tmp_path, [episode()])
    load(session, project, path)
    correct_item(session, item, question="and the cube?", answer="red", actor=None)
    session.flush()
    assert count_prior(session, project.id) == PriorCount(1, 1, 1)
    report = load(session, project, path)
    assert (report.n_added, report.n_removed) == (1, 1)
    assert count_prior(session, project.id) == PriorCount(1, 1, 0)


def test_every_bad_line_is_named_and_nothing_is_stored(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    load(session, project, write(tmp_path, [episode()]))
    image = make_image(session)
    make_item(session, project, image=image, split=Split.TEST, external_id="held")
    make_item(session, project, image=image, split=Split.TEST, external_id="same image")
    bad = {
        "names the item q9, which this project does not have": episode("q9"),
        "names the item held, which is held out: it and all items of its image are in split test, "
        "and a model learns from train items alone": episode("held"),
        "names the item same image, which is held out": episode("same image"),
        "answers “blue”, but the answer of the item q1 is “red”": episode(answer="blue"),
        "says the same as prior.jsonl, line 1": episode(),
    }
    path = write(tmp_path, [episode(), *bad.values()])
    with pytest.raises(InvalidInput) as refused:
        import_prior(session, project, read_prior(path), actor=None)
    for number, (fault, line) in enumerate(zip(bad, refused.value.errors, strict=True), start=2):
        assert line.startswith(f"prior.jsonl, line {number}: {fault}")
    assert len(current(session, project)) == 1


BAD_LINES = {
    "must be an object, but is a list": [],
    "turns must be a list of looks, but is 'none'": episode(turns="none"),
    "there are 5 turns; at most 4 are allowed": episode(turns=[LOOK] * 5),
    "a turn must be an object with asked and observed, but is 'red' (turn 2)": episode(
        turns=[LOOK, "red"]
    ),
    "a turn has asked and observed and nothing else, but here is 'seen' (turn 1)": episode(
        turns=[{**LOOK, "seen": "red"}]
    ),
    "observed is missing (turn 1)": episode(turns=[{"asked": "what?"}]),
    "asked is empty (turn 1)": episode(turns=[{**LOOK, "asked": " "}]),
    "observed has 2,001 characters; at most 2,000 are allowed (turn 1)": episode(
        turns=[{**LOOK, "observed": "x" * 2001}]
    ),
    "observed must be a text, but is a list (turn 1)": episode(turns=[{**LOOK, "observed": []}]),
    "answer is empty": episode(answer=""),
    "rationale must be a text, but is a list": episode(rationale=["a"]),
    "item must be a text, but is true or false": episode(True),
    "item holds a control character or half of a character": episode("\ud800"),
}


def test_what_a_line_must_hold_is_said_of_each(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_prior(write(tmp_path, list(BAD_LINES.values())))
    assert refused.value.errors == [
        f"prior.jsonl, line {number}: {fault}" for number, fault in enumerate(BAD_LINES, start=1)
    ]


def test_a_misnamed_key_is_told_once_with_the_one_that_is_meant(tmp_path: Path) -> None:
    row = {"id": "q1", "looks": [], "answer": "red", "why": "so"}
    with pytest.raises(InvalidInput) as refused:
        read_prior(write(tmp_path, [row, row]))
    expected = "expected are item, turns, answer, and where there is one rationale"
    where = "prior.jsonl, line 1 (and 1 more row)"
    assert refused.value.errors == [
        f"{where}: the column 'id' is not known; did you mean item? {expected}",
        f"{where}: the column 'looks' is not known; did you mean turns? {expected}",
        f"{where}: the column 'why' is not known; {expected}",
        f"{where}: the column 'item' is missing; {expected}",
        f"{where}: the column 'turns' is missing; {expected}",
    ]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "prior.jsonl is empty"),
        (b"\n \n", "there are no episodes in prior.jsonl"),
        (b'{"item": "\xff"}', "prior.jsonl, line 1: is not UTF-8 (byte 0xff at position 11)"),
        (b"{]", "prior.jsonl, line 1: is no JSON"),
        (b'{"item": "q1", "item": "q2"}', "line 1: is no JSON (the key 'item' is there twice)"),
        (b'"' + b"x" * (1 << 20) + b'"', "prior.jsonl, line 1: is longer than 1 MB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, fault: str
) -> None:
    path = tmp_path / "prior.jsonl"
    path.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_prior(path)
    assert fault in refused.value.message


def test_a_file_that_is_not_there_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path, fault in ((tmp_path / "none.jsonl", "There is no file"), (tmp_path, "is a folder")):
        with pytest.raises(InvalidInput, match=fault):
            read_prior(path)


def test_an_archived_project_and_one_with_an_import_under_way_are_left_alone(
    session: Session, project: Project, item: Item, tmp_path: Path
) -> None:
    lines = read_prior(write(tmp_path, [episode()]))
    session.commit()
    with get_session_factory()() as other:
        assert try_lock_import(other, project.id)
        with pytest.raises(Conflict, match="Another import"):
            import_prior(session, project, lines, actor=None)
    archive_project(session, project, actor=None)
    for change in (
        lambda: import_prior(session, project, lines, actor=None),
        lambda: remove_prior(session, project, actor=None),
    ):
        with pytest.raises(Conflict, match="archived"):
            change()
