"""Storing what two adapters drew for a shard of a comparison, and choosing what people see."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.critics import get_critic
from app.kit.errors import LostRun
from app.kit.texts import collapse
from app.lifecycle import AuthorKind
from app.models import Run
from app.queries.quality import comparisons as queries
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds.critics import list_items
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.same_text import text_key
from app.services.critic_verdicts import ask_critic
from app.services.rounds.sampling import Drawn, choose_shown, sort_by_draws
from app.services.runs.failures import Failure, store_failures

Draws = Mapping[int, Counter[int]]
"""By item: how often each candidate was drawn."""


@dataclass(frozen=True)
class Sides:
    """What was drawn with the adapter before the round, and with the one that it made."""

    old: Sequence[Drawn]
    new: Sequence[Drawn]


def store_compared(
    session: Session,
    *,
    run: Run,
    shard_id: int,
    attempt: int,
    sides: Sides,
    settings: LoopSettings,
    seconds: float,
    failures: Sequence[Failure] = (),
) -> None:
    """Write the texts of both adapters for a shard, and finish it: all or nothing.

    A text that both drew is one candidate, of both. Each adapter shows as many as half of what a
    round shows, chosen as a round chooses. Where a critic judges, its word is stored with them;
    items that it cannot judge have none, and are no part of the result.
    Raises LostRun when the shard was taken over meanwhile.
    """
    comparison_id = run.parameters["comparison_id"]
    old, new, texts = _store_candidates(session, sides, settings.sampling.min_characters)
    store_failures(session, run=run, shard_id=shard_id, attempt=attempt, failures=failures)
    rows = [
        {
            "comparison_id": comparison_id,
            "item_id": item_id,
            "candidate_id": candidate_id,
            "n_old": old[item_id][candidate_id],
            "n_new": new[item_id][candidate_id],
            "is_shown": is_shown,
            "fits": None,
            "shard_id": shard_id,
            "shard_attempt": attempt,
        }
        for item_id in sorted({*old, *new})
        for candidate_id, is_shown in _choose(old, new, item_id, settings)
    ]
    if not settings.judging.judges.are_people:
        verdicts = _ask_critic(session, texts, settings.judging.judges)
        for row in rows:
            row["fits"] = verdicts.get(row["candidate_id"]) if row["is_shown"] else None
    queries.insert_candidates(session, rows)
    n_written = len(sides.old) + len(sides.new)
    if not run_queries.finish_shard(
        session, shard_id, attempt, n_written=n_written, seconds=seconds
    ):
        raise LostRun(f"Shard {shard_id} of run {run.id} was taken over by another worker.")


def _store_candidates(
    session: Session, sides: Sides, min_characters: int
) -> tuple[Draws, Draws, dict[int, dict[int, str]]]:
    """Keep the texts of both sides together, so that no number tells which came first; returns the
    draws of both, and the texts by item and candidate."""
    texts: dict[tuple[int, str], str] = {}
    for draw in (*sides.old, *sides.new):
        text = collapse(draw.text)
        if len(text) >= min_characters:
            texts.setdefault((draw.item_id, text_key(text)), text)
    ids = candidate_queries.store_candidates(session, texts, AuthorKind.MODEL)
    by_item: dict[int, dict[int, str]] = defaultdict(dict)
    for (item_id, key), text in texts.items():
        by_item[item_id][ids[item_id, key]] = text

    def count(drawn: Sequence[Drawn]) -> Draws:
        found: dict[int, Counter[int]] = defaultdict(Counter)
        for draw in drawn:
            candidate_id = ids.get((draw.item_id, text_key(draw.text)))
            if candidate_id is not None:
                found[draw.item_id][candidate_id] += 1
        return found

    return count(sides.old), count(sides.new), by_item


def _choose(old: Draws, new: Draws, item_id: int, settings: LoopSettings) -> list[tuple[int, bool]]:
    """Every candidate of an item, and whether it is shown. The same key chooses for both."""
    most = max(1, settings.judging.max_shown // 2)
    shown: set[int] = set()
    for draws in (old[item_id], new[item_id]):
        by_draws = [candidate_id for candidate_id, _ in sort_by_draws(draws)]
        shown |= set(choose_shown(by_draws, most, seed=(settings.seed, item_id)))
    return [
        (candidate_id, candidate_id in shown)
        for candidate_id in sorted({*old[item_id], *new[item_id]})
    ]


def _ask_critic(
    session: Session, texts: Mapping[int, Mapping[int, str]], judge: str
) -> dict[int, bool]:
    critic = get_critic(judge)
    verdicts: dict[int, bool] = {}
    for item in list_items(session, texts):
        own = texts[item.id]
        found = ask_critic(critic, item, list(own.values())) or ()
        verdicts |= {
            candidate_id: verdict.fits for candidate_id, verdict in zip(own, found, strict=False)
        }
    return verdicts
