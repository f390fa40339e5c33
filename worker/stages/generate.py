"""Sample candidates for the items of a round.

Where several strategies take part, all of them draw for the items of a shard before it is stored:
an item opens with everything that was drawn for it, and one transaction holds it all.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from sqlalchemy.orm import Session

from app.models import Image, Item, Round, Run, RunShard
from app.queries.judging.draws import count_maps
from app.queries.rounds import questions
from app.queries.rounds.candidates import count_draws
from app.queries.rounds.rounds import list_sampled_strategies
from app.queries.rounds.training_items import list_items
from app.run_results import SamplingResult
from app.services.dataset.alone import may_ask
from app.services.judging.questions.tally import store_questions
from app.services.rounds.questions import Inquiry, store_inquiries
from app.services.rounds.sampling import Drawing, store_samples
from app.services.runs.failures import Failure
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.stages.aside.maps import map_shown
from worker.stages.base import prove_bases
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import open_models
from worker.stages.shards import ShardStage, work_shards
from worker.strategies import get_procedure


def generate(run_id: int, heart: Heart, *, between: Callable[[], None] = lambda: None) -> None:
    """Work on a generate run: all draws of all items of each shard this worker can claim. `between`
    is called after each shard."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    strategies = persist(lambda session: _list_strategies(session, inputs))
    work_shards(
        run_id,
        heart,
        _Sampling(inputs, [_Drawer(one, heart) for one in strategies]),
        between=between,
    )


def _list_strategies(session: Session, inputs: RunInputs) -> list[RunInputs]:
    """The inputs of each strategy that draws: of the run's own, or of those of a mixed round that
    do not sit out, in the order of the settings."""
    if inputs.run.strategy is not None:
        return [inputs]
    sampled = list_sampled_strategies(session, inputs.round_id)
    return [
        replace(inputs, own_strategy=name) for name in inputs.settings.shares if name in sampled
    ]


@dataclass(frozen=True)
class _Made:
    """What was drawn for the items of a shard, what was asked about their images and about those
    of the shard, by the adapter that asked, and the items of which draws failed."""

    item_ids: Sequence[int]
    drawings: Sequence[Drawing]
    inquiries: Sequence[tuple[int | None, Sequence[Inquiry]]]
    failures: Sequence[Failure]


class _Drawer:
    """One strategy with its models."""

    def __init__(self, inputs: RunInputs, heart: Heart) -> None:
        self._inputs = inputs
        self._procedure = get_procedure(inputs.strategy.name)
        adapters = persist(
            lambda session: inputs.list_adapters(session, lambda models: models.parent_adapter_id)
        )
        self._models = open_models(inputs, inputs.settings.sampling.backend, adapters, heart)
        first = adapters[inputs.role]
        self.adapter_id = first[0] if first else None
        self._digest = first[1] if first else None
        self._heart = heart
        self.prove = cache(lambda: prove_bases(inputs, heart))

    def draw(self, items: Sequence[tuple[Item, Image]]) -> tuple[Drawing, Sequence[Failure]]:
        started = time.monotonic()
        made = self._procedure.propose(
            self._models, items, self._inputs.settings, self._inputs.round_number
        )
        seconds = round(time.monotonic() - started, 3)
        drawing = Drawing(self._inputs.strategy.name, made.drawn, self.adapter_id, seconds)
        return drawing, made.failures

    def map_shown(self, item_ids: Sequence[int] | None = None) -> None:
        """Measure what people are shown of where draws looked; of these items alone, if given."""
        map_shown(self._inputs, self._digest, self._heart, item_ids)

    def inquire(self, shard: RunShard) -> Sequence[Inquiry]:
        images = persist(lambda session: self._list_images(session, shard))
        return self._procedure.inquire(
            self._models, images, self._inputs.settings, self._inputs.round_number
        )

    def _list_images(
        self, session: Session, shard: RunShard
    ) -> list[tuple[Image, questions.KnownQuestions]]:
        """The images of a shard that are asked about, with what is known of each: those of its
        items, and those that no item is about."""
        settings, name = self._inputs.settings, self._inputs.strategy.name
        if not may_ask(settings, name, has_learned=self.adapter_id is not None):
            return []
        images = [
            *questions.list_images_to_ask(session, self._inputs.round_id, shard.item_ids),
            *questions.list_images(session, shard.images),
        ]
        known = questions.list_known_questions(
            session, self._inputs.project_id, [image.sha256 for image in images]
        )
        return [(image, known[image.sha256]) for image in images]


class _Sampling(ShardStage[_Made, None]):
    def __init__(self, inputs: RunInputs, drawers: Sequence[_Drawer]) -> None:
        self.inputs, self._drawers = inputs, drawers

    def compute(self, shard: RunShard) -> _Made:
        for drawer in self._drawers:
            drawer.prove()  # only now is a shard held
        items = persist(lambda session: list_items(session, shard.item_ids))
        made = [drawer.draw(items) for drawer in self._drawers]
        inquiries = [(drawer.adapter_id, drawer.inquire(shard)) for drawer in self._drawers]
        failed = {failure.item_id: failure for _, failures in made for failure in failures}
        drawings = [drawing for drawing, _ in made]
        return _Made(shard.item_ids, drawings, inquiries, list(failed.values()))

    def write(self, session: Session, shard: RunShard, made: _Made, seconds: float) -> None:
        for adapter_id, inquiries in made.inquiries:
            store_inquiries(
                session,
                run=self.inputs.run,
                shard_id=shard.id,
                attempt=shard.attempt,
                inquiries=inquiries,
                adapter_id=adapter_id,
                temperature=self.inputs.settings.self_questioning.temperature,
            )
        store_samples(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            item_ids=made.item_ids,
            drawings=made.drawings,
            settings=self.inputs.settings,
            seconds=seconds,
            failures=made.failures,
        )

    def follow(self, shard: RunShard) -> None:
        for drawer in self._drawers:
            drawer.map_shown(shard.item_ids)

    def measure(self) -> None:
        """Measures the looks that were left out when their shards were stored."""
        for drawer in self._drawers:
            drawer.map_shown()

    def finish(self, session: Session, run: Run, measured: None) -> SamplingResult:  # noqa: ARG002
        assert run.round_id is not None  # noqa: S101 - a generate run belongs to a round
        round_ = session.get_one(Round, run.round_id)
        store_questions(session, round_, run_id=run.id, attempt=run.attempt)
        return SamplingResult(
            counts=count_draws(session, run.round_id), maps=count_maps(session, run.round_id)
        )
