"""Sample candidates for the items of a round."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from app.models import Image, Run, RunShard
from app.queries.rounds import questions
from app.queries.rounds.candidates import count_draws
from app.queries.rounds.training_items import list_items
from app.run_results import SamplingResult
from app.services.rounds.questions import Inquiry, store_inquiries
from app.services.rounds.sampling import store_samples
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.stages.base import prove_base
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import Adapters, open_models
from worker.stages.shards import ShardStage, work_shards
from worker.strategies import get_procedure
from worker.strategies.contract import Proposed


def generate(run_id: int, heart: Heart, *, between: Callable[[], None] = lambda: None) -> None:
    """Work on a generate run: all draws of all items of each shard this worker can claim. `between`
    is called after each shard."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapters = persist(
        lambda session: inputs.list_adapters(session, lambda models: models.parent_adapter_id)
    )
    work_shards(run_id, heart, _Sampling(inputs, adapters, heart), between=between)


@dataclass(frozen=True)
class _Made:
    """The candidates proposed for the items of a shard, and what was asked about their images."""

    item_ids: Sequence[int]
    proposed: Proposed
    inquiries: Sequence[Inquiry]


class _Sampling(ShardStage[_Made, None]):
    def __init__(self, inputs: RunInputs, adapters: Adapters, heart: Heart) -> None:
        self.inputs, self.adapters = inputs, adapters
        self._procedure = get_procedure(inputs.strategy.name)
        self._models = open_models(inputs, inputs.settings.sampling.backend, adapters, heart)
        self._prove = cache(lambda: prove_base(inputs, heart))

    def compute(self, item_ids: Sequence[int]) -> _Made:
        self._prove()  # only now is a shard held
        items = persist(lambda session: list_items(session, item_ids))
        proposed = self._procedure.propose(
            self._models, items, self.inputs.settings, self.inputs.round_number
        )
        images = persist(lambda session: self._list_images(session, item_ids))
        inquiries = self._procedure.inquire(
            self._models, images, self.inputs.settings, self.inputs.round_number
        )
        return _Made(item_ids, proposed, inquiries)

    def _list_images(
        self, session: Session, item_ids: Sequence[int]
    ) -> list[tuple[Image, Sequence[str]]]:
        """The images of a shard that are asked about, with what is known of each."""
        if not self._procedure.inquires:
            return []
        images = questions.list_images_to_ask(session, self.inputs.round_id, item_ids)
        known = questions.list_known_questions(
            session, self.inputs.project_id, [image.sha256 for image in images]
        )
        return [(image, known.get(image.sha256, ())) for image in images]

    def write(self, session: Session, shard: RunShard, made: _Made, seconds: float) -> None:
        adapter = self.adapters[self.inputs.role]
        store_inquiries(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            inquiries=made.inquiries,
            adapter_id=adapter[0] if adapter else None,
            temperature=self.inputs.settings.self_questioning.temperature,
        )
        store_samples(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            item_ids=made.item_ids,
            strategy=self.inputs.strategy.name,
            drawn=made.proposed.drawn,
            adapter_id=adapter[0] if adapter else None,
            settings=self.inputs.settings,
            seconds=seconds,
            failures=made.proposed.failures,
        )

    def measure(self) -> None:
        """Measures nothing: what was sampled is read by others."""

    def finish(self, session: Session, run: Run, measured: None) -> SamplingResult:  # noqa: ARG002
        assert run.round_id is not None  # noqa: S101 - a generate run belongs to a round
        return SamplingResult(counts=count_draws(session, run.round_id))
