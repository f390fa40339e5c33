"""Scores of a model on held-out items: answers, rationales, and whether anything has leaked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.orm import Session

from app.critics import CriticItem, get_critic
from app.errors import LostRun
from app.lifecycle import Split
from app.metrics import (
    bootstrap_interval,
    bootstrap_mean_interval,
    cider_per_item,
    count_bleu,
    rouge_l_per_item,
    wilson_interval,
)
from app.models import Adapter, Item, Prediction, Run, Score, TrainingRow
from app.queries import runs as run_queries
from app.round_settings import LoopSettings
from app.services.failures import Failure, store_failures
from app.services.runs import list_chain
from app.texts import collapse, is_same_answer

N_RESAMPLES = 500


@dataclass(frozen=True)
class Predicted:
    """What a model said of one held-out item: its answer, and the rationale it gives for it."""

    item_id: int
    answer: str
    rationale: str


def store_predictions(
    session: Session,
    *,
    run: Run,
    shard_id: int,
    attempt: int,
    predicted: Sequence[Predicted],
    settings: LoopSettings,
    seconds: float,
    failures: Sequence[Failure] = (),
) -> None:
    """Write a shard's predictions with the critic's verdict, and finish it. LostRun if taken."""
    store_failures(session, run=run, shard_id=shard_id, attempt=attempt, failures=failures)
    critic = get_critic(settings.evaluation.critic)
    items = {
        item.id: item
        for item in session.scalars(
            select(Item).where(Item.id.in_([entry.item_id for entry in predicted]))
        )
    }
    rows: list[dict[str, Any]] = []
    for entry in predicted:
        item = items[entry.item_id]
        is_right = is_same_answer(entry.answer, item.answer)
        verdict = critic.judge(
            CriticItem(
                question=item.question,
                answer=item.answer,
                gold_rationales=tuple(item.gold_rationales),
                facts=item.facts,
            ),
            [entry.rationale],
        )[0]
        rows.append(
            {
                "run_id": run.id,
                "shard_id": shard_id,
                "shard_attempt": attempt,
                "item_id": item.id,
                "split": item.split,
                "answer": collapse(entry.answer),
                "rationale": collapse(entry.rationale),
                "answer_is_right": is_right,
                # A rationale for a wrong answer is no fit, whatever it says.
                "fits": is_right and verdict.fits,
                "fault": verdict.fault.value if verdict.fault else None,
            }
        )
    if rows:
        session.execute(insert(Prediction), rows)
    if not run_queries.finish_shard(
        session, shard_id, attempt, n_written=len(rows), seconds=seconds
    ):
        raise LostRun(f"Shard {shard_id} of run {run.id} was taken over by another worker.")


def score_run(session: Session, run: Run, *, adapter_id: int | None) -> dict[str, Any]:
    """Insert the scores of a finished evaluation; returns the leak figures for the run's result."""
    run_ids = [entry.id for entry in list_chain(session, run)]
    for split in (Split.VALIDATION, Split.TEST):
        rows = session.execute(
            select(Prediction, Item)
            .join(Item, Item.id == Prediction.item_id)
            .where(Prediction.run_id.in_(run_ids), Prediction.split == split)
            .order_by(Item.id)
        )
        pairs = rows.all()
        if pairs:
            session.add_all(_scores(run, split, pairs))
    return {"n_leaked_images": count_leaked_images(session, run, adapter_id)}


def _scores(run: Run, split: Split, pairs: Sequence[Row[Prediction, Item]]) -> list[Score]:
    def score(name: str, value: float, n: int, interval: tuple[float, float] | None) -> Score:
        low, high = interval if interval else (None, None)
        return Score(
            run_id=run.id,
            run_attempt=run.attempt,
            split=split,
            name=name,
            value=value,
            n=n,
            low=low,
            high=high,
        )

    n = len(pairs)
    n_right = sum(prediction.answer_is_right for prediction, _ in pairs)
    n_fits = sum(bool(prediction.fits) for prediction, _ in pairs)
    scores = [
        score("answer_accuracy", n_right / n, n, wilson_interval(n_right, n)),
        score("fit", n_fits / n, n, wilson_interval(n_fits, n)),
    ]
    explained = [(prediction, item) for prediction, item in pairs if item.gold_rationales]
    if not explained:
        return scores
    hypotheses = [prediction.rationale for prediction, _ in explained]
    references = [list(item.gold_rationales) for _, item in explained]
    n = len(explained)
    bleu = count_bleu(hypotheses, references)
    interval = bootstrap_interval(n, lambda chosen: bleu.score(chosen)[3], n_resamples=N_RESAMPLES)
    scores.append(score("bleu4", bleu.score()[3], n, interval))
    for name, values in (
        ("rouge_l", rouge_l_per_item(hypotheses, references)),
        ("cider", cider_per_item(hypotheses, references)),
    ):
        interval = bootstrap_mean_interval(values, n_resamples=N_RESAMPLES)
        scores.append(score(name, sum(values) / n, n, interval))
    return scores


def count_leaked_images(session: Session, run: Run, adapter_id: int | None) -> int:
    """Held-out images of this project that any adapter of the chain was trained on, anywhere.

    Within a project the tables make it impossible; the same image may be a training image of
    another project whose adapter this one continues.
    """
    trained = select(Item.image_sha256).join(TrainingRow, TrainingRow.item_id == Item.id)
    chain: list[int] = []
    while adapter_id is not None:
        adapter = session.get_one(Adapter, adapter_id)
        chain.append(adapter.run_id)
        adapter_id = adapter.parent_id
    if not chain:
        return 0
    return session.execute(
        select(func.count(Item.image_sha256.distinct())).where(
            Item.project_id == run.project_id,
            Item.split != Split.TRAIN,
            Item.image_sha256.in_(trained.where(TrainingRow.run_id.in_(chain))),
        )
    ).scalar_one()
