"""What a release holds, that it never changes, and that its files are the same bytes each time."""

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.kit.db import get_session_factory
from app.kit.errors import AppError, Conflict, InvalidInput, SetupError
from app.lifecycle import RoundItemState, RoundStatus
from app.models import (
    Admission,
    Candidate,
    Event,
    Project,
    ProjectBase,
    ProjectImage,
    Release,
    ReleaseRow,
    Round,
    RoundItem,
    RoundModel,
    Sample,
    User,
)
from app.queries.releases.releases import try_lock_releases
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import own_store, stored_files
from tests.support.factories import make_user
from tests.support.released_project import TRICKY, import_items, make_released_project

JSONL, HUGGINGFACE = ReleaseFormat.JSONL, ReleaseFormat.HUGGINGFACE


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def rows_of(session: Session, release: Release) -> list[dict[str, Any]]:
    return list(
        session.scalars(
            select(ReleaseRow.payload)
            .where(ReleaseRow.release_id == release.id)
            .order_by(ReleaseRow.number)
        )
    )


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_release_holds_rationales_candidates_and_items(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    actor = make_user(session)
    release = create_release(session, project, actor=actor)
    assert (release.number, release.n_rows, release.created_by_id) == (1, 2, actor.id)
    held = [(row["kind"], row["item"], row.get("rationale")) for row in rows_of(session, release)]
    assert held == [
        ("candidate", "q1", "a ball"),
        ("candidate", "q1", TRICKY),
        ("rationale", "q1", "it is red"),
        ("item", "q1", None),
        ("candidate", "q2", "nothing"),
        ("candidate", "q2", "something"),
        ("item", "q2", None),
        ("rationale", "q3", "it looks red"),
        ("candidate", "q3", "no idea"),
        ("item", "q3", None),
    ]
    event = session.scalars(select(Event).where(Event.tag == "release:created")).one()
    assert event.details["content_hash"] == release.content_hash


def test_a_rationale_says_where_it_came_from(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    row = rows_of(session, create_release(session, project, actor=None))[2]
    assert row["image"] == items[0].image_sha256
    assert (row["split"], row["author_kind"], row["author"]) == ("train", "model", None)
    assert row["n_draws"] == 2
    assert row["first_draw"] == row["draws"][0]
    assert row["draws"][0] == {
        "round": 1,
        "base_model": "org/tiny-vlm",
        "base_revision": "abc123",
        "adapter": None,
        "strategy": "direct",
        "opener": ", seeing that",
        "temperature": 0.01,
        "number": 1,
        "seed": row["draws"][0]["seed"],
        "log_probability": -0.033333,
    }
    assert row["draws"][0]["seed"] > 2**62
    assert [draw["temperature"] for draw in row["draws"]] == [0.01, 0.9]
    assert (row["people_fits"], row["people_votes"], row["critic_votes"]) == (2, 2, 0)
    assert sorted(verdict["position"] for verdict in row["verdicts"]) == [1, 3]
    assert row["admissions"] == [
        {"round": 1, "policy": "majority", "judge_kind": "person", "n_fits": 2, "n_votes": 2}
    ]


def test_a_release_names_the_content_of_the_base_of_each_round(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    session.execute(delete(RoundModel))
    before = create_release(session, project, actor=None)
    assert {round_["base_digest"] for round_ in before.card["rounds"]} == {None}, "nobody noted it"
    pin = ProjectBase(
        project_id=project.id, base_model="org/tiny-vlm", asked_revision="abc123", digest="d" * 40
    )
    session.add(pin)
    session.flush()
    pinned = create_release(session, project, actor=None)
    assert {round_["base_digest"] for round_ in pinned.card["rounds"]} == {"d" * 40}

    # Who goes on with another content says nothing of the rounds before.
    pin.digest, pin.changed_at = "e" * 40, datetime.now(UTC) + timedelta(seconds=1)
    session.flush()
    changed = create_release(session, project, actor=None)
    assert {round_["base_digest"] for round_ in changed.card["rounds"]} == {None}
    assert {round_["base_digest"] for round_ in pinned.card["rounds"]} == {"d" * 40}


def test_a_release_says_which_draws_were_merged_by_the_older_rule(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    plain = create_release(session, project, actor=None)
    assert not any("merged_by_older_rule" in row for row in rows_of(session, plain))
    assert "merged_by_older_rule" not in plain.card["figures"]

    # As the migration leaves those that were there before it.
    session.execute(text("ALTER TABLE candidate DISABLE TRIGGER candidate_is_append_only"))
    session.execute(update(Candidate).values(key_version=1))
    release = create_release(session, project, actor=None)
    merged = [
        row["rationale"] for row in rows_of(session, release) if "merged_by_older_rule" in row
    ]
    assert merged == ["it is red"]  # the only one that was drawn twice
    assert release.card["figures"]["merged_by_older_rule"] == {"candidates": 1, "draws": 2}
    for format in (JSONL, HUGGINGFACE):
        write_release(session, release, format=format, out=tmp_path / format)
        readme = (tmp_path / format / "README.md").read_text(encoding="utf-8")
        assert "1 of the candidates (`merged_by_older_rule`) were drawn" in readme


def test_a_release_says_which_texts_were_cut_at_the_limit_of_tokens(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    unknown = create_release(session, project, actor=None)
    assert not any("is_cut" in row for row in rows_of(session, unknown))
    assert "cut" not in unknown.card["figures"]

    # q1's "it is red" has two draws, of which one is cut; "it looks red" has a single one.
    session.execute(update(Sample).values(is_cut=Sample.number == 1))
    release = create_release(session, project, actor=None)
    cut = {row["rationale"] for row in rows_of(session, release) if "is_cut" in row}
    assert cut == {"a ball", "it looks red"}
    draws = {
        row["rationale"]: [draw["is_cut"] for draw in row["draws"]]
        for row in rows_of(session, release)
        if row.get("draws")
    }
    assert draws == {"it is red": [True, False], "a ball": [True], "it looks red": [True]}
    assert release.card["figures"]["cut"] == 2
    for format in (JSONL, HUGGINGFACE):
        write_release(session, release, format=format, out=tmp_path / format)
        readme = (tmp_path / format / "README.md").read_text(encoding="utf-8")
        assert "2 of the candidates (`is_cut`) end at the limit of tokens" in readme
    lines = (tmp_path / HUGGINGFACE / "train" / "metadata.jsonl").read_text(encoding="utf-8")
    flat = [json.loads(line) for line in lines.splitlines()]
    assert {row["rationale"]: row["is_cut"] for row in flat} == {
        "it is red": False,
        "it looks red": True,
    }


def test_people_and_critics_are_counted_apart(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    by_text = {row.get("rationale"): row for row in rows_of(session, release)}
    looks_red = by_text["it looks red"]
    assert (looks_red["people_votes"], looks_red["critic_fits"], looks_red["critic_votes"]) == (
        0,
        1,
        1,
    )
    assert looks_red["verdicts"][0]["judge_kind"] == "critic"
    assert looks_red["verdicts"][0]["judge"].startswith("rouge:0.5")
    assert looks_red["draws"][0]["adapter"] == "d" * 64
    figures = release.card["figures"]
    assert (figures["people"]["judgements"], figures["critics"]["judgements"]) == (4, 1)
    assert (figures["people"]["none_fits"], figures["people"]["answer_is_wrong"]) == (1, 1)
    assert figures["people"]["faults"] == {"unclear": 2}
    assert figures["people"]["active_minutes"] == 2.0


def test_wrong_answer_and_none_fits_are_different_facts(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    rows = rows_of(session, create_release(session, project, actor=None))
    item = next(row for row in rows if row["kind"] == "item" and row["item"] == "q2")
    outcomes = sorted(judgement["outcome"] for judgement in item["judgements"])
    assert outcomes == ["answer_is_wrong", "none_fits"]
    # Whoever calls the answer wrong says nothing about the candidates.
    nothing = next(row for row in rows if row.get("rationale") == "nothing")
    assert (nothing["people_votes"], nothing["people_fits"]) == (1, 0)


def test_annotators_are_pseudonymous_and_the_same_in_all_releases(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    first = rows_of(session, create_release(session, project, actor=None))
    second = rows_of(session, create_release(session, project, actor=None))

    def judges(rows: list[dict[str, Any]]) -> set[str]:
        return {
            judgement["judge"]
            for row in rows
            for judgement in row.get("judgements", [])
            if judgement["judge_kind"] == "person"
        }

    assert judges(first) == judges(second)
    assert len(judges(first)) == 2
    assert all(name.startswith("annotator-") for name in judges(first))
    everything = json.dumps(first)
    for user in session.scalars(select(User).where(User.password_hash.is_(None))):
        if user.name.startswith("person-"):
            assert user.name not in everything
    assert project.pseudonym_secret not in everything
    project.pseudonym_secret = "another"
    assert not judges(first) & judges(
        rows_of(session, create_release(session, project, actor=None))
    )


def test_the_same_data_have_the_same_hash_and_other_data_another(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    first = create_release(session, project, actor=None)
    second = create_release(session, project, actor=None)
    assert (second.number, second.content_hash) == (2, first.content_hash)
    assert second.card["previous"] == {"number": 1, "content_hash": first.content_hash}
    session.execute(delete(Admission))
    assert create_release(session, project, actor=None).content_hash != first.content_hash


def test_a_round_that_is_still_judged_is_left_out(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    session.execute(update(Round).where(Round.number == 2).values(status=RoundStatus.JUDGING))
    release = create_release(session, project, actor=None)
    assert release.n_rows == 1
    assert {row["item"] for row in rows_of(session, release)} == {"q1", "q2"}
    assert [round_["number"] for round_ in release.card["rounds"]] == [1]


def test_a_withdrawn_row_leaves_a_tombstone_without_its_text(
    session: Session, tmp_path: Path
) -> None:
    project, items = make_released_project(session, tmp_path)
    first = create_release(session, project, actor=None)
    kept = next(row for row in rows_of(session, first) if row.get("rationale") == "it is red")
    items[0].excluded_at = datetime.now(UTC)
    session.execute(
        update(ProjectImage)
        .where(ProjectImage.image_sha256 == items[1].image_sha256)
        .values(withdrawn_at=datetime.now(UTC))
    )
    session.execute(delete(Admission).where(Admission.item_id == items[2].id))
    session.flush()

    second = create_release(session, project, actor=None)
    assert second.n_rows == 0
    tombstones = [row for row in rows_of(session, second) if row["kind"] == "tombstone"]
    assert sorted((row["item"], row["former_kind"], row["reason"]) for row in tombstones) == [
        ("q1", "candidate", "the item was excluded"),
        ("q1", "candidate", "the item was excluded"),
        ("q1", "item", "the item was excluded"),
        ("q1", "rationale", "the item was excluded"),
        ("q2", "candidate", "the image was withdrawn"),
        ("q2", "candidate", "the image was withdrawn"),
        ("q2", "item", "the image was withdrawn"),
        ("q3", "rationale", "the rationale is no longer admitted"),
    ]
    assert kept["row_id"] in {row["row_id"] for row in tombstones}
    assert "it is red" not in json.dumps(tombstones)
    assert second.card["figures"]["tombstones"] == 8

    # The former release still holds what it held, and the next one still names the loss.
    assert kept in rows_of(session, first)
    third = create_release(session, project, actor=None)
    assert third.content_hash == second.content_hash
    # What comes back is no longer withdrawn.
    items[0].excluded_at = None
    session.flush()
    fourth = rows_of(session, create_release(session, project, actor=None))
    back = [row for row in fourth if row["kind"] == "tombstone" and row["item"] == "q1"]
    assert back == []
    assert kept in fourth


def test_nothing_of_an_item_in_doubt_is_a_rationale(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    session.execute(
        update(RoundItem)
        .where(RoundItem.item_id == items[0].id)
        .values(state=RoundItemState.SET_ASIDE)
    )
    release = create_release(session, project, actor=None)
    kinds = {row.get("rationale"): row["kind"] for row in rows_of(session, release)}
    assert kinds["it is red"] == "candidate"
    assert release.card["figures"]["items_in_doubt"] == 1


def test_rows_of_a_release_cannot_be_changed(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    for statement in (
        "UPDATE release_row SET is_tombstone = true",
        "DELETE FROM release_row",
        "UPDATE release SET content_hash = 'x'",
        "DELETE FROM release",
    ):
        with pytest.raises(DBAPIError, match="append-only"), session.begin_nested():
            session.execute(text(statement))
    assert release.n_rows == 2


@pytest.mark.parametrize("format", [JSONL, HUGGINGFACE])
def test_a_rebuilt_release_is_the_same_bytes(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, items = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    write_release(session, release, format=format, out=tmp_path / "one")
    write_release(session, release, format=format, out=tmp_path / "one.zip")
    # Whatever happens to the project later, and whenever the files are built again.
    items[0].question = "something else?"
    items[1].excluded_at = datetime.now(UTC)
    project.name, project.licence = "Renamed", ""
    session.flush()
    session.expire_all()
    for path in (tmp_path / "store").rglob("*.png"):
        os.utime(path, (time.time() - 9999,) * 2)
    write_release(session, release, format=format, out=tmp_path / "two")
    write_release(session, release, format=format, out=tmp_path / "two.zip")
    names = stored_files(tmp_path / "one")
    assert names == stored_files(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*"):
        if path.is_file():
            assert digest(path) == digest(tmp_path / "two" / path.relative_to(tmp_path / "one"))
    assert digest(tmp_path / "one.zip") == digest(tmp_path / "two.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == len(names)


def test_jsonl_files(session: Session, tmp_path: Path) -> None:
    project, items = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    out = tmp_path / "out"
    write_release(session, release, format=JSONL, out=out)
    assert stored_files(out) == sorted(
        [
            *(f"{item.image_sha256}.png" for item in items[:3]),
            "README.md",
            "candidates.jsonl",
            "croissant.json",
            "items.jsonl",
            "rationales.jsonl",
            "release.json",
        ]
    )
    rationales = read_jsonl(out / "rationales.jsonl")
    assert [row["rationale"] for row in rationales] == ["it is red", "it looks red"]
    assert list(rationales[0])[:3] == ["row_id", "item", "item_version"]
    candidates = read_jsonl(out / "candidates.jsonl")
    assert len(candidates) == 5
    assert TRICKY in {row["rationale"] for row in candidates}
    about = read_jsonl(out / "items.jsonl")
    assert [item["facts"] for item in about] == [{"n": 0.1}, {"n": 0.2}, {"n": 3 * 0.1}]
    about_release = json.loads((out / "release.json").read_text())
    assert about_release["content_hash"] == release.content_hash


def test_the_content_hash_is_that_of_the_canonical_rows(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    session.expire_all()
    lines = [
        json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
        for row in rows_of(session, release)
    ]
    assert hashlib.sha256("".join(lines).encode()).hexdigest() == release.content_hash


def test_rows_that_are_not_those_of_the_release_are_not_written(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    session.add(ReleaseRow(release_id=release.id, number=99, item_id=1, payload={"kind": "item"}))
    session.flush()
    with pytest.raises(AppError, match="are not those it was made of"):
        write_release(session, release, format=HUGGINGFACE, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_picture_is_told_and_nothing_is_written(
    session: Session, tmp_path: Path, store: Path
) -> None:
    project, items = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    next(store.rglob(f"{items[0].image_sha256}.png")).unlink()
    with pytest.raises(SetupError, match="1 files of this release are missing in the store"):
        write_release(session, release, format=HUGGINGFACE, out=tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_a_folder_with_something_in_it_is_left_alone(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("keep")
    with pytest.raises(InvalidInput, match="Name a new or an empty folder"):
        write_release(session, release, format=JSONL, out=tmp_path / "out")
    assert stored_files(tmp_path / "out") == ["mine.txt"]


@pytest.mark.parametrize("format", [JSONL, HUGGINGFACE])
def test_an_empty_release_is_valid(session: Session, tmp_path: Path, format: ReleaseFormat) -> None:
    project, _ = import_items(session, tmp_path, n_items=1)
    release = create_release(session, project, actor=None)
    assert (release.number, release.n_rows) == (1, 0)
    assert release.content_hash == hashlib.sha256(b"").hexdigest()
    write_release(session, release, format=format, out=tmp_path / "out")
    readme = (tmp_path / "out/README.md").read_text()
    assert "0 admitted rationales for 0 of 0 judged items" in readme
    assert "No round has been judged yet." in readme
    assert "No person judged." in readme
    assert "Undefined: no item was judged by two or more people" in readme


def test_agreement_is_told_in_words_and_figures(session: Session, tmp_path: Path) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    # q1: the two differ on "a ball" only. q2: one none fits, one wrong answer.
    assert release.card["figures"]["agreement"] == {
        "on_candidates": {"n": 3, "n_same": 2, "share": 0.666667},
        "on_items": {"n": 2, "n_same": 0, "share": 0.0},
    }
    write_release(session, release, format=JSONL, out=tmp_path / "out")
    readme = (tmp_path / "out/README.md").read_text()
    assert "of 3 judged by two or more people, 2 (66.7 %) got the same verdict from all" in readme
    assert "2 people gave 4 judgements (8 verdicts on single candidates) in 2.0 minutes" in readme
    assert "In 1 of them no candidate fitted, in 1 the answer was wrong." in readme
    assert "critic" in readme
    assert "cc-by-4.0" in readme
    assert "> Pick every rationale that fits." in readme


def test_only_one_release_of_a_project_at_a_time(session: Session, tmp_path: Path) -> None:
    project, _ = import_items(session, tmp_path, n_items=1)
    with get_session_factory()() as other:
        assert try_lock_releases(other, project.id)
        with pytest.raises(Conflict, match="Another release of this project is being made"):
            create_release(session, project, actor=None)
        other.rollback()
    assert create_release(session, project, actor=None).number == 1


def test_releases_of_two_projects_do_not_mix(session: Session, tmp_path: Path) -> None:
    first, _ = make_released_project(session, tmp_path / "a")
    second, _ = make_released_project(session, tmp_path / "b")
    one = create_release(session, first, actor=None)
    two = create_release(session, second, actor=None)
    assert (one.number, two.number, one.n_rows, two.n_rows) == (1, 1, 2, 2)
    projects: set[Project] = {first, second}
    assert {release.project_id for release in (one, two)} == {found.id for found in projects}
