"""Score a model on held-out items: it answers, then explains its own answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy.orm import Session

from app.kit.storage import image_path
from app.lifecycle import Job
from app.models import Item, Run, RunShard
from app.queries.rounds.training_items import list_items
from app.round_settings import LoopSettings
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
from worker.host.heart import Heart
from worker.host.persist import persist
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.stages.base import prove_base
from worker.stages.blank import blank_pictures
from worker.stages.failures import collect_failures
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import Sampler, open_sampler
from worker.stages.shards import ShardStage, work_shards

ANSWER_TOKENS = 16


def evaluate(run_id: int, heart: Heart) -> None:
    """Work on an evaluate run (the round's new adapter) or a baseline (the base model alone)."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapter = persist(lambda session: _adapter(session, inputs))
    work_shards(run_id, heart, _Evaluation(inputs, adapter, heart))


@dataclass(frozen=True)
class _Made:
    """The model's answers for the items of a shard, and the items that failed."""

    predicted: Sequence[Predicted]
    failures: Sequence[Failure]


class _Evaluation(ShardStage[_Made, Measured]):
    def __init__(self, inputs: RunInputs, adapter: tuple[int, str] | None, heart: Heart) -> None:
        self.inputs, self.adapter = inputs, adapter
        self._draw = open_sampler(inputs, inputs.settings.evaluation.backend, adapter, heart)
        self._prove = cache(lambda: prove_base(inputs, heart))

    def compute(self, item_ids: Sequence[int]) -> _Made:
        self._prove()  # only now is a shard held
        settings = self.inputs.settings
        items = persist(lambda session: list_items(session, item_ids))
        seen, failures = _say(
            self._draw,
            [_Asked(item, image_path(image.sha256, image.media_type)) for item, image in items],
            settings,
        )
        blank: dict[int, Said] = {}
        if _asks_blank(self.inputs):
            with blank_pictures() as path_of:
                asked = [_Asked(item, path_of(image)) for item, image in items if item.id in seen]
                blank, _ = _say(self._draw, asked, settings)
        predicted = [
            Predicted(item_id=item_id, seen=said, blank=blank.get(item_id))
            for item_id, said in seen.items()
        ]
        return _Made(predicted, failures)

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
        adapter_id = self.adapter[0] if self.adapter else None
        return store_scores(session, run, measured, adapter_id=adapter_id)


@dataclass(frozen=True)
class _Asked:
    """An item with the picture that the model is shown, and the answer it is to explain."""

    item: Item
    picture: Path
    answer: str | None = None


def _say(
    draw: Sampler, items: Sequence[_Asked], settings: LoopSettings
) -> tuple[dict[int, Said], list[Failure]]:
    """The model's answers and its rationales for them, by item, and the items that failed. The same
    draws whatever the pictures are: what differs between two calls is what the pictures made of it.
    """
    answers, unanswered = _ask(draw, "answer", items, ANSWER_TOKENS, settings)
    answered = [
        _Asked(asked.item, asked.picture, answers[asked.item.id])
        for asked in items
        if asked.item.id in answers
    ]
    n_tokens = settings.sampling.max_new_tokens
    rationales, unexplained = _ask(draw, "rationale", answered, n_tokens, settings)
    said = {item_id: Said(answers[item_id], text) for item_id, text in rationales.items()}
    return said, [*unanswered, *unexplained]


def _ask(
    draw: Sampler,
    kind: str,
    items: Sequence[_Asked],
    max_new_tokens: int,
    settings: LoopSettings,
) -> tuple[dict[int, str], list[Failure]]:
    draws = [
        Draw(
            prompt=Prompt(
                image=asked.picture,
                question=asked.item.question,
                answer=asked.answer,
                opener=settings.sampling.openers[0],
            ),
            temperature=settings.evaluation.temperature,
            seed=derive_seed(settings.seed, kind, asked.item.external_id),
        )
        for asked in items
    ]
    config = SampleConfig(max_new_tokens=max_new_tokens, top_k_share=settings.sampling.top_k_share)
    made = draw(draws, config) if draws else []
    pairs = [(asked.item.id, text) for asked, text in zip(items, made, strict=True)]
    texts = {item_id: text.text for item_id, text in pairs if isinstance(text, Sampled)}
    return texts, collect_failures(pairs)


def _asks_blank(inputs: RunInputs) -> bool:
    match inputs.settings.evaluation.blank_image:
        case "always":
            return True
        case "baseline":
            return inputs.run.job is Job.BASELINE
        case _:
            return False


def _adapter(session: Session, inputs: RunInputs) -> tuple[int, str] | None:
    if inputs.run.job is Job.BASELINE:
        return None
    return inputs.find_adapter(session, inputs.get_models(session).new_adapter_id)
