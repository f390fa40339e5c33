"""Loads what every stage of a round reads first."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Adapter, Round, RoundModel, Run
from app.queries.rounds.bases import find_base
from app.queries.rounds.rounds import get_round_model
from app.queries.runs.runs import get_run
from app.round_settings import LoopSettings
from app.strategies import DIRECT, Strategy, get_strategy
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
    own_strategy: str | None = None
    """Of a run beside the rounds, which names no strategy of its own."""

    @property
    def strategy(self) -> Strategy:
        """The strategy of the run; a base model is measured by the direct one."""
        return get_strategy(self.run.strategy or self.own_strategy or DIRECT.name)

    @property
    def role(self) -> str:
        """The role that the run is about: the first one of the strategy where it names none."""
        return self.run.role or self.strategy.roles[0]

    def get_models(self, session: Session, role: str) -> RoundModel:
        """Returns the adapters that the round samples from and makes for a role of the run's
        strategy."""
        return get_round_model(session, self.round_id, strategy=self.strategy.name, role=role)

    def list_adapters(
        self, session: Session, choose: Callable[[RoundModel], int | None]
    ) -> dict[str, tuple[int, str] | None]:
        """Returns, by role of the strategy, the adapter whose id `choose` takes from the role's
        models; None for the base model itself."""
        return {
            role: self.find_adapter(session, choose(self.get_models(session, role)))
            for role in self.strategy.roles
        }

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
