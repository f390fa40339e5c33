"""Score a model on held-out items: it answers, then explains its own answer."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.lifecycle import Job
from app.models import Run, RunShard
from app.queries.items_for_training import list_items
from app.queries.rounds import get_round_model
from app.services.evaluation import Predicted, score_run, store_predictions
from app.storage import image_path
from worker.heart import Heart
from worker.ml.generate import sample
from worker.ml.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig
from worker.models import get_vlm
from worker.persist import persist
from worker.stages.inputs import RunInputs, load_inputs, stop_when_lost
from worker.stages.shards import Write, work_shards

ANSWER_TOKENS = 16


def evaluate(run_id: int, heart: Heart) -> None:
    """Work on an evaluate run (the round's new adapter) or a baseline (the base model alone)."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapter = persist(lambda session: _adapter(session, inputs))
    settings = inputs.settings
    opener = settings.sampling.openers[0]
    temperature = settings.evaluation.temperature

    def compute(item_ids: Sequence[int]) -> Write:
        items = persist(lambda session: list_items(session, item_ids))
        vlm = get_vlm(
            settings.base_model,
            revision=settings.revision,
            dtype=settings.dtype,
            adapter_digest=adapter[1] if adapter else None,
        )

        def ask(kind: str, answers: Sequence[str | None], max_new_tokens: int) -> list[str]:
            draws = [
                Draw(
                    prompt=Prompt(
                        image=image_path(image.sha256, image.media_type),
                        question=item.question,
                        answer=answer,
                        opener=opener,
                    ),
                    temperature=temperature,
                    seed=derive_seed(settings.seed, kind, item.external_id),
                )
                for (item, image), answer in zip(items, answers, strict=True)
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
        predicted = [
            Predicted(item_id=item.id, answer=answer, rationale=rationale)
            for (item, _), answer, rationale in zip(items, answers, rationales, strict=True)
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

    def finish(session: Session, run: Run) -> dict[str, object]:
        return score_run(session, run, adapter_id=adapter[0] if adapter else None)

    work_shards(run_id, heart, compute, finish, unit="samples")


def _adapter(session: Session, inputs: RunInputs) -> tuple[int, str] | None:
    if inputs.run.job is Job.BASELINE:
        return None
    return inputs.find_adapter(session, get_round_model(session, inputs.round_id).new_adapter_id)
