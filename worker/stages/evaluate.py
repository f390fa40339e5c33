"""Score a model on held-out items: it answers, then explains its own answer."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.lifecycle import Job
from app.models import Image, Item, Run, RunShard
from app.queries.items_for_training import list_items
from app.queries.rounds import get_round_model
from app.services.evaluation import Predicted, score_run, store_predictions
from app.services.failures import Failure
from app.storage import image_path
from worker.heart import Heart
from worker.ml.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.persist import persist
from worker.stages.failures import collect_failures
from worker.stages.inputs import RunInputs, load_inputs
from worker.stages.sampler import open_sampler
from worker.stages.shards import Write, work_shards

ANSWER_TOKENS = 16


def evaluate(run_id: int, heart: Heart) -> None:
    """Work on an evaluate run (the round's new adapter) or a baseline (the base model alone)."""
    inputs = persist(lambda session: load_inputs(session, run_id))
    adapter = persist(lambda session: _adapter(session, inputs))
    settings = inputs.settings
    opener = settings.sampling.openers[0]
    temperature = settings.evaluation.temperature

    draw = open_sampler(settings, settings.evaluation.backend, adapter, heart)

    def compute(item_ids: Sequence[int]) -> Write:
        failures: list[Failure] = []

        def ask(
            kind: str, asked: Sequence[tuple[Item, Image, str | None]], max_new_tokens: int
        ) -> list[tuple[Item, Image, str]]:
            """The items with the texts that the model gave them; what failed is left out."""
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
                for item, image, answer in asked
            ]
            config = SampleConfig(
                max_new_tokens=max_new_tokens, top_k_share=settings.sampling.top_k_share
            )
            made = draw(draws, config) if draws else []
            failures.extend(
                collect_failures(
                    [(item.id, text) for (item, _, _), text in zip(asked, made, strict=True)]
                )
            )
            return [
                (item, image, text.text)
                for (item, image, _), text in zip(asked, made, strict=True)
                if isinstance(text, Sampled)
            ]

        items = persist(lambda session: list_items(session, item_ids))
        answered = ask("answer", [(item, image, None) for item, image in items], ANSWER_TOKENS)
        explained = ask("rationale", answered, settings.sampling.max_new_tokens)
        answers = {item.id: answer for item, _, answer in answered}
        predicted = [
            Predicted(item_id=item.id, answer=answers[item.id], rationale=rationale)
            for item, _, rationale in explained
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
                failures=failures,
            )

        return write

    def finish(session: Session, run: Run) -> dict[str, object]:
        return score_run(session, run, adapter_id=adapter[0] if adapter else None)

    work_shards(run_id, heart, compute, finish)


def _adapter(session: Session, inputs: RunInputs) -> tuple[int, str] | None:
    if inputs.run.job is Job.BASELINE:
        return None
    return inputs.find_adapter(session, get_round_model(session, inputs.round_id).new_adapter_id)
