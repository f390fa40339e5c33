"""Loads what every stage of a round reads first."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import DIRECT, MODEL
from app.models import Adapter, Round, RoundModel, Run
from app.queries.rounds.bases import find_base
from app.queries.rounds.rounds import get_round_model
from app.queries.runs.runs import get_run
from app.round_settings import LoopSettings
from worker.host.heart import Heart


@dataclass(frozen=True)
class RunInputs:
    run: Run
    round_id: int
    round_number: int
    project_id: int
    settings: LoopSettings
    pinned: str | None
    """The content of the base that the project began with; None before the first load."""

    def get_models(self, session: Session) -> RoundModel:
        """Returns what the round samples from and makes, for the strategy and role of the run."""
        strategy, role = self.run.strategy or DIRECT, self.run.role or MODEL
        return get_round_model(session, self.round_id, strategy=strategy, role=role)

    def find_adapter(self, session: Session, adapter_id: int | None) -> tuple[int, str] | None:
        """(id, digest) of an adapter, or None for the base model itself."""
        if adapter_id is None:
            return None
        adapter = session.get_one(Adapter, adapter_id)
        return adapter.id, adapter.digest


def load_inputs(session: Session, run_id: int) -> RunInputs:
    run = get_run(session, run_id)
    round_ = session.get_one(Round, run.round_id)
    settings = LoopSettings.model_validate(round_.settings)
    base = find_base(session, round_.project_id, settings)
    return RunInputs(
        run=run,
        round_id=round_.id,
        round_number=round_.number,
        project_id=round_.project_id,
        settings=settings,
        pinned=base.digest if base else None,
    )


def stop_when_lost(heart: Heart) -> Callable[[], bool]:
    """Returns the question of every step of worker.ml: is the run lost or cancelled?"""
    return heart.lost.is_set
