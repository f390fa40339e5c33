"""A project whose train images came without questions, on a tiny random model."""

from pathlib import Path

import pytest
from PIL import Image as PillowImage
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Decision, Job, QuestionState, RoundStatus, Split
from app.models import AskedImage, AskedQuestion, Item, ProjectImage, Round, Run, Sample
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.services.dataset.imports import import_dataset, read_dataset
from app.services.judging.questions.items import keep_as_item
from tests.support.factories import make_project, make_user
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import start_first_round, tiny_settings, work_until_done

pytestmark = pytest.mark.slow


def asking_settings(model: Path) -> LoopSettings:
    return tiny_settings(
        model,
        strategy="self_questioning",
        judging={"judges": "people", "overlap": 1, "max_shown": 4},
        auto_advance=True,
        stop={"accuracy_floor": 0.0, "round_limit": 5},
        self_questioning={
            "n_questions": 6,
            "question_tokens": 100,
            "description_tokens": 4,
            "temperature": 2.0,
        },
    )


def test_train_images_are_asked_about_and_their_questions_become_items(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    build_llava(tmp_path / "model")
    folder = tmp_path / "pictures"
    for number, split in enumerate(["train", "train", "train", "test"]):
        path = folder / split / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.new("RGB", (56, 56), (60 * number, 90, 30)).save(path)
    with database.begin() as session:
        project = make_project(session, settings=asking_settings(tmp_path / "model"))
        with read_dataset([folder]) as parsed:
            report = import_dataset(session, project, parsed, update=False, actor=None)
        assert report.picture_splits == {"test": 1, "train": 3}
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert not session.scalars(select(Run).where(Run.job == Job.TRAIN)).all()
        assert not session.scalars(select(Sample)).all()
        asked = session.scalars(select(AskedImage)).all()
        train = session.scalars(
            select(ProjectImage.image_sha256).where(ProjectImage.split == Split.TRAIN)
        ).all()
        assert sorted(one.image_sha256 for one in asked) == sorted(train)
        round_ = session.get_one(Round, round_id)
        assert (round_.status, round_.decision) == (RoundStatus.COMPLETED, Decision.CONTINUE)
        tally = RoundFigures.read(round_.figures).questions
        assert tally is not None
        assert (tally.n_images, tally.n_drawn) == (3, 18)
        assert tally.n_waiting == tally.n_proposed > 0
    keep_one(database)
    following = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        item = session.scalars(select(Item)).one()
        sampled = session.scalars(select(Sample)).all()
        assert {one.item_id for one in sampled} == {item.id}
        assert session.get_one(Round, following).status is RoundStatus.JUDGING


def keep_one(database: sessionmaker[Session]) -> None:
    """Make an item of one question, as whoever keeps it does."""
    with database.begin() as session:
        question = session.scalars(select(AskedQuestion).limit(1)).one()
        item_id = keep_as_item(
            session, question, split=Split.TRAIN, wording="what color is it?", answer="red",
            facts=None,
        )  # fmt: skip
        question.state, question.decided_by_id = QuestionState.KEPT, make_user(session).id
        question.item_id = item_id
