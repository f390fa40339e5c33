"""Two models tried on one picture, with a tiny random one: what they say, and apart from rounds."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RunStatus, Split
from app.models import (
    Candidate,
    Item,
    Prediction,
    Project,
    Run,
    Sample,
    TrainingRow,
)
from app.queries.runs.runs import claim_run
from app.round_settings import LoopSettings
from app.services.projects.guidelines_pictures import verify_picture
from app.services.rounds import tryouts
from app.services.rounds.tryouts import Tried, TryoutResult, Wish
from app.services.runs import runs
from tests.support.factories import png_bytes
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.host.execute import execute
from worker.host.heart import Heart

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def settings(tiny_model: Path) -> LoopSettings:
    return tiny_settings(tiny_model)


@pytest.fixture
def project_id(database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path) -> int:
    """A project whose first round has trained and evaluated an adapter."""
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    start_first_round(database, project)
    work_until_done(database)
    return project.id


def ask(database: sessionmaker[Session], project_id: int, item_id: int | None, wish: Wish) -> int:
    with database.begin() as session:
        project = session.get_one(Project, project_id)
        item = session.get_one(Item, item_id) if item_id else None
        picture = None if item else verify_picture(png_bytes((9, 200, 9)), "own.png")
        run = tryouts.request_tryout(session, project, wish, item=item, picture=picture, actor=None)
        return run.id


def said(database: sessionmaker[Session], run_id: int) -> Sequence[Tried]:
    with database() as session:
        run = session.get_one(Run, run_id)
        assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
        return TryoutResult.read(run.result).tried


def rows(session: Session) -> list[int]:
    tables = (Candidate, Sample, Prediction, TrainingRow)
    return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_an_item_says_here_what_it_says_in_the_evaluations(
    database: sessionmaker[Session], project_id: int, settings: LoopSettings
) -> None:
    with database() as session:
        before = rows(session)
        item = session.scalars(
            select(Item).where(Item.split == Split.VALIDATION).order_by(Item.id).limit(1)
        ).one()
        wish = Wish(
            opener=settings.sampling.openers[0],
            temperature=settings.evaluation.temperature,
            seed=settings.seed,
            sides=(0, 1),
        )
    run_id = ask(database, project_id, item.id, wish)
    work_until_done(database)
    base, trained = said(database, run_id)
    with database() as session:
        predicted = dict(
            session.execute(
                select(Run.job, Prediction)
                .join(Run, Run.id == Prediction.run_id)
                .where(Prediction.item_id == item.id)
            ).all()
        )
        for tried, job in ((base, Job.BASELINE), (trained, Job.EVALUATE)):
            prediction = predicted[job]
            assert (tried.answer, tried.rationale) == (prediction.answer, prediction.rationale)
            assert tried.is_right == prediction.answer_is_right
        assert rows(session) == before
    assert base.adapters == ()
    assert len(trained.adapters) == 1


def test_a_picture_that_was_sent_is_explained(
    database: sessionmaker[Session], project_id: int
) -> None:
    wish = Wish(
        question="what color is it?",
        answer="green",
        explains=True,
        opener=", because",
        temperature=0.9,
        seed=3,
        sides=(1, 0),
    )
    run_id = ask(database, project_id, None, wish)
    work_until_done(database)
    trained, base = said(database, run_id)
    assert {trained.answer, base.answer} == {"green"}
    assert trained.is_right is None
    assert trained.error is None
    assert trained.adapters


def test_another_worker_goes_on_where_one_died_and_the_first_writes_nothing(
    database: sessionmaker[Session], project_id: int
) -> None:
    wish = Wish(question="what is it?", opener=", since", sides=(0, 1))
    run_id = ask(database, project_id, None, wish)
    with database.begin() as session:
        dead = claim_run(session, run_id, worker_id=None, stale_after=timedelta(minutes=1))
        assert dead is not None
        # It was not heard of since.
        session.get_one(Run, run_id).heartbeat_at = func.now() - timedelta(hours=1)
    work_until_done(database)
    assert len(said(database, run_id)) == 2
    with database.begin() as session, pytest.raises(Exception, match="taken over"):
        tryouts.store_tried(session, run_id, attempt=dead, tried=[])


def test_one_that_was_cancelled_or_removed_is_left_alone(
    database: sessionmaker[Session], project_id: int
) -> None:
    wish = Wish(question="what is it?", opener=", since", sides=(0, 1))
    run_id = ask(database, project_id, None, wish)
    with database.begin() as session:
        run = session.get_one(Run, run_id)
        runs.cancel_run(session, run, actor=None)
    heart = Heart(["gpu"], "cpu")
    heart.beat()
    execute(run_id, heart)
    with database.begin() as session:
        run = session.get_one(Run, run_id)
        assert run.status is RunStatus.CANCELLED
        tryouts.remove_tryout(session, run)
    # Its message may still come.
    execute(run_id, heart)
