"""Rounds that have made an adapter, for tests that do not ask it anything, and try-outs of them."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import Adapter, Item, Project, Round, RoundModel, Run
from app.queries.runs.runs import claim_run
from app.round_settings import LoopSettings
from app.services.rounds import tryouts
from app.services.rounds.tryouts import Tried, Wish
from app.strategies import DIRECT, Strategy
from tests.support.factories import make_round, make_run


def make_trained_round(
    session: Session, project: Project, *, number: int, strategy: Strategy = DIRECT
) -> Round:
    """A round that is over and has trained an adapter of a strategy's first role; no file of it
    lies in the store."""
    settings = LoopSettings.model_validate(project.settings)
    round_ = make_round(
        session, project, number=number, status=RoundStatus.CANCELLED, settings=settings
    )
    run = make_run(session, project, Job.TRAIN, round_=round_, status=RunStatus.RUNNING)
    adapter = Adapter(
        project_id=project.id,
        run_id=run.id,
        run_attempt=run.attempt,
        base_model=settings.base_model,
        base_revision="abc",
        digest=f"{number:064x}",
    )
    session.add(adapter)
    session.flush()
    session.add(
        RoundModel(
            round_id=round_.id,
            strategy=strategy.name,
            role=strategy.roles[0],
            new_adapter_id=adapter.id,
        )
    )
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()
    return round_


def make_tryout(session: Session, project: Project, *, seed: int = 0) -> Run:
    """Ask for a try-out of the base and the newest trained round on the first item."""
    item = session.scalars(
        select(Item).where(Item.project_id == project.id).order_by(Item.id).limit(1)
    ).one()
    newest = max(tryouts.list_sides(session, project))
    wish = Wish(opener=", seeing that", seed=seed, sides=(tryouts.BASE, newest))
    return tryouts.request_tryout(session, project, wish, item=item, actor=None)


def finish_tryout(session: Session, run: Run) -> None:
    """Do as a worker does that has asked both models."""
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    session.refresh(run)
    said = (
        Tried(answer="blue", rationale="it is the sea", is_right=False, seconds=0.8),
        Tried(answer="red", rationale="it is a rose", is_right=True, adapters=("ab" * 32,)),
    )
    tryouts.store_tried(session, run.id, attempt=attempt, tried=said)
