"""Score a model on held-out items: it answers, then explains its own answer."""

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.orm import Session

from app.lifecycle import Job
from app.models import Image, Item, RunShard
from app.queries.items_for_training import list_items
from app.queries.rounds import get_round_model
from app.round_settings import LoopSettings
from app.services.evaluation import (
    Predicted,
    Said,
    list_outcomes,
    measure_outcomes,
    store_predictions,
    store_scores,
)
from app.storage import image_path
from worker.heart import Heart
from worker.ml.generate import sample
from worker.ml.loading import Vlm
from worker.ml.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig
from worker.models import get_vlm
from worker.persist import persist
from worker.stages.blank import blank_pictures
from worker.stages.inputs import RunInputs, load_inputs, stop_when_lost
from worker.stages.shards import Finish, Write, work_shards

ANSWER_TOKENS = 16


def evaluate(run_id: int, heart: Heart) -> None:
    """Work on an evaluate run (the round's new adapter) or a baseline (the base model alone)."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapter = persist(lambda session: _adapter(session, inputs))
    settings = inputs.settings

    def compute(item_ids: Sequence[int]) -> Write:
        items = persist(lambda session: list_items(session, item_ids))
        vlm = get_vlm(
            settings.base_model,
            revision=settings.revision,
            dtype=settings.dtype,
            adapter_digest=adapter[1] if adapter else None,
        )
        pictures = [image_path(image.sha256, image.media_type) for _, image in items]
        seen = _say(vlm, items, pictures, settings, heart)
        blank: Sequence[Said | None] = [None] * len(items)
        if _asks_blank(inputs):
            with blank_pictures() as path_of:
                pictures = [path_of(image) for _, image in items]
                blank = _say(vlm, items, pictures, settings, heart)
        predicted = [
            Predicted(item_id=item.id, seen=own, blank=other)
            for (item, _), own, other in zip(items, seen, blank, strict=True)
        ]

        def write(session: Session, shard: RunShard, seconds: float) -> None:
            store_predictions(
                session,
                run=inputs.run,
                shard_id=shard.id,
                attempt=shard.attempt,
                predicted=predicted,
                settings=settings,
                seconds=seconds,
            )

        return write

    def measure() -> Finish:
        outcomes = persist(lambda session: list_outcomes(session, run_id))
        measured = measure_outcomes(outcomes, settings)
        adapter_id = adapter[0] if adapter else None
        return lambda session, run: store_scores(session, run, measured, adapter_id=adapter_id)

    work_shards(run_id, heart, compute, measure, unit="samples")


def _say(
    vlm: Vlm,
    items: Sequence[tuple[Item, Image]],
    pictures: Sequence[Path],
    settings: LoopSettings,
    heart: Heart,
) -> list[Said]:
    """The model's answers and its rationales for them. The same draws whatever the pictures are:
    what differs between two calls is what the pictures made of it."""

    def ask(kind: str, answers: Sequence[str | None], max_new_tokens: int) -> list[str]:
        draws = [
            Draw(
                prompt=Prompt(
                    image=picture,
                    question=item.question,
                    answer=answer,
                    opener=settings.sampling.openers[0],
                ),
                temperature=settings.evaluation.temperature,
                seed=derive_seed(settings.seed, kind, item.external_id),
            )
            for (item, _), picture, answer in zip(items, pictures, answers, strict=True)
        ]
        config = SampleConfig(
            max_new_tokens=max_new_tokens, top_k_share=settings.sampling.top_k_share
        )
        sampled = sample(
            vlm, draws, config, on_done=heart.pace.count, should_stop=stop_when_lost(heart)
        )
        return [text.text for text in sampled]

    answers = ask("answer", [None] * len(items), ANSWER_TOKENS)
    rationales = ask("rationale", answers, settings.sampling.max_new_tokens)
    return [Said(*pair) for pair in zip(answers, rationales, strict=True)]


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
    return inputs.find_adapter(session, get_round_model(session, inputs.round_id).new_adapter_id)
