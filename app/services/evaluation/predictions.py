"""Scores of a model on held-out items: answers, rationales, and whether anything has leaked."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.critics import Critic, get_critic
from app.kit.errors import LostRun
from app.kit.texts import collapse
from app.lifecycle import Split
from app.metrics import MeteorError, why_no_meteor
from app.models import Adapter, Item, Prediction, Run, Score
from app.queries.evaluation import predictions as queries
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.run_results import EvaluationResult
from app.same_text import is_same_answer
from app.services.critic_verdicts import ask_critic
from app.services.evaluation.soft_accuracy import soft_accuracy
from app.services.evaluation.text_scores import Figure, Outcome, ScoredItem, measure
from app.services.runs.failures import Failure, store_failures
from app.services.runs.runs import list_chain

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Said:
    """The answer that a model gave for an item, and its rationale."""

    answer: str
    rationale: str


@dataclass(frozen=True)
class Predicted:
    """A model's answers for one held-out item: with its picture, and with a blank one if shown."""

    item_id: int
    seen: Said
    blank: Said | None = None


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
    """Write a shard's predictions with the critic's verdicts, and finish it. LostRun if taken.

    Predictions of an item that the critic cannot judge have no verdict; all else is as of others.
    """
    store_failures(session, run=run, shard_id=shard_id, attempt=attempt, failures=failures)
    critic = get_critic(settings.evaluation.critic)
    items = queries.find_items(session, [entry.item_id for entry in predicted])
    rows: list[dict[str, Any]] = []
    for entry in predicted:
        item = items[entry.item_id]
        seen = _judge(critic, item, entry.seen)
        blank = _judge(critic, item, entry.blank) if entry.blank else dict.fromkeys(seen)
        rows.append(
            {
                "run_id": run.id,
                "shard_id": shard_id,
                "shard_attempt": attempt,
                "item_id": item.id,
                "split": item.split,
                **seen,
                **{f"blank_{name}": value for name, value in blank.items() if name != "fault"},
            }
        )
    if rows:
        queries.insert_predictions(session, rows)
    if not run_queries.finish_shard(
        session, shard_id, attempt, n_written=len(rows), seconds=seconds
    ):
        raise LostRun(f"Shard {shard_id} of run {run.id} was taken over by another worker.")


def _judge(critic: Critic, item: Item, said: Said) -> dict[str, Any]:
    """The columns of a prediction that say what was said and how it fared."""
    is_right = is_same_answer(said.answer, item.answer)
    verdicts = ask_critic(critic, item, [said.rationale])
    verdict = verdicts[0] if verdicts else None
    return {
        "answer": collapse(said.answer),
        "rationale": collapse(said.rationale),
        "answer_is_right": is_right,
        # A rationale for a wrong answer is no fit, whatever it says. But of an item that cannot be
        # judged a wrong answer has no verdict either: else such items could lower the share of
        # fits, and never raise it.
        "fits": None if verdict is None else is_right and verdict.fits,
        "fault": verdict.fault.value if verdict and verdict.fault else None,
        "soft_accuracy": soft_accuracy(said.answer, item.answers),
    }


def list_outcomes(session: Session, run_id: int) -> dict[Split, list[ScoredItem]]:
    """Returns the scored predictions of a run and of those it retries, by split."""
    run_ids = [entry.id for entry in list_chain(session, run_queries.get_run(session, run_id))]
    outcomes: dict[Split, list[ScoredItem]] = {Split.VALIDATION: [], Split.TEST: []}
    for prediction, gold_rationales in queries.list_predictions(session, run_ids):
        outcomes[prediction.split].append(_scored_item(prediction, gold_rationales))
    return outcomes


def _scored_item(prediction: Prediction, gold_rationales: Sequence[str]) -> ScoredItem:
    blank = None
    if prediction.blank_rationale is not None:
        blank = Outcome(
            rationale=prediction.blank_rationale,
            answer_is_right=bool(prediction.blank_answer_is_right),
            fits=prediction.blank_fits,
            soft_accuracy=prediction.blank_soft_accuracy,
        )
    seen = Outcome(
        rationale=prediction.rationale,
        answer_is_right=prediction.answer_is_right,
        fits=prediction.fits,
        soft_accuracy=prediction.soft_accuracy,
    )
    return ScoredItem(references=tuple(gold_rationales), seen=seen, blank=blank)


@dataclass(frozen=True)
class Measured:
    """The figures of an evaluation; `meteor_note` says why METEOR is not among them."""

    figures: Mapping[Split, Sequence[Figure]]
    meteor_note: str | None


def measure_outcomes(
    outcomes: Mapping[Split, Sequence[ScoredItem]], settings: LoopSettings
) -> Measured:
    """Compute all figures; it needs no database, and may need a minute where METEOR is at hand."""
    note = why_no_meteor() if settings.evaluation.meteor else None
    if settings.evaluation.meteor and note is None:
        try:
            return Measured(measure(outcomes, with_meteor=True), None)
        except MeteorError as error:
            note = f"METEOR is left out: {error}"
            logger.warning("%s", note)
    return Measured(measure(outcomes, with_meteor=False), note)


def store_scores(
    session: Session, run: Run, measured: Measured, *, adapter_id: int | None
) -> EvaluationResult:
    """Insert the scores of a finished evaluation; returns what else there is to say of it."""
    for split, figures in measured.figures.items():
        for figure in figures:
            low, high = figure.interval or (None, None)
            session.add(
                Score(
                    run_id=run.id,
                    run_attempt=run.attempt,
                    split=split,
                    name=figure.name,
                    value=figure.value,
                    n=figure.n,
                    low=low,
                    high=high,
                )
            )
    return EvaluationResult(
        n_leaked_images=count_leaked_images(session, run, adapter_id),
        meteor_note=measured.meteor_note,
    )


def count_leaked_images(session: Session, run: Run, adapter_id: int | None) -> int:
    """Returns the number of held-out images of this project that any adapter of the chain was
    trained on, anywhere.

    Within a project the tables make it impossible; the same image may be a training image of
    another project whose adapter this one continues.
    """
    chain: list[int] = []
    while adapter_id is not None:
        adapter = session.get_one(Adapter, adapter_id)
        chain.append(adapter.run_id)
        adapter_id = adapter.parent_id
    if not chain:
        return 0
    return queries.count_trained_images(session, run.project_id, chain)
