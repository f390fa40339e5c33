"""Storing what a model drew for a shard, and choosing what of it people see."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.critics.looks import judge_looks
from app.kit.errors import LostRun
from app.kit.texts import collapse, unit_hash
from app.lifecycle import AuthorKind, FailureKind, ShardStatus
from app.models import Run
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import round_items as item_queries
from app.queries.rounds.training_items import list_items
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings, Order
from app.run_results import EpisodeTally
from app.same_text import text_key
from app.services.judging.settling import IMAGE_UNUSABLE, PROMPT_REFUSED
from app.services.runs.failures import Failure, store_failures
from app.strategies.monologue import MONOLOGUE, MonologueTrace, Turn
from app.uncertainty import untouched_priority

SET_ASIDE_FOR = {FailureKind.IMAGE: IMAGE_UNUSABLE, FailureKind.PROMPT: PROMPT_REFUSED}
"""Failures that the next round would meet again."""


@dataclass(frozen=True)
class Drawn:
    """One draw of the model for an item, as a worker hands it over.

    A monologue that came to no rationale has an empty text, and a trace that says why. n_tokens: of
    all roles, what serves several draws shared out among them (worker/strategies/costs.py);
    log_probability: of the role that wrote the text.
    """

    item_id: int
    prompt: str
    temperature: float
    number: int
    seed: int
    text: str
    log_probability: float | None
    n_tokens: int | None
    is_cut: bool | None = None
    trace: dict[str, Any] | None = None


@dataclass(frozen=True)
class Drawing:
    """What one strategy drew for the items of a shard, with which adapter and in how long. What it
    asked about pictures and the maps of where it looked are no part of these seconds."""

    strategy: str
    drawn: Sequence[Drawn]
    adapter_id: int | None = None
    seconds: float = 0.0


def store_samples(
    session: Session,
    *,
    run: Run,
    shard_id: int,
    attempt: int,
    item_ids: Sequence[int],
    drawings: Sequence[Drawing],
    settings: LoopSettings,
    seconds: float,
    failures: Sequence[Failure] = (),
) -> None:
    """Write a shard's draws, candidates and choice, open its items, and finish it: all or nothing.
    What is mixed in to measure opens with it, as far as sampling has come.

    The same text of several strategies is one candidate, and what is shown is chosen from all: an
    item opens with what every strategy drew for it.

    Raises LostRun when the shard was taken over meanwhile.
    """
    assert run.round_id is not None  # noqa: S101 - a generate run belongs to a round
    drawn = [draw for drawing in drawings for draw in drawing.drawn]
    # All in one go: their numbers are in the order of their keys, and tell nobody who drew them.
    candidate_ids = _store_candidates(session, drawn, settings.sampling.min_characters)
    candidate_queries.insert_samples(
        session,
        [
            {
                "run_id": run.id,
                "shard_id": shard_id,
                "shard_attempt": attempt,
                "item_id": draw.item_id,
                "candidate_id": candidate_ids.get((draw.item_id, text_key(draw.text))),
                "adapter_id": drawing.adapter_id,
                "strategy": drawing.strategy,
                "prompt": draw.prompt,
                "temperature": draw.temperature,
                "number": draw.number,
                "seed": draw.seed,
                "log_probability": draw.log_probability,
                "n_tokens": draw.n_tokens,
                "is_cut": draw.is_cut,
                "trace": draw.trace,
            }
            for drawing in drawings
            for draw in drawing.drawn
        ],
    )
    store_failures(session, run=run, shard_id=shard_id, attempt=attempt, failures=failures)
    for kind, reason in SET_ASIDE_FOR.items():
        failed = {failure.item_id for failure in failures if failure.kind is kind}
        item_queries.set_waiting_aside(
            session, run.round_id, failed - {draw.item_id for draw in drawn}, reason
        )
    draws = _count_draws(drawn, candidate_ids)
    _choose_candidates(session, run.round_id, item_ids, draws, settings)
    tally = count_episodes(session, drawn)
    if not run_queries.finish_shard(
        session,
        shard_id,
        attempt,
        n_written=len(drawn),
        seconds=seconds,
        tally=tally.dump() if tally.n_episodes else None,
        strategy_seconds={drawing.strategy: drawing.seconds for drawing in drawings},
    ):
        raise LostRun(f"Shard {shard_id} of run {run.id} was taken over by another worker.")
    shards = run_queries.count_shards(session, run.id)
    item_queries.open_mixed_in(
        session, run.round_id, shards.get(ShardStatus.DONE, 0) / sum(shards.values())
    )


def count_episodes(session: Session, drawn: Sequence[Drawn]) -> EpisodeTally:
    """Counts how the monologues among some draws ended, what was asked in them, and what the exact
    critic says of it where items have facts of a scene."""
    counts: Counter[str] = Counter()
    looks: dict[int, list[Turn]] = defaultdict(list)
    for draw in drawn:
        if not draw.trace or draw.trace.get("kind") != MONOLOGUE.name:
            continue
        trace = MonologueTrace.model_validate(draw.trace)
        counts[trace.outcome.value] += 1
        counts["turns"] += len(trace.turns)
        counts["repeated"] += sum(turn.is_repeated for turn in trace.turns)
        counts["tokens"] += draw.n_tokens or 0
        looks[draw.item_id] += trace.turns
    for item, _ in list_items(session, sorted(looks)):
        verdicts = judge_looks(item.question, item.facts, looks[item.id])
        told = [verdict.is_true for verdict in verdicts if verdict.is_true is not None]
        counts["critic_asked"] += len(verdicts)
        counts["critic_useful"] += sum(verdict.is_useful for verdict in verdicts)
        counts["critic_observed"] += len(told)
        counts["critic_true"] += sum(told)
    return EpisodeTally.model_validate(counts)


def _store_candidates(
    session: Session, drawn: Sequence[Drawn], min_characters: int
) -> dict[tuple[int, str], int]:
    """Keep distinct texts; returns candidate ids by (item, text key)."""
    texts: dict[tuple[int, str], str] = {}
    for draw in drawn:
        text = collapse(draw.text)
        if len(text) >= min_characters:
            texts.setdefault((draw.item_id, text_key(text)), text)
    return candidate_queries.store_candidates(session, texts, AuthorKind.MODEL)


def _count_draws(
    drawn: Sequence[Drawn], candidate_ids: dict[tuple[int, str], int]
) -> dict[int, Counter[int]]:
    """Draws per candidate, per item; draws that are no candidate are left out."""
    n_draws: dict[int, Counter[int]] = defaultdict(Counter)
    for draw in drawn:
        candidate_id = candidate_ids.get((draw.item_id, text_key(draw.text)))
        if candidate_id is not None:
            n_draws[draw.item_id][candidate_id] += 1
    return n_draws


def _choose_candidates(
    session: Session,
    round_id: int,
    item_ids: Sequence[int],
    n_draws: dict[int, Counter[int]],
    settings: LoopSettings,
) -> None:
    """Half of the shown by number of draws, half at random; open items that show something."""
    # A text that was judged in an earlier round keeps its verdict: people's minutes are scarce.
    judged = candidate_queries.list_judged_candidate_ids(
        session, item_ids, before_round_id=round_id
    )
    rows: list[dict[str, object]] = []
    opened: list[int] = []
    for item_id in item_ids:
        chosen = choose_shown(
            [c for c, _ in sort_by_draws(n_draws[item_id]) if c not in judged],
            settings.judging.max_shown,
            seed=(settings.seed, round_id, item_id),
        )
        others = [c for c, _ in sort_by_draws(n_draws[item_id]) if c not in chosen]
        everything = [*chosen.items(), *((c, "not_shown") for c in others)]
        rows += [
            {
                "round_id": round_id,
                "candidate_id": candidate_id,
                "item_id": item_id,
                "is_shown": chosen_by != "not_shown",
                "rank": rank,
                "n_draws": n_draws[item_id][candidate_id],
                "chosen_by": chosen_by,
            }
            for rank, (candidate_id, chosen_by) in enumerate(everything, start=1)
        ]
        if chosen:
            opened.append(item_id)
    candidate_queries.insert_round_candidates(session, rows)
    # Only those still waiting: an item that was excluded meanwhile stays out.
    for priority, ids in _by_priority(opened, n_draws, settings.judging.order).items():
        item_queries.open_items(session, round_id, ids, priority=priority)
    # Nothing new to judge: the item is done for this round.
    item_queries.finish_waiting(session, round_id, set(item_ids) - set(opened))


def _by_priority(
    item_ids: Sequence[int], n_draws: dict[int, Counter[int]], order: Order
) -> dict[float, list[int]]:
    """Items by where they stand in the queue at first."""
    found: dict[float, list[int]] = defaultdict(list)
    for item_id in item_ids:
        is_ordered = order == "uncertainty"
        found[untouched_priority(n_draws[item_id].values()) if is_ordered else 0.0].append(item_id)
    return found


def sort_by_draws(n_draws: Counter[int]) -> list[tuple[int, int]]:
    return sorted(n_draws.items(), key=lambda entry: (-entry[1], entry[0]))


def choose_shown(
    by_draws: Sequence[int], max_shown: int, *, seed: tuple[int, ...]
) -> dict[int, str]:
    """Chooses the candidates that people see: the most drawn, then as many at random from the rest.

    Only common texts would hide the model's variety, only random ones what it mostly says.
    """
    if len(by_draws) <= max_shown:
        return dict.fromkeys(by_draws, "draws")
    n_top = max_shown - max_shown // 2
    rest = sorted(by_draws[n_top:], key=lambda candidate_id: unit_hash(*seed, candidate_id))
    return {
        **dict.fromkeys(by_draws[:n_top], "draws"),
        **dict.fromkeys(rest[: max_shown - n_top], "random"),
    }
