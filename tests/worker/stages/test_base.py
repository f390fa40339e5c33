"""A round's base model is proved before anything is sampled, and pinned by its content."""

import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import Conflict
from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import (
    Adapter,
    Event,
    ModelProof,
    Project,
    ProjectBase,
    Round,
    RoundModel,
    Run,
    Sample,
)
from app.queries.runs.runs import find_latest_run
from app.round_settings import LoopSettings
from app.services.rounds import bases, rounds
from app.services.rounds.starting import start_round
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.host.models import forget_vlm
from worker.ml.model.loading import folder_digest
from worker.stages.refusals import ModelRefused

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

WEIGHTS = "model.safetensors"


def blind(model: Path) -> None:
    """No picture arrives any more."""
    tensors = load_file(model / WEIGHTS)
    spoilt = {n: t * 0 if "multi_modal_projector" in n else t for n, t in tensors.items()}
    save_file(spoilt, model / WEIGHTS, metadata={"format": "pt"})
    forget_vlm()


def next_round(database: sessionmaker[Session], project_id: int) -> int:
    with database.begin() as session:
        project = session.get_one(Project, project_id)
        settings = LoopSettings.model_validate(project.settings)
        round_ = rounds.create_round(session, project, settings=settings, actor=None)
        start_round(session, round_, actor=None)
        return round_.id


def error_of(database: sessionmaker[Session], round_id: int, job: Job = Job.GENERATE) -> str:
    with database() as session:
        run = find_latest_run(session, round_id, job)
        assert run is not None
        assert run.status is RunStatus.FAILED
        assert run.error is not None
        return run.error


def test_a_model_is_proved_once_and_refused_before_anything_is_sampled(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    build_llava(model)
    whole = shutil.copytree(model, tmp_path / "whole")
    blind(model)
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(model), tmp_path, n_train=2)
    round_id = start_first_round(database, project)
    for _ in range(2):  # sampling, then the baseline
        with pytest.raises(ModelRefused):
            work_until_done(database)
    error = error_of(database, round_id)
    assert "does not see the pictures: another one changes its logits by 0" in error
    assert "\n" not in error
    with database() as session:
        refused = session.scalars(select(ModelProof)).one()
        assert refused.reason == error
        assert [line["name"] for line in refused.measured["lines"]] == ["weights", "picture"]
        assert session.scalar(select(func.count()).select_from(Sample)) == 0
        # A model that was refused may be mended: nothing is pinned yet.
        assert session.scalars(select(ProjectBase)).all() == []
    shutil.copy(whole / WEIGHTS, model / WEIGHTS)
    forget_vlm()
    with database.begin() as session:
        rounds.retry_round(session, session.get_one(Round, round_id), actor=None)
    work_until_done(database)
    with database() as session:
        run = find_latest_run(session, round_id, Job.GENERATE)
        assert run is not None
        assert run.status is RunStatus.SUCCEEDED
        held = session.scalars(select(ModelProof).where(ModelProof.reason.is_(None))).one()
        assert held.base_digest == folder_digest(model)
        assert "transformers" in held.libraries
        assert [line["name"] for line in held.measured["lines"]] == [
            "weights", "picture", "progress", "agreement", "lora", "learning",
        ]  # fmt: skip
        when = held.created_at
        pinned = session.scalars(select(ProjectBase)).one()
        assert pinned.digest == held.base_digest
    with database.begin() as session:
        other = make_picture_project(session, tiny_settings(model), tmp_path, n_train=2)
    start_first_round(database, other)
    work_until_done(database)
    with database() as session:
        again = session.scalars(select(ModelProof).where(ModelProof.reason.is_(None))).one()
        assert again.created_at == when  # not measured again


def test_a_base_that_was_replaced_is_refused_until_an_administrator_goes_on_with_it(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    model = tmp_path / "model"
    build_llava(model)
    gold = {"epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4, "source": "gold"}
    settings = tiny_settings(model, training=gold)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path, n_train=2)
    first = start_first_round(database, project)
    work_until_done(database)
    before = folder_digest(model)
    with database() as session:
        assert session.get_one(Round, first).status is RoundStatus.COMPLETED
        adapter = session.scalars(select(Adapter)).one()
        assert adapter.base_revision == before
        assert not bases.has_found_another(session, session.get_one(Round, first))

    shutil.rmtree(model)
    build_llava(model, seed=1)
    after = folder_digest(model)
    forget_vlm()
    second = next_round(database, project.id)
    with pytest.raises(bases.BaseChanged):
        work_until_done(database)
    error = error_of(database, second, Job.TRAIN)
    assert before in error
    assert after in error
    assert "go on with the changed base" in error
    with database.begin() as session:
        round_ = session.get_one(Round, second)
        assert bases.has_found_another(session, round_)
        bases.go_on_with_changed_base(session, round_, actor=None)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, second).status is RoundStatus.COMPLETED
        newest = session.scalars(select(Adapter).order_by(Adapter.id.desc()).limit(1)).one()
        assert (newest.base_revision, newest.parent_id) == (after, None)
        event = session.scalars(select(Event).where(Event.tag == "base:changed")).one()
        assert (event.details["old"], event.details["new"]) == (before, after)
        baselines = session.scalars(
            select(Run).where(Run.job == Job.BASELINE).order_by(Run.id)
        ).all()
        assert [run.round_id for run in baselines] == [first, second]
        model_row = session.scalars(select(RoundModel).where(RoundModel.round_id == second)).one()
        assert model_row.parent_adapter_id is None
    with database.begin() as session, pytest.raises(Conflict):
        bases.go_on_with_changed_base(session, session.get_one(Round, second), actor=None)
