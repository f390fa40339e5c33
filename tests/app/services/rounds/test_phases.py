"""A status waits for all runs of its phase, whatever their strategy and role."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.events import read_event
from app.kit.errors import Conflict
from app.lifecycle import Decision, Job, RoundStatus, Split
from app.models import Adapter, Event, Project, Round, RoundModel, Run
from app.queries.rounds.progress import get_progress
from app.queries.rounds.rounds import find_newest_adapter, get_round_model
from app.queries.runs.runs import claim_run
from app.run_results import SamplingResult
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.rounds import retry_round
from app.services.runs import runs
from app.strategies import Strategy
from app.strategies.direct import DIRECT, MODEL
from app.strategies.monologue import MONOLOGUE, OBSERVER
from app.web.language.languages import translate
from tests.support.factories import make_item, make_project, make_round, make_run

OTHER = "observer"


@pytest.fixture
def project(session: Session) -> Project:
    project = make_project(session)
    make_item(session, project, split=Split.VALIDATION)
    return project


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    """A round in training, with two models."""
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    for role in (MODEL, OTHER):
        session.add(RoundModel(round_id=round_.id, strategy=DIRECT.name, role=role))
    session.flush()
    return round_


def train(session: Session, round_: Round, role: str, strategy: Strategy = DIRECT) -> Run:
    return runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.TRAIN,
        strategy=strategy.name,
        role=role,
    )


def claim(session: Session, run: Run) -> int:
    attempt = claim_run(session, run.id, worker_id=None, stale_after=runs.stale_after())
    assert attempt is not None
    session.refresh(run)
    return attempt


def finish(session: Session, run: Run) -> None:
    finish_round_run(session, run.id, attempt=claim(session, run), result=SamplingResult())


def test_the_training_of_each_role_has_to_end(session: Session, round_: Round) -> None:
    first, second = (train(session, round_, role) for role in (MODEL, OTHER))
    finish(session, first)
    assert round_.status is RoundStatus.TRAINING
    finish(session, second)
    assert round_.status is RoundStatus.EVALUATING


def test_one_that_failed_is_waited_for_until_its_retry_ends(
    session: Session, round_: Round
) -> None:
    first, second = (train(session, round_, role) for role in (MODEL, OTHER))
    runs.fail_run(session, first.id, attempt=claim(session, first), error="the disk is full")
    finish(session, second)
    assert round_.status is RoundStatus.TRAINING
    again = retry_round(session, round_, actor=None)
    assert (again.strategy, again.role) == (DIRECT.name, MODEL)
    finish(session, again)
    assert round_.status is RoundStatus.EVALUATING


def test_no_status_waits_for_a_baseline(session: Session, project: Project, round_: Round) -> None:
    finish(session, make_run(session, project, Job.BASELINE, round_=round_))
    assert round_.status is RoundStatus.TRAINING


def test_one_run_of_a_role_lives_at_a_time(session: Session, round_: Round) -> None:
    train(session, round_, MODEL)
    train(session, round_, OTHER)
    with pytest.raises(Conflict, match="already queued or running"):
        train(session, round_, OTHER)
    for _ in range(2):  # imports belong to no round, and to no role
        runs.request_run(session, project_id=round_.project_id, job=Job.IMPORT)


def test_the_page_shows_the_newest_run_of_each_role(session: Session, round_: Round) -> None:
    shown = [train(session, round_, role) for role in (MODEL, OTHER)]
    assert [entry.run for entry in get_progress(session, round_).runs] == shown


def test_each_role_has_models_of_its_own(session: Session, project: Project, round_: Round) -> None:
    for role in (MODEL, OTHER):
        run = make_run(session, project, Job.IMPORT)
        adapter = Adapter(
            project_id=project.id,
            run_id=run.id,
            run_attempt=run.attempt,
            base_model="org/model",
            base_revision="main",
            digest=role,
        )
        session.add(adapter)
        session.flush()
        get_round_model(
            session, round_.id, strategy=DIRECT.name, role=role
        ).new_adapter_id = adapter.id
    round_.status, round_.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    session.flush()
    for role in (MODEL, OTHER):
        found = find_newest_adapter(
            session, project.id, "org/model", strategy=DIRECT.name, role=role
        )
        assert found is not None
        assert found.digest == role


@pytest.mark.parametrize(
    ("strategy", "role", "told"),
    [(MONOLOGUE, OBSERVER, "Training (observer) queued"), (DIRECT, MODEL, "Training queued")],
)
def test_the_history_names_the_role_where_there_are_several(
    session: Session, round_: Round, strategy: Strategy, role: str, told: str
) -> None:
    train(session, round_, role, strategy)
    event = session.scalars(select(Event).where(Event.round_id == round_.id)).one()
    assert translate(read_event(event.tag, event.details).describe()) == told
