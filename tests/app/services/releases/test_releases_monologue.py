"""Monologues in a release: the looks behind a rationale, and the models of a round's roles."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import any_, delete, literal, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, JudgementStatus, RoundStatus, Split, UserKind
from app.models import (
    Adapter,
    Branch,
    Candidate,
    Judgement,
    PriorEpisode,
    Project,
    Release,
    ReleaseRow,
    Round,
    RoundModel,
    Run,
    Sample,
    TrainingRow,
    User,
)
from app.round_settings import LoopSettings
from app.services.accounts.erasure import erase_person
from app.services.accounts.pseudonyms import pseudonym
from app.services.judging.opinions import opinion_of
from app.services.judging.turns import write_turns
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from app.strategies.monologue import MonologueTrace, Outcome, Turn
from tests.support.dataset_files import own_store
from tests.support.factories import make_run, make_user
from tests.support.released_project import SETTINGS, add_adapter, make_released_project

JSONL, HUGGINGFACE = ReleaseFormat.JSONL, ReleaseFormat.HUGGINGFACE


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def rows_of(session: Session, release: Release) -> list[dict[str, Any]]:
    statement = select(ReleaseRow.payload).where(ReleaseRow.release_id == release.id)
    return list(session.scalars(statement.order_by(ReleaseRow.number)))


def become_monologues(session: Session) -> None:
    """Make every draw a monologue that asked something else, the last one the most probable."""
    for number, sample in enumerate(session.scalars(select(Sample).order_by(Sample.id)), start=1):
        sample.strategy = "monologue"
        sample.log_probability = number - 100.0
        sample.trace = MonologueTrace(
            turns=(Turn(asked=f"look {number}?", observed="red", asked_tokens=(1, 2)),),
            outcome=Outcome.EXPLAINED,
            answer="red",
            answer_tokens=(3,),
        ).model_dump(mode="json")
    session.flush()


def test_a_release_shows_the_most_probable_monologue_behind_each_rationale(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    plain = create_release(session, project, actor=None)
    assert not any("trace" in row for row in rows_of(session, plain))
    assert "traces" not in plain.card["figures"]
    become_monologues(session)
    release = create_release(session, project, actor=None)
    rows = {row.get("rationale"): row for row in rows_of(session, release)}
    best = max(
        session.scalars(select(Sample).order_by(Sample.id)),
        key=lambda sample: sample.log_probability or 0,
    )
    assert best.trace is not None
    assert {draw["strategy"] for draw in rows["it is red"]["draws"]} == {"monologue"}
    assert rows["it looks red"]["trace"] == {
        "round": 2,
        "turns": [
            {"asked": best.trace["turns"][0]["asked"], "observed": "red", "is_repeated": False}
        ],
        "answer": "red",
        "n_ways": 1,
    }
    # Two draws that asked different things.
    assert rows["it is red"]["trace"]["n_ways"] == 2
    assert "trace" not in rows["something"]
    assert release.card["figures"]["traces"] == 3


@pytest.mark.parametrize("format", [JSONL, HUGGINGFACE])
def test_both_forms_hold_the_trace_and_say_what_it_is(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = make_released_project(session, tmp_path)
    plain = create_release(session, project, actor=None)
    session.execute(delete(Sample).where(Sample.strategy != "direct"))
    become_monologues(session)
    session.execute(  # one rationale that no monologue led to
        Sample.__table__.update()
        .where(Sample.id == select(Sample.id).order_by(Sample.id.desc()).limit(1).scalar_subquery())
        .values(strategy="direct", trace=None)
    )
    release = create_release(session, project, actor=None)
    found = {}
    for name, made in (("plain", plain), ("with", release)):
        out = tmp_path / name
        write_release(session, made, format=format, out=out)
        assert ("`trace`" in (out / "README.md").read_text("utf-8")) is (name == "with")
        file = out / ("rationales.jsonl" if format is JSONL else "train/metadata.jsonl")
        lines = file.read_text("utf-8").splitlines()
        found[name] = {row["rationale"]: row for row in map(json.loads, lines)}
    assert not any("trace" in row for row in found["plain"].values())
    trace = found["with"]["it is red"]["trace"]
    turns = (trace if format is JSONL else json.loads(trace))["turns"]
    assert turns[0]["observed"] == "red"
    if format is HUGGINGFACE:
        # Every column of every row has the same type.
        assert found["with"]["it looks red"]["trace"] == ""
    else:
        assert "trace" not in found["with"]["it looks red"]


@pytest.mark.parametrize("observer_model", [None, "/home/ann/models/seer"])
def test_a_round_of_several_roles_is_one_row_of_the_card_with_both_models(
    observer_model: str | None, session: Session, tmp_path: Path
) -> None:
    project, items = make_released_project(session, tmp_path)
    settings = SETTINGS.model_dump(mode="json") | {
        "strategy": "monologue",
        "monologue": {"observer_model": observer_model},
    }
    round_ = Round(
        project_id=project.id,
        number=9,
        status=RoundStatus.TRAINING,
        settings=LoopSettings.model_validate(settings).model_dump(mode="json"),
        order_key="key",
    )
    session.add(round_)
    session.flush()
    for role, digest in (("reasoner", "e" * 64), ("observer", "f" * 64)):
        run = make_run(session, project, Job.TRAIN)
        add_adapter(session, round_, run, digest)
        made = session.scalars(
            select(RoundModel).where(
                RoundModel.round_id == round_.id, RoundModel.strategy == "direct"
            )
        ).one()
        made.strategy, made.role = "monologue", role
        adapter = session.get_one(Adapter, made.new_adapter_id)
        adapter.base_revision = f"content of the {role}"
        session.flush()
    episode = PriorEpisode(
        project_id=project.id,
        item_id=items[0].id,
        item_version=1,
        turns=[],
        answer="red",
        content_key="key",
    )
    session.add(episode)
    session.flush()
    training = make_run(session, project, Job.TRAIN, round_=round_)
    row = TrainingRow(run_id=training.id, item_id=items[0].id, prior_episode_id=episode.id)
    session.add(row)
    session.flush()
    release = create_release(session, project, actor=None)
    rounds = {entry["number"]: entry for entry in release.card["rounds"]}
    assert [entry["number"] for entry in release.card["rounds"]] == [1, 2, 9]
    assert "roles" not in rounds[1]
    assert "strategy" not in rounds[1]
    assert rounds[9]["strategy"] == "monologue"
    own = {
        "base_model": "seer",
        "base_revision": None,
        "base_digest": "content of the observer",
    }
    assert rounds[9]["roles"] == {
        "observer": {"sampled_from": None, "trained": "f" * 64, **(own if observer_model else {})},
        "reasoner": {"sampled_from": None, "trained": "e" * 64},
    }
    if observer_model:
        assert rounds[9]["base_digest"] == "content of the reasoner"
    write_release(session, release, format=JSONL, out=tmp_path / "out")
    readme = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert f"base model | observer `{'f' * 12}`, reasoner `{'e' * 12}`" in readme
    assert ("; observer: seer (content of the observer) |" in readme) == bool(observer_model)
    assert "trained on the prior too" in readme


def say_of_turns(session: Session) -> Judgement:
    """One person marks the only turn of the draw behind "it is red", and corrects it."""
    sample = session.scalars(
        select(Sample)
        .join(Candidate, Candidate.id == Sample.candidate_id)
        .where(Candidate.text == "it is red")
        .order_by(Sample.id)
    ).first()
    assert sample is not None
    judgement = session.scalars(
        select(Judgement)
        .join(Round, Round.id == Judgement.round_id)
        .join(Run, Run.round_id == Round.id)
        .where(
            Run.id == sample.run_id,
            Judgement.user_kind == UserKind.PERSON,
            Judgement.status == JudgementStatus.SUBMITTED,
            literal(sample.candidate_id) == any_(Judgement.shown_order),
        )
        .order_by(Judgement.id)
    ).first()
    assert judgement is not None
    marks = {"question": "yes", "observation": "no"}
    judgement.marks = {str(sample.id): {"1": marks}}
    judgement.corrections = {str(sample.id): {"1": "it is orange"}}
    session.flush()
    write_turns(session, judgement, opinion_of(judgement))
    return judgement


@pytest.mark.parametrize("format", [JSONL, HUGGINGFACE])
def test_both_forms_hold_what_people_said_of_turns(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = make_released_project(session, tmp_path)
    become_monologues(session)
    silent = create_release(session, project, actor=None)
    judgement = say_of_turns(session)
    release = create_release(session, project, actor=None)
    assert {"marks", "corrections"}.isdisjoint(silent.card["figures"])
    assert release.card["figures"]["marks"] == 2
    assert release.card["figures"]["corrections"] == 1
    found = {}
    for name, made in (("silent", silent), ("told", release)):
        out = tmp_path / name
        write_release(session, made, format=format, out=out)
        assert ("`corrections`" in (out / "README.md").read_text("utf-8")) is (name == "told")
        file = out / ("rationales.jsonl" if format is JSONL else "train/metadata.jsonl")
        lines = file.read_text("utf-8").splitlines()
        found[name] = {row["rationale"]: row for row in map(json.loads, lines)}
    assert not any("marks" in row for row in found["silent"].values())
    told = found["told"]["it is red"]
    read = (lambda value: value) if format is JSONL else json.loads
    marks, corrections = read(told["marks"]), read(told["corrections"])
    assert [(one["of"], one["value"]) for one in marks] == [
        ("observation", "no"),
        ("question", "yes"),
    ]
    (correction,) = corrections
    assert correction["corrected"] == "it is orange"
    assert correction["observed"] == "red"
    assert correction["judge"] == pseudonym(project, judgement.user_id)
    if format is HUGGINGFACE:
        assert found["told"]["it looks red"]["marks"] == ""
    else:
        assert "marks" not in found["told"]["it looks red"]


def branch_of(session: Session, judgement: Judgement, **made: object) -> Branch:
    """A branch of the turn that say_of_turns corrects; made where it says what came of it."""
    draw = session.get_one(Sample, int(next(iter(judgement.corrections))))
    run = make_run(session, project_of(session, judgement), Job.BRANCH)
    run.attempt = 1
    session.flush()
    branch = Branch(
        judgement_id=judgement.id,
        round_id=judgement.round_id,
        sample_id=draw.id,
        turn=1,
        correction="it is orange",
        item_id=draw.item_id,
        split=Split.TRAIN,
        run_id=run.id,
        **made,
    )
    session.add(branch)
    session.flush()
    return branch


def project_of(session: Session, judgement: Judgement) -> Project:
    return session.get_one(Project, session.get_one(Round, judgement.round_id).project_id)


MADE = {
    "run_attempt": 1,
    "seed": 11,
    "trace": MonologueTrace(
        turns=(
            Turn(asked="look 1?", observed="it is orange", asked_tokens=(1, 2)),
            Turn(asked="is it a fruit?", observed="yes", asked_tokens=(5,)),
        ),
        outcome=Outcome.EXPLAINED,
        answer="red",
        answer_tokens=(3,),
    ).model_dump(mode="json"),
    "text": "it is an orange",
    "log_probability": -1.25,
    "n_tokens": 6,
    "is_cut": False,
    "seconds": 0.5,
    "made_at": datetime(2026, 11, 29, tzinfo=UTC),
}


@pytest.mark.parametrize("format", [JSONL, HUGGINGFACE])
def test_both_forms_hold_the_branches_that_were_made(
    session: Session, tmp_path: Path, format: ReleaseFormat
) -> None:
    project, _ = make_released_project(session, tmp_path)
    become_monologues(session)
    judgement = say_of_turns(session)
    branch = branch_of(session, judgement)
    waiting = create_release(session, project, actor=None)
    assert "branches" not in waiting.card["figures"]
    for name, value in MADE.items():
        setattr(branch, name, value)
    session.flush()
    release = create_release(session, project, actor=None)
    assert release.card["figures"]["branches"] == 1
    found = {}
    for name, made in (("waiting", waiting), ("made", release)):
        out = tmp_path / name
        write_release(session, made, format=format, out=out)
        assert ("`branches`" in (out / "README.md").read_text("utf-8")) is (name == "made")
        file = out / ("rationales.jsonl" if format is JSONL else "train/metadata.jsonl")
        lines = file.read_text("utf-8").splitlines()
        found[name] = {row["rationale"]: row for row in map(json.loads, lines)}
    assert not any("branches" in row for row in found["waiting"].values())
    row = found["made"]["it is red"]
    read = (lambda value: value) if format is JSONL else json.loads
    (entry,) = read(row["branches"])
    draw = session.get_one(Sample, branch.sample_id)
    assert entry == {
        "round": entry["round"],
        "judge": pseudonym(project, judgement.user_id),
        "judge_kind": "person",
        "turn": 1,
        "asked": (draw.trace or {})["turns"][0]["asked"],
        "observed": "red",
        "corrected": "it is orange",
        "draw": {
            "opener": draw.prompt,
            "temperature": draw.temperature,
            "number": draw.number,
        },
        "turns": [{"asked": "is it a fruit?", "observed": "yes", "is_repeated": False}],
        "outcome": "explained",
        "answer": "red",
        "rationale": "it is an orange",
        "adapter": None,
        "seed": 11,
        "log_probability": -1.25,
        "is_cut": False,
    }
    key = ("round", "opener", "temperature", "number")
    draws = [tuple(one[name] for name in key) for one in read(row["draws"])]
    parent = {"round": entry["round"], **entry["draw"]}
    assert tuple(parent[name] for name in key) in draws
    if format is HUGGINGFACE:
        assert found["made"]["it looks red"]["branches"] == ""
    else:
        assert "branches" not in found["made"]["it looks red"]


def test_branches_of_an_erased_person_are_in_no_later_release(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    become_monologues(session)
    judgement = say_of_turns(session)
    branch_of(session, judgement, **MADE)
    before = create_release(session, project, actor=None)
    author = session.get_one(User, judgement.user_id)
    admin = make_user(session, is_admin=True)
    erase_person(session, author, typed_name=author.name, actor=admin)
    after = create_release(session, project, actor=None)
    assert any("branches" in row for row in rows_of(session, before))
    assert not any("branches" in row for row in rows_of(session, after))
    assert "orange" not in json.dumps(rows_of(session, after))
