"""Sample candidates for the items of a round."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from app.kit.storage import image_path
from app.kit.texts import collapse
from app.lifecycle import DIRECT
from app.models import Image, Item, Run, RunShard
from app.queries.rounds.training_items import list_items
from app.round_settings import LoopSettings, SamplingSettings
from app.run_results import SamplingResult
from app.same_text import text_key
from app.services.rounds.sampling import Drawn, store_samples
from app.services.runs.failures import Failure
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled
from worker.stages.base import prove_base
from worker.stages.failures import collect_failures
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import open_sampler
from worker.stages.shards import ShardStage, work_shards


@dataclass(frozen=True)
class Place:
    """One draw to make: of which item, how, and which one of several."""

    item_id: int
    opener: str
    temperature: float
    number: int
    seed: int


def generate(run_id: int, heart: Heart) -> None:
    """Work on a generate run: all draws of all items of each shard this worker can claim."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapter = persist(lambda session: _parent_adapter(session, inputs))
    work_shards(run_id, heart, _Sampling(inputs, adapter, heart))


@dataclass(frozen=True)
class _Made:
    """The samples of the items of a shard, and the items that failed."""

    item_ids: Sequence[int]
    drawn: Sequence[Drawn]
    failures: Sequence[Failure]


class _Sampling(ShardStage[_Made, None]):
    def __init__(self, inputs: RunInputs, adapter: tuple[int, str] | None, heart: Heart) -> None:
        self.inputs, self.adapter = inputs, adapter
        sampling = inputs.settings.sampling
        self._draw = open_sampler(inputs, sampling.backend, adapter, heart)
        self._config = SampleConfig(
            max_new_tokens=sampling.max_new_tokens, top_k_share=sampling.top_k_share
        )
        self._prove = cache(lambda: prove_base(inputs, heart))

    def compute(self, item_ids: Sequence[int]) -> _Made:
        self._prove()  # only now is a shard held
        items = persist(lambda session: list_items(session, item_ids))
        settings = self.inputs.settings
        planned = plan_draws(items, settings, self.inputs.round_number)
        made = _draw_until_enough(
            planned, lambda draws: self._draw(draws, self._config), settings.sampling
        )
        drawn = [
            Drawn(
                item_id=place.item_id,
                prompt=place.opener,
                temperature=place.temperature,
                number=place.number,
                seed=place.seed,
                text=text.text,
                log_probability=text.log_probability,
                n_tokens=text.n_tokens,
                is_cut=text.is_cut,
                trace=dict(text.trace) if text.trace else None,
            )
            for place, text in made
            if isinstance(text, Sampled)
        ]
        failures = collect_failures([(place.item_id, text) for place, text in made])
        return _Made(item_ids, drawn, failures)

    def write(self, session: Session, shard: RunShard, made: _Made, seconds: float) -> None:
        store_samples(
            session,
            run=self.inputs.run,
            shard_id=shard.id,
            attempt=shard.attempt,
            item_ids=made.item_ids,
            drawn=made.drawn,
            adapter_id=self.adapter[0] if self.adapter else None,
            settings=self.inputs.settings,
            seconds=seconds,
            failures=made.failures,
        )

    def measure(self) -> None:
        """Nothing: what was sampled is read by others."""

    def finish(self, session: Session, run: Run, measured: None) -> SamplingResult:  # noqa: ARG002
        return SamplingResult()


def _draw_until_enough(
    planned: Sequence[tuple[Place, Draw]],
    draw: Callable[[Sequence[Draw]], list[Sampled | Failed]],
    sampling: SamplingSettings,
) -> list[tuple[Place, Sampled | Failed]]:
    """The draws that are made, with what came of them: all, unless the project has enough sooner.

    Whether an item is drawn again depends on its own texts alone, so it does not matter with which
    others it shares a shard or a batch.
    """
    if sampling.enough_distinct is None:
        made = draw([wish for _, wish in planned])
        return [(place, text) for (place, _), text in zip(planned, made, strict=True)]
    found: list[tuple[Place, Sampled | Failed]] = []
    texts: dict[int, set[str]] = defaultdict(set)
    for number in range(1, sampling.n_samples + 1):
        wanted = [
            (place, wish)
            for place, wish in planned
            if place.number == number and len(texts[place.item_id]) < sampling.enough_distinct
        ]
        if not wanted:
            break
        for (place, _), text in zip(wanted, draw([wish for _, wish in wanted]), strict=True):
            found.append((place, text))
            if isinstance(text, Sampled) and len(collapse(text.text)) >= sampling.min_characters:
                texts[place.item_id].add(text_key(text.text))
    return found


def plan_draws(
    items: Sequence[tuple[Item, Image]], settings: LoopSettings, round_number: int
) -> list[tuple[Place, Draw]]:
    """All draws of some items, with seeds that depend on what is drawn and nothing else.

    The seed is made of the item's own id in the data, not of a row number: the same data in
    another database gives the same texts.
    """
    sampling = settings.sampling
    planned: list[tuple[Place, Draw]] = []
    for item, image in items:
        path = image_path(image.sha256, image.media_type)
        for opener in sampling.openers:
            prompt = Prompt(image=path, question=item.question, answer=item.answer, opener=opener)
            for temperature in sampling.temperatures:
                for number in range(1, sampling.n_samples + 1):
                    seed = derive_seed(
                        settings.seed,
                        round_number,
                        item.external_id,
                        DIRECT,
                        opener,
                        repr(temperature),
                        number,
                    )
                    place = Place(item.id, opener, temperature, number, seed)
                    planned.append((place, Draw(prompt, temperature, seed)))
    return planned


def _parent_adapter(session: Session, inputs: RunInputs) -> tuple[int, str] | None:
    return inputs.find_adapter(session, inputs.get_models(session).parent_adapter_id)
