"""A round of self-questioning on a tiny random model: candidates, questions and an adapter."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session, sessionmaker

from app.kit.settings import get_settings
from app.kit.storage import adapter_folder
from app.lifecycle import Job, QuestionState, RoundStatus, Split
from app.models import Adapter, AskedImage, AskedQuestion, Item, Round, Run, Sample
from app.run_results import RoundFigures, TrainingResult
from tests.support.factories import make_user
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until,
    work_until_done,
)
from worker.ml.model.modules.files import read_list

pytestmark = pytest.mark.slow

SAMPLING = {
    "temperatures": [0.9],
    "n_samples": 6,
    "max_new_tokens": 16,
    "items_per_shard": 3,
    "top_k_share": 1.0,
}
"""Enough for a random model to say something that is admitted."""

ASKING = {
    "n_questions": 3,
    "question_tokens": 60,
    "description_tokens": 4,
    "temperature": 1.5,
    "prototypes": True,
}
"""Enough for a random model to ask something that it can answer."""


def test_it_explains_asks_and_learns_dialogues(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    build_llava(tmp_path / "model")
    settings = tiny_settings(
        tmp_path / "model",
        strategy="self_questioning",
        sampling=SAMPLING,
        self_questioning={
            **ASKING,
            "probe_questions": 1,
            "delta": 1.0,
        },
    )
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        round_ = session.get_one(Round, round_id)
        assert round_.status is RoundStatus.COMPLETED
        samples = session.scalars(select(Sample)).all()
        assert len(samples) == 36
        traces = [sample.trace for sample in samples if sample.trace]
        assert traces
        assert all(trace["kind"] == "self_questioning" for trace in traces)
        images = session.scalars(select(AskedImage)).all()
        train = session.scalars(select(Item.image_sha256).where(Item.split == Split.TRAIN)).all()
        assert sorted(one.image_sha256 for one in images) == sorted(set(train))
        questions = session.scalars(select(AskedQuestion)).all()
        assert {one.state for one in questions} <= {QuestionState.PROPOSED}
        assert any(one.answer for one in questions), "the model answers what it asks"
        tally = RoundFigures.read(round_.figures).questions
        assert tally is not None
        assert (tally.n_images, tally.n_drawn) == (len(images), 3 * len(images))
        assert tally.n_proposed == len(questions)
        trained = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        result = TrainingResult.read(trained.result)
        assert result.curve[-1].losses.keys() >= {"answer", "rationale", "question"}
        adapter = session.scalars(select(Adapter)).one()
        held = read_list(adapter_folder(adapter.digest)).settings
        assert {one.kind for one in held.values()} == {"rows", "prototypes", "tuned"}


def test_it_learns_captions_first_and_to_ask_less_what_was_dropped(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    build_llava(tmp_path / "model")
    settings = tiny_settings(
        tmp_path / "model",
        strategy="self_questioning",
        sampling=SAMPLING,
        self_questioning={
            **ASKING,
            "caption_epochs": 2,
            "dropped_weight": 1.0,
        },
    )
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
        session.execute(update(Item).values(facts={"caption": "there is a red cube"}))
    start_first_round(database, project)
    work_until(database, Job.TRAIN)
    with database.begin() as session:
        n_dropped = len(session.scalars(select(AskedQuestion.id)).all())
        assert n_dropped
        by = make_user(session).id
        values = {"state": QuestionState.DROPPED, "decided_by_id": by}
        session.execute(update(AskedQuestion).values(**values))
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        trained = session.scalars(select(Run).where(Run.job == Job.TRAIN)).one()
        result = TrainingResult.read(trained.result)
        assert (result.n_dropped, result.n_first_rows) == (n_dropped, 6)
        assert "dropped" in {name for step in result.curve for name in step.losses}
        adapter = session.scalars(select(Adapter)).one()
        assert adapter.meta["n_dropped"] == n_dropped
        state = get_settings().store_path / "state"
        assert not list(state.glob("train-*")), "neither training leaves a state behind"
