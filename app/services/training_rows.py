"""The manifest of a training run: every row the trainer reads, written before it starts."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.errors import InvalidInput
from app.lifecycle import AuthorKind, Split
from app.models import Candidate, Round, Run, TrainingRow
from app.queries import candidates as candidate_queries
from app.queries import rounds as round_queries
from app.queries.items_for_training import list_gold_texts
from app.round_settings import LoopSettings
from app.texts import Sentence, text_key, unit_hash


def write_training_rows(
    session: Session, run: Run, round_: Round, settings: LoopSettings
) -> dict[str, Any]:
    """Rows with a rationale, and answer-only rows that keep the model answering; the balance.

    The balance b is (#answer-only rows) / (#rationale rows) as in the published method, within
    [1, max_balance]: with fewer answer-only rows than rationales, a b under 1 would mute the very
    rationales that people picked.
    """
    if settings.training.source == "gold":
        pairs = _add_gold_candidates(session, round_.project_id)
    else:
        pairs = [
            (row[0], row[1]) for row in candidate_queries.list_admitted(session, round_.project_id)
        ]
    if not pairs:
        raise InvalidInput(
            Sentence(
                "There is nothing to train on: no rationale is admitted (or, with the source "
                "`gold`, no train item came with one)."
            )
        )
    explained = {item_id for item_id, _ in pairs}
    unexplained = [
        item_id
        for item_id in round_queries.list_train_item_ids(session, round_.project_id)
        if item_id not in explained
    ]
    n_replay = min(len(unexplained), round(settings.training.replay_ratio * len(pairs)))
    unexplained.sort(key=lambda item_id: unit_hash("replay", settings.seed, round_.number, item_id))
    rows: list[dict[str, Any]] = [
        {"run_id": run.id, "item_id": item_id, "split": Split.TRAIN, "candidate_id": candidate_id}
        for item_id, candidate_id in pairs
    ]
    rows += [
        {"run_id": run.id, "item_id": item_id, "split": Split.TRAIN, "candidate_id": None}
        for item_id in unexplained[:n_replay]
    ]
    session.execute(insert(TrainingRow), rows)
    balance = min(max(n_replay / len(pairs), 1.0), settings.training.max_balance)
    return {"n_rationale_rows": len(pairs), "n_answer_only_rows": n_replay, "balance": balance}


def _add_gold_candidates(session: Session, project_id: int) -> list[tuple[int, int]]:
    """Store the gold rationales of train items as candidates of their own kind."""
    texts = {
        (item_id, text_key(text)): text for item_id, text in list_gold_texts(session, project_id)
    }
    if not texts:
        return []
    session.execute(
        pg_insert(Candidate).on_conflict_do_nothing(index_elements=["item_id", "text_key"]),
        [
            {
                "item_id": item_id,
                "text_key": key,
                "text": text,
                "author_kind": AuthorKind.GOLD,
            }
            for (item_id, key), text in sorted(texts.items())
        ],
    )
    return candidate_queries.list_ids_by_key(session, sorted(texts))
