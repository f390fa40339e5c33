"""Evaluations of a tiny random model, with and without the pictures of the items."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RunStatus, Split
from app.models import Image, Prediction, Run, Score
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.blank_pictures import blank_pictures

GOLD = {"source": "gold", "epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def work_on_a_round(
    database: sessionmaker[Session], model: Path, tmp_path: Path, blank_image: str
) -> None:
    """A baseline, a training on gold rationales and an evaluation: no sampling needed."""
    evaluation = {"critic": "rouge:0.01", "meteor": False, "blank_image": blank_image}
    settings = tiny_settings(model, training=GOLD, evaluation=evaluation)
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    start_first_round(database, project)
    work_until_done(database)


def names_by_job(session: Session, split: Split = Split.TEST) -> dict[Job, set[str]]:
    names: dict[Job, set[str]] = {}
    rows = session.execute(
        select(Run.job, Score.name).join(Run, Run.id == Score.run_id).where(Score.split == split)
    )
    for job, name in rows:
        names.setdefault(job, set()).add(name)
    return names


def test_the_base_model_is_also_asked_with_blank_pictures(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    work_on_a_round(database, tiny_model, tmp_path, "baseline")

    with database() as session:
        assert set(session.scalars(select(Run.status))) == {RunStatus.SUCCEEDED}
        names = names_by_job(session)
        blank = {"blank_answer_accuracy", "blank_fit", "blank_bleu4", "blank_cider"}
        assert blank <= names[Job.BASELINE]
        assert not blank & names[Job.EVALUATE]
        for own in names.values():
            assert {"human_cider", "leave_one_out_cider"} <= own
        # One row per item all the same: what a blank picture brought is never taken for the rest.
        assert session.scalar(select(func.count()).select_from(Prediction)) == 12
        asked = session.scalars(
            select(Run.job)
            .join(Prediction, Prediction.run_id == Run.id)
            .where(Prediction.blank_answer.is_not(None))
        ).all()
        assert asked == [Job.BASELINE] * 6
        scores = session.scalars(
            select(Score).where(Score.name.in_(["answer_accuracy", "blank_answer_accuracy"]))
        ).all()
        assert {score.n for score in scores} == {3}


@pytest.mark.parametrize(
    ("choice", "n_asked"), [("never", 0), pytest.param("always", 12, marks=pytest.mark.slow)]
)
def test_blank_pictures_are_asked_of_no_model_or_of_all(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path, choice: str, n_asked: int
) -> None:
    work_on_a_round(database, tiny_model, tmp_path, choice)

    with database() as session:
        asked = select(func.count()).where(Prediction.blank_fits.is_not(None))
        assert session.scalar(asked) == n_asked
        for own in names_by_job(session).values():
            assert ("blank_fit" in own) is (choice == "always")


@pytest.mark.slow
def test_only_the_picture_differs_between_both_askings(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    """Items whose own picture is the blank one get the same words twice."""
    settings = tiny_settings(
        tiny_model,
        training=GOLD,
        evaluation={"critic": "rouge:0.01", "meteor": False, "blank_image": "always"},
    )
    with database.begin() as session:
        colors = {"grey": (127, 127, 127)}
        project = make_picture_project(session, settings, tmp_path, colors=colors)
    start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        predictions = session.scalars(select(Prediction)).all()
        assert len(predictions) == 12
        for prediction in predictions:
            assert prediction.blank_answer == prediction.answer
            assert prediction.blank_rationale == prediction.rationale
            assert prediction.blank_fits == prediction.fits


def test_a_blank_picture_is_as_large_as_the_items_own_and_goes_with_the_work() -> None:
    wide = Image(sha256="0" * 64, media_type="image/png", width=80, height=20, n_bytes=1)
    with blank_pictures() as path_of:
        path = path_of(wide)
        assert path_of(wide) == path
        with PillowImage.open(path) as picture:
            assert picture.size == (80, 20)
            assert picture.convert("RGB").getcolors() == [(1600, (127, 127, 127))]
    assert not path.exists()
