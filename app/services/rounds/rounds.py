"""The round as an object: made, retried and cancelled. Starting, moving on and closing have files
of their own.

generating -> judging -> closing -> training -> evaluating -> completed (`PHASES` in lifecycle.py).
"""

import secrets

from sqlalchemy.orm import Session

from app.events.rounds import RoundCreated
from app.kit.sentences import Sentence
from app.lifecycle import CLOSED_ROUND, JUDGEABLE_ROUND, LIVE_RUN, RoundStatus
from app.models import Project, Round, RoundModel, Run, User
from app.queries.rounds import rounds as queries
from app.queries.rounds.bases import find_pins
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.services.archived import require_open
from app.services.events import record
from app.services.refusals import NothingToRetry, RoundOpen
from app.services.round_status import advance
from app.services.runs import runs
from app.strategies import get_strategy, list_bases


def settings_of(round_: Round) -> LoopSettings:
    """Returns the settings that the round was made with."""
    return LoopSettings.model_validate(round_.settings)


def create_round(
    session: Session, project: Project, *, settings: LoopSettings, actor: User | None
) -> Round:
    """Add the next round of a project with its settings frozen; returns it.

    Raises Conflict while another round of the project is open.
    """
    require_open(project)
    last = queries.find_last_round(session, project.id)
    round_ = Round(
        project_id=project.id,
        number=last.number + 1 if last else 1,
        status=RoundStatus.DRAFT,
        settings=settings.model_dump(mode="json"),
        order_key=secrets.token_hex(16),
        figures={},
    )
    if not queries.add_round(session, round_):
        raise RoundOpen(
            Sentence("This project already has an open round. Complete or cancel it first.")
        )
    _add_models(session, round_, settings)
    record(
        session,
        RoundCreated(number=round_.number),
        project_id=project.id,
        round_id=round_.id,
        actor=actor,
    )
    session.flush()  # callers go on with the model row
    return round_


def _add_models(session: Session, round_: Round, settings: LoopSettings) -> None:
    """Let the round go on, for each role of its strategies, from the newest adapter on its base."""
    pins = find_pins(session, round_.project_id, list_bases(settings))
    sitting_out = find_sitting_out(session, round_, settings)
    for strategy in map(get_strategy, settings.shares):
        for role in strategy.roles:
            base = strategy.base_of(settings, role)
            parent = queries.find_newest_adapter(
                session,
                round_.project_id,
                base.name,
                pins.get(base),
                strategy=strategy.name,
                role=role,
            )
            session.add(
                RoundModel(
                    round_id=round_.id,
                    strategy=strategy.name,
                    role=role,
                    parent_adapter_id=parent.id if parent else None,
                    sits_out=strategy.name in sitting_out,
                )
            )


def find_sitting_out(session: Session, round_: Round, settings: LoopSettings) -> frozenset[str]:
    """Returns the strategies of a round that are not sampled in it: those whose answers were under
    the floor after the round before. Where all were, all take part, as one alone does."""
    before = queries.find_round_before(session, round_)
    figures = RoundFigures.read(before.figures if before else {}).strategies
    under = frozenset(one.strategy for one in figures if one.is_under_floor) & set(settings.shares)
    return under if len(under) < len(settings.shares) else frozenset()


def retry_round(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Run what failed of a round again, from finished shards or a saved state: a baseline as well
    as the jobs that the round waits for. Returns the first of the new runs.

    Raises Conflict where the round is over, or nothing of it has failed.
    """
    round_ = queries.lock_round(session, round_.id)
    if round_.status in CLOSED_ROUND:
        raise NothingToRetry(
            Sentence(
                "Round %(number)s is %(status)s; nothing of it can be retried.",
                number=round_.number,
                status=round_.status,
            )
        )
    failed = queries.list_failed_runs(session, round_.id)
    if not failed:
        raise NothingToRetry(
            Sentence(
                "No run of round %(number)s has failed; there is nothing to retry.",
                number=round_.number,
            )
        )
    again = [runs.retry_run(session, run, actor=actor) for run in failed]
    return again[0]


def cancel_round(session: Session, round_: Round, *, actor: User | None) -> None:
    """Cancel a round and its live runs. Judgements and samples stay on record."""
    round_ = queries.lock_round(session, round_.id)
    for run in run_queries.list_round_runs(session, round_.id):
        if run.status in LIVE_RUN:
            runs.cancel_run(session, run, actor=actor)
    if round_.status in JUDGEABLE_ROUND:
        queries.release_judgements(session, round_.id)
    advance(session, round_, RoundStatus.CANCELLED, actor=actor)
