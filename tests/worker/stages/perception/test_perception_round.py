"""Rounds of interactive perception on a tiny random model: an adapter, and draws that say where it
looked."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder
from app.lifecycle import Job, RoundStatus
from app.models import (
    Adapter,
    Item,
    OcclusionMap,
    Project,
    Round,
    RoundCandidate,
    Run,
    Sample,
)
from app.run_results import RoundFigures, SamplingResult, TrainingResult
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from app.strategies.perception import PerceptionTrace
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.ml.model.modules.files import read_list

pytestmark = pytest.mark.slow


def test_it_aligns_once_and_then_asks_where_to_look(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    build_llava(tmp_path / "model")
    settings = tiny_settings(
        tmp_path / "model",
        strategy="perception",
        perception={"alignment_steps": 1, "detach": "on"},
        stop={"accuracy_floor": 0.0, "round_limit": 2},
    )
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
        for item in session.scalars(select(Item)):
            item.question = "what color is the thing in the top left?"
    start_first_round(database, project)
    work_until_done(database)
    with database.begin() as session:
        second = rounds.create_round(
            session, session.get_one(Project, project.id), settings=settings, actor=None
        )
        start_round(session, second, actor=None)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert {one.status for one in session.scalars(select(Round))} == {RoundStatus.COMPLETED}
        by_round: dict[int, list[Sample]] = {}
        for sample, number in session.execute(
            select(Sample, Round.number)
            .join(Run, Run.id == Sample.run_id)
            .join(Round, Round.id == Run.round_id)
        ):
            by_round.setdefault(number, []).append(sample)
        assert all(sample.trace is None for sample in by_round[1]), "the base asks nothing"
        for sample in by_round[2]:
            (look,) = PerceptionTrace.model_validate(sample.trace).looks
            assert (look.rows, look.columns, look.occlusion) == (2, 2, None)
        check_maps(session, by_round[2])
        trained = session.scalars(select(Run).where(Run.job == Job.TRAIN).order_by(Run.id)).all()
        first, later = (TrainingResult.read(run.result) for run in trained)
        assert first.n_first_rows > 0
        assert later.n_first_rows == 0, "only a fresh adapter has a first stage"
        assert first.are_requests_cut
        assert {name for step in first.curve for name in step.losses} == {"answer", "rationale"}
        adapter = session.scalars(select(Adapter).order_by(Adapter.id)).first()
        assert adapter is not None
        held = read_list(adapter_folder(adapter.digest)).settings
        assert {one.kind for one in held.values()} == {"rows", "perception"}


def check_maps(session: Session, samples: list[Sample]) -> None:
    """Of each shown candidate the most probable draw is measured, and of no other one."""
    shown = set(session.scalars(select(RoundCandidate.candidate_id).where(RoundCandidate.is_shown)))
    best: dict[int, Sample] = {}
    for sample in sorted(samples, key=lambda one: (-(one.log_probability or 0), one.id)):
        if sample.candidate_id in shown:
            best.setdefault(sample.candidate_id or 0, sample)
    maps = session.scalars(select(OcclusionMap)).all()
    assert {one.sample_id for one in maps} == {one.id for one in best.values()}
    assert maps
    for one in maps:
        assert (one.turn, one.n_rows, one.n_columns, len(one.falls)) == (1, 2, 2, 4)
        assert 0 < one.probability < 1
        assert one.seconds > 0
    result = session.scalars(
        select(Run.result).where(Run.job == Job.GENERATE).order_by(Run.id.desc()).limit(1)
    ).one()
    told = SamplingResult.read(result).maps
    assert told is not None
    assert told.looks == len(maps)
    assert told.seconds == pytest.approx(sum(one.seconds for one in maps))
    newest = session.scalars(select(Round).order_by(Round.number.desc()).limit(1)).one()
    assert RoundFigures.read(newest.figures).maps == told
