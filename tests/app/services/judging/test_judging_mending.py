"""Faults and better texts: kept with every click, counted apart, exported apart."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.storage import image_path
from app.lifecycle import RoundStatus
from app.models import (
    Candidate,
    Image,
    Judgement,
    Project,
    Round,
    User,
    VerdictRow,
    WrittenRationale,
)
from app.opinions import Opinion
from app.services.judging import judgements, opening
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_user,
    png_bytes,
)
from tests.support.judging import locked, open_item, submit


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def round_(session: Session) -> Round:
    project = make_project(session)
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    return round_


@pytest.fixture
def judgement(session: Session, round_: Round) -> Judgement:
    judgement = opening.open_next_item(session, round_, make_user(session))
    assert judgement is not None
    return judgement


def verdicts(session: Session) -> dict[int, tuple[bool, list[str]]]:
    rows = session.scalars(select(VerdictRow))
    return {row.candidate_id: (row.fits, row.faults) for row in rows}


def test_faults_and_better_texts_are_part_of_the_draft(
    session: Session, judgement: Judgement
) -> None:
    first, second, _ = judgement.shown_order
    opinion = Opinion(faults={first: ("unclear",)}, edits={second: " a better reason \r\n"})
    judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    assert judgement.version == 1
    assert judgement.faults == {str(first): ["unclear"]}
    assert judgement.edits == {str(second): "a better reason"}
    judgements.save_draft(session, locked(session, judgement), opinion, version=0)
    assert judgement.version == 1


def test_faults_go_to_the_verdicts_and_back_with_a_take_back(
    session: Session, judgement: Judgement
) -> None:
    first, second, third = judgement.shown_order
    faults = {second: ["wrong_about_image", "unclear"]}
    submit(session, judgement, picked=[first], faults=faults)
    assert verdicts(session) == {
        first: (True, []),
        second: (False, ["unclear", "wrong_about_image"]),
        third: (False, []),
    }
    draft = judgements.take_back(session, locked(session, judgement))
    assert verdicts(session) == {}
    assert draft.faults == {str(second): ["unclear", "wrong_about_image"]}


def test_a_better_text_is_a_rationale_of_its_author_and_no_candidate(
    session: Session, judgement: Judgement
) -> None:
    first, second, _ = judgement.shown_order
    same = session.get_one(Candidate, second).text
    n_candidates = len(session.scalars(select(Candidate)).all())
    edits = {first: "the ball in the corner is red", second: f"  {same} "}
    submit(session, judgement, none_fits=True, edits=edits)
    (written,) = session.scalars(select(WrittenRationale))
    assert (written.candidate_id, written.text) == (first, "the ball in the corner is red")
    assert len(session.scalars(select(Candidate)).all()) == n_candidates
    assert {fits for fits, _ in verdicts(session).values()} == {False}
    judgements.take_back(session, locked(session, judgement))
    assert session.scalars(select(WrittenRationale)).all() == []


def test_what_cannot_be_is_refused(session: Session, judgement: Judgement) -> None:
    first = judgement.shown_order[0]
    for changes, said in (
        ({"picked": [first], "faults": {first: ["unclear"]}}, "has no fault"),
        ({"faults": {first: ["ugly"]}}, "ugly"),
        ({"faults": {10**9: ["unclear"]}}, "does not belong"),
        ({"edits": {10**9: "a text"}}, "does not belong"),
    ):
        with pytest.raises(InvalidInput, match=said):
            judgements.save_draft(
                session, locked(session, judgement), Opinion.model_validate(changes), version=0
            )


def test_the_database_refuses_a_fault_of_what_fits(session: Session, judgement: Judgement) -> None:
    first = judgement.shown_order[0]
    submit(session, judgement, picked=[first])
    session.get_one(VerdictRow, (judgement.id, first)).faults = ["unclear"]
    with pytest.raises(IntegrityError, match="fitting_has_no_fault"):
        session.flush()


def release_files(session: Session, round_: Round, author: User, out: Path) -> dict[str, str]:
    project = session.get_one(Project, round_.project_id)
    for number, image in enumerate(session.scalars(select(Image))):
        path = image_path(image.sha256, image.media_type)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png_bytes((number, 0, 0)))  # a release looks at no more than the name
    release = create_release(session, project, actor=author)
    write_release(session, release, format=ReleaseFormat.JSONL, out=out)
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir() if path.is_file()}


def test_a_release_holds_better_texts_apart(
    session: Session, round_: Round, judgement: Judgement, tmp_path: Path
) -> None:
    first = judgement.shown_order[0]
    author = session.get_one(User, judgement.user_id)
    submit(session, judgement, none_fits=True, edits={first: "a better reason"})
    round_.status = RoundStatus.CANCELLED
    files = release_files(session, round_, author, tmp_path / "release")
    (row,) = [json.loads(line) for line in files["written.jsonl"].splitlines()]
    assert row["rationale"] == "a better reason"
    assert row["author_kind"] == "person"
    assert row["author"].startswith("annotator-")
    assert row["corrects"] == session.get_one(Candidate, first).text
    assert "a better reason" not in files["rationales.jsonl"] + files["candidates.jsonl"]
    assert "written.jsonl" in files["README.md"]
    assert json.loads(files["release.json"])["figures"]["written"] == 1


def test_a_release_without_them_does_not_mention_them(
    session: Session, round_: Round, judgement: Judgement, tmp_path: Path
) -> None:
    author = session.get_one(User, judgement.user_id)
    submit(session, judgement, none_fits=True)
    round_.status = RoundStatus.CANCELLED
    files = release_files(session, round_, author, tmp_path / "release")
    assert "written.jsonl" not in files
    told = files["README.md"].replace("were written by models", "")
    assert "written" not in told + files["release.json"] + files["items.jsonl"]


def test_a_release_says_who_was_unsure_and_nothing_of_others(
    session: Session, round_: Round, judgement: Judgement, tmp_path: Path
) -> None:
    author = session.get_one(User, judgement.user_id)
    submit(session, judgement, none_fits=True, is_unsure=True)
    project = session.get_one(Project, round_.project_id)
    make_round_item(session, round_, make_item(session, project))
    submit(session, open_item(session, round_, author), none_fits=True)
    round_.status = RoundStatus.CANCELLED
    files = release_files(session, round_, author, tmp_path / "release")
    rows = [json.loads(line) for line in files["items.jsonl"].splitlines()]
    said = [entry.get("is_unsure") for row in rows for entry in row["judgements"]]
    assert sorted(said, key=str) == [None, True]
