"""The manifest of a training run: every row the trainer reads, written before it starts."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import insert
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.texts import unit_hash
from app.lifecycle import AuthorKind, Split
from app.models import Candidate, Round, Run, TrainingRow
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import rounds as round_queries
from app.queries.rounds.training_items import list_gold_texts
from app.round_settings import LoopSettings
from app.same_text import text_key


@dataclass(frozen=True)
class PlannedRow:
    """What a training row is about: a candidate, what a judgement made of one, or no rationale."""

    item_id: int
    candidate_id: int | None = None
    written_judgement_id: int | None = None
    written_candidate_id: int | None = None


def list_rationale_rows(
    session: Session, round_: Round, settings: LoopSettings
) -> list[PlannedRow]:
    """What a training of this round reads: what is admitted so far (or gold), and, where the
    settings say so, what people wrote; items in order."""
    if settings.training.source == "gold":
        pairs = _add_gold_candidates(session, round_.project_id)
    else:
        pairs = [
            (row[0], row[1]) for row in candidate_queries.list_admitted(session, round_.project_id)
        ]
    rows = [PlannedRow(item_id, candidate_id) for item_id, candidate_id in pairs]
    rows += list_written_rows(session, round_, settings)
    return sorted(rows, key=lambda row: row.item_id)


def write_training_rows(
    session: Session,
    run: Run,
    round_: Round,
    settings: LoopSettings,
    rationales: Sequence[PlannedRow],
) -> dict[str, Any]:
    """Rows with a rationale, and answer-only rows that keep the model answering; the balance.

    The balance b is (#answer-only rows) / (#rationale rows) as in the published method, within
    [1, max_balance]: with fewer answer-only rows than rationales, a b under 1 would mute the very
    rationales that people picked.
    """
    if not rationales:
        raise InvalidInput(
            Sentence(
                "There is nothing to train on: no rationale is admitted (or, with the source "
                "`gold`, no train item came with one)."
            )
        )
    explained = {row.item_id for row in rationales}
    unexplained = [
        item_id
        for item_id in round_queries.list_train_item_ids(session, round_.project_id)
        if item_id not in explained
    ]
    n_replay = min(len(unexplained), round(settings.training.replay_ratio * len(rationales)))
    unexplained.sort(key=lambda item_id: unit_hash("replay", settings.seed, round_.number, item_id))
    rows = [*rationales, *(PlannedRow(item_id) for item_id in unexplained[:n_replay])]
    session.execute(
        insert(TrainingRow),
        [{"run_id": run.id, "split": Split.TRAIN, **asdict(row)} for row in rows],
    )
    balance = min(max(n_replay / len(rationales), 1.0), settings.training.max_balance)
    return {
        "n_rationale_rows": len(rationales),
        "n_written_rows": sum(row.written_judgement_id is not None for row in rationales),
        "n_answer_only_rows": n_replay,
        "balance": balance,
    }


def list_written_rows(session: Session, round_: Round, settings: LoopSettings) -> list[PlannedRow]:
    """Each text that people wrote once per item, by who wrote it first; none unless the settings
    say so.

    A text that was judged as a candidate is left to its verdicts: admitted, it is in already;
    rejected, one person does not outvote the others.
    """
    if not settings.training.written:
        return []
    written = candidate_queries.list_written(session, round_.project_id, closing_round_id=round_.id)
    taken = candidate_queries.list_decided_keys(session, {row[0] for row in written})
    rows = []
    for item_id, judgement_id, candidate_id, text in written:
        key = (item_id, text_key(text))
        if key not in taken:
            taken.add(key)
            rows.append(
                PlannedRow(
                    item_id, written_judgement_id=judgement_id, written_candidate_id=candidate_id
                )
            )
    return rows


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
