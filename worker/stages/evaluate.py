"""Score the models of a strategy on held-out items: they answer, and explain their answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from app.kit.storage import image_path
from app.lifecycle import Job
from app.models import Run, RunShard
from app.queries.rounds.training_items import list_items
from app.run_results import EvaluationResult
from app.services.evaluation.predictions import (
    Measured,
    Predicted,
    Said,
    list_outcomes,
    measure_outcomes,
    store_predictions,
    store_scores,
)
from app.services.runs.failures import Failure
from worker.blank_pictures import blank_pictures
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.stages.base import prove_bases
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import Adapters, open_models
from worker.stages.shards import ShardStage, work_shards
from worker.strategies import get_procedure
from worker.strategies.contract import Answered, Asked


def evaluate(run_id: int, heart: Heart) -> None:
    """Work on an evaluate run (the round's new adapter) or a baseline (the base model alone)."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapters = persist(lambda session: _new_adapters(session, inputs))
    work_shards(run_id, heart, _Evaluation(inputs, adapters, heart))


@dataclass(frozen=True)
class _Made:
    """The model's answers for the items of a shard, and the items that failed."""

    predicted: Sequence[Predicted]
    failures: Sequence[Failure]


class _Evaluation(ShardStage[_Made, Measured]):
    def __init__(self, inputs: RunInputs, adapters: Adapters, heart: Heart) -> None:
        self.inputs, self.adapters = inputs, adapters
        self._procedure = get_procedure(inputs.strategy.name)
        self._models = open_models(inputs, inputs.settings.evaluation.backend, adapters, heart)
        self._prove = cache(lambda: prove_bases(inputs, heart))

    def compute(self, shard: RunShard) -> _Made:
        self._prove()  # only now is a shard held
        items = persist(lambda session: list_items(session, shard.item_ids))
        seen = self._answer(
            [Asked(item, image_path(image.sha256, image.media_type)) for item, image in items]
        )
        blank: Mapping[int, Said] = {}
        if _asks_blank(self.inputs):
            with blank_pictures() as path_of:
                asked = [
                    Asked(item, path_of(image)) for item, image in items if item.id in seen.said
                ]
                blank = self._answer(asked).said
        predicted = [
            Predicted(item_id=item_id, seen=said, blank=blank.get(item_id))
            for item_id, said in seen.said.items()
        ]
        return _Made(predicted, seen.failures)

    def _answer(self, asked: Sequence[Asked]) -> Answered:
        return self._procedure.answer(self._models, asked, self.inputs.settings)

    def write(self, session: Session, shard: RunShard, made: _Made, seconds: float) -> None:
        store_predictions(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            predicted=made.predicted,
            settings=self.inputs.settings,
            seconds=seconds,
            failures=made.failures,
        )

    def measure(self) -> Measured:
        outcomes = persist(lambda session: list_outcomes(session, self.inputs.run.id))
        return measure_outcomes(outcomes, self.inputs.settings)

    def finish(self, session: Session, run: Run, measured: Measured) -> EvaluationResult:
        adapter = self.adapters[self.inputs.role]
        return store_scores(session, run, measured, adapter_id=adapter[0] if adapter else None)


def _asks_blank(inputs: RunInputs) -> bool:
    match inputs.settings.evaluation.blank_image:
        case "always":
            return True
        case "baseline":
            return inputs.run.job is Job.BASELINE
        case _:
            return False


def _new_adapters(session: Session, inputs: RunInputs) -> Adapters:
    if inputs.run.job is Job.BASELINE:
        return dict.fromkeys(inputs.strategy.roles)
    return inputs.list_adapters(session, lambda models: models.new_adapter_id)
