"""A whole round on a tiny random model: every stage for real, without Celery in between."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder
from app.lifecycle import Decision, Job, RoundStatus, RunStatus, Split
from app.models import (
    Adapter,
    Admission,
    Item,
    Prediction,
    Round,
    RoundItem,
    RoundModel,
    Run,
    Sample,
    Score,
    TrainingRow,
)
from app.queries.rounds.candidates import count_draws
from app.queries.rounds.progress import get_progress
from app.queries.rounds.training_items import list_manifest
from app.run_results import SamplingResult
from app.services.judging import opening
from tests.support.factories import make_user
from tests.support.judging import submit
from tests.support.models.families import build_llava
from tests.support.quality.anchors import judge_all
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def test_a_round_goes_from_sampling_to_a_decision(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(tiny_model), tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        round_ = session.get_one(Round, round_id)
        assert {run.job: run.error for run in session.scalars(select(Run)) if run.error} == {}
        assert round_.status is RoundStatus.COMPLETED
        assert round_.decision in set(Decision)
        # 6 train items x 1 opener x 2 temperatures x 2 draws, none of a held-out item
        assert session.scalar(select(func.count()).select_from(Sample)) == 24
        sampling = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        counts = SamplingResult.read(sampling.result).counts
        assert counts == count_draws(session, round_id) == get_progress(session, round_).drawn
        assert counts is not None
        assert counts.draws == 24
        splits = session.scalars(
            select(Item.split).join(RoundItem, RoundItem.item_id == Item.id)
        ).all()
        assert set(splits) == {Split.TRAIN}
        # baseline and new model, each on 3 validation and 3 test items
        assert session.scalar(select(func.count()).select_from(Prediction)) == 12
        names = set(session.scalars(select(Score.name).where(Score.split == Split.TEST)))
        assert {"answer_accuracy", "fit", "bleu4", "rouge_l", "cider", "human_cider"} <= names


def test_what_is_admitted_is_trained_on_and_the_adapter_is_kept(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(tiny_model), tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        admitted = set(session.scalars(select(Admission.candidate_id)))
        trained = set(
            session.scalars(
                select(TrainingRow.candidate_id).where(TrainingRow.candidate_id.is_not(None))
            )
        )
        assert admitted, "the lenient critic admits something"
        assert trained == admitted
        adapter = session.scalars(select(Adapter)).one()
        assert (adapter_folder(adapter.digest) / "meta.json").is_file()
        model = session.get_one(RoundModel, (round_id, "direct", "model"))
        assert model.new_adapter_id == adapter.id
        assert model.parent_adapter_id is None


@pytest.mark.slow
def test_corrected_texts_are_trained_on_where_the_project_says_so(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    training = {"written": True, "epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4}
    settings = tiny_settings(tiny_model, judging={"max_shown": 4}, training=training)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database.begin() as session:
        correct_everything(session, session.get_one(Round, round_id))  # this closes judging
    work_until_done(database)

    with database() as session:
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        train = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        manifest = list_manifest(session, train.id)
        written = sorted(str(row.rationale) for row in manifest if row.is_written)
        assert written == [f"because I say so {number}" for number in range(6)]
        assert train.result["n_written_rows"] == 6
        assert train.result["n_rationale_rows"] == 6
        assert round_.figures["n_written_trained"] == 6
        adapter = session.scalars(select(Adapter)).one()
        assert adapter.meta["n_written_rows"] == 6


def correct_everything(session: Session, round_: Round) -> None:
    """One person says of each item that none fits, and writes what would."""
    user = make_user(session)
    number = 0
    while (judgement := opening.open_next_item(session, round_, user)) is not None:
        edits = {judgement.shown_order[0]: f"because I say so {number}"}
        submit(session, judgement, none_fits=True, edits=edits)
        number += 1


def test_a_gold_round_trains_without_sampling(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    training = {"source": "gold", "epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4}
    settings = tiny_settings(tiny_model, training=training)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(Sample)) == 0
        jobs = set(session.scalars(select(Run.job).where(Run.status == RunStatus.SUCCEEDED)))
        assert jobs == {Job.BASELINE, Job.TRAIN, Job.EVALUATE}


def test_a_project_without_gold_rationales_gets_to_its_decision(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    """People judge; whether rationales of held-out items fit, the usual critic cannot say."""
    settings = tiny_settings(
        tiny_model,
        judging={"max_shown": 4},
        evaluation={"meteor": False},
        stop={"accuracy_floor": 0.0, "round_limit": 2},
    )
    assert settings.evaluation.critic == "rouge:0.5"
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
        for item in session.scalars(select(Item)):
            item.gold_rationales = []
    round_id = start_first_round(database, project)
    work_until_done(database)
    none_fits = iter([()])  # of the first item, which is not covered then
    with database.begin() as session:
        judge_all(
            session,
            session.get_one(Round, round_id),
            [make_user(session)],
            lambda _, shown: next(none_fits, shown),
        )
    work_until_done(database)

    with database() as session:
        assert {run.job: run.error for run in session.scalars(select(Run)) if run.error} == {}
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        assert round_.decision is Decision.CONTINUE
        assert "goes by new coverage and right answers alone" in (round_.decision_reason or "")
        predictions = session.scalars(select(Prediction)).all()
        # The base model and the new one, each on 6 items; the base model with blank pictures, too.
        assert len(predictions) == 12
        assert {(one.fits, one.fault, one.blank_fits) for one in predictions} == {(None,) * 3}
        assert sum(one.blank_rationale is not None for one in predictions) == 6
        scores = {score.name: score.n for score in session.scalars(select(Score))}
        assert scores == {"answer_accuracy": 3, "blank_answer_accuracy": 3}
