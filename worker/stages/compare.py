"""Sample texts with the adapter that a round made, and with the one before it, to compare them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from app.models import Round, Run, RunShard
from app.queries.rounds.training_items import list_items
from app.run_results import SamplingResult
from app.services.quality.winning import store_comparisons
from app.services.rounds.compared import Sides, store_compared
from app.services.runs.failures import Failure
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.stages.base import prove_bases
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import Adapters, open_models
from worker.stages.shards import ShardStage, work_shards
from worker.strategies import get_procedure


def compare(run_id: int, heart: Heart) -> None:
    """Work on a compare run: all draws of both adapters for the items of each shard."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    old = persist(lambda session: inputs.list_adapters(session, lambda m: m.parent_adapter_id))
    new = persist(
        # A role that learned nothing in the round stays as it was.
        lambda session: inputs.list_adapters(
            session, lambda m: m.new_adapter_id or m.parent_adapter_id
        )
    )
    work_shards(run_id, heart, _Comparing(inputs, old, new, heart))


@dataclass(frozen=True)
class _Made:
    """What both adapters drew for the items of a shard, and the items of which draws failed."""

    sides: Sides
    failures: Sequence[Failure]


class _Comparing(ShardStage[_Made, None]):
    def __init__(self, inputs: RunInputs, old: Adapters, new: Adapters, heart: Heart) -> None:
        self.inputs = inputs
        self._procedure = get_procedure(inputs.strategy.name)
        backend = inputs.settings.sampling.backend
        self._old = open_models(inputs, backend, old, heart)
        self._new = open_models(inputs, backend, new, heart)
        self._prove = cache(lambda: prove_bases(inputs, heart))

    def compute(self, shard: RunShard) -> _Made:
        """Draws with the same seeds and settings for both, since these depend on item and round."""
        self._prove()  # only now is a shard held
        items = persist(lambda session: list_items(session, shard.item_ids))
        settings, number = self.inputs.settings, self.inputs.round_number
        old = self._procedure.propose(self._old, items, settings, number)
        new = self._procedure.propose(self._new, items, settings, number)
        failed = {failure.item_id: failure for failure in (*old.failures, *new.failures)}
        return _Made(Sides(old.drawn, new.drawn), list(failed.values()))

    def write(self, session: Session, shard: RunShard, made: _Made, seconds: float) -> None:
        store_compared(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            sides=made.sides,
            settings=self.inputs.settings,
            seconds=seconds,
            failures=made.failures,
        )

    def measure(self) -> None:
        """Measures nothing: people have to judge first, and what a critic said is read at once."""

    def finish(self, session: Session, run: Run, measured: None) -> SamplingResult:  # noqa: ARG002
        round_ = session.get_one(Round, run.round_id)
        # What a critic says is there with the texts.
        store_comparisons(session, round_, run_id=run.id, attempt=run.attempt)
        return SamplingResult()
