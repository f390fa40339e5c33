"""The ways that led to the candidates of an item, for strategies whose draws leave a trace."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Round
from app.queries.judging.draws import list_traced_draws
from app.strategies import DIRECT, STRATEGIES, Strategy, Trace


@dataclass(frozen=True)
class Way:
    """The most probable draw that came to a candidate. `n_others`: so many other draws came there
    in ways that differ from it and from each other.
    """

    sample_id: int
    trace: Trace
    n_others: int


def strategy_of(round_: Round) -> Strategy:
    """Returns the strategy of a round: ILLUME's own where this version does not know it."""
    return STRATEGIES.get(round_.settings.get("strategy", DIRECT.name), DIRECT)


def trace_template_of(round_: Round) -> str | None:
    """Returns the template that shows people how the candidates of a round came about; None where
    they see nothing of it."""
    strategy = strategy_of(round_)
    return strategy.trace_template if strategy.shows_traces(round_.settings) else None


def find_ways(session: Session, round_: Round, candidate_ids: Sequence[int]) -> dict[int, Way]:
    """Returns the ways by candidate; none, and without a look-up, where people see no trace."""
    strategy = strategy_of(round_)
    if strategy.trace is None or trace_template_of(round_) is None:
        return {}
    traced: dict[int, list[tuple[int, Trace]]] = defaultdict(list)
    for draw in list_traced_draws(session, round_.id, candidate_ids, strategy=strategy.name):
        trace = strategy.trace.model_validate(draw.trace)
        traced[draw.candidate_id].append((draw.sample_id, trace))
    return {candidate_id: _most_probable(draws) for candidate_id, draws in traced.items()}


def _most_probable(draws: Sequence[tuple[int, Trace]]) -> Way:
    ways: set[Hashable] = {trace.way for _, trace in draws}
    return Way(*draws[0], len(ways) - 1)
