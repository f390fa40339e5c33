"""The ways that led to the candidates of an item, for strategies whose draws leave a trace.

Where several strategies take part in a round, it is judged blind: a candidate is its text alone
until its judge has submitted and asks how it came about (app/services/judging/traces.py).
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.models import Judgement, Round
from app.queries.judging.draws import list_traced_draws
from app.strategies import DIRECT, STRATEGIES, Strategy, Trace


@dataclass(frozen=True)
class Way:
    """The most probable draw of a strategy that came to a candidate. `n_others`: so many other
    draws of it came there in ways that differ from it and from each other.
    """

    sample_id: int
    trace: Trace
    n_others: int
    strategy: Strategy


def strategy_of(round_: Round) -> Strategy:
    """Returns the strategy of a round, the first of several: ILLUME's own where this version does
    not know it."""
    return STRATEGIES.get(round_.settings.get("strategy", DIRECT.name), DIRECT)


def is_blind(round_: Round) -> bool:
    """Whether nobody is to know how a candidate came about before they have judged it: several
    strategies take part."""
    return bool(round_.settings.get("strategies"))


def list_strategies(round_: Round) -> list[Strategy]:
    """Returns the strategies that take part in a round, as far as this version knows them."""
    if not is_blind(round_):
        return [strategy_of(round_)]
    names = (entry.partition(":")[0] for entry in round_.settings["strategies"])
    return [STRATEGIES[name] for name in names if name in STRATEGIES]


def trace_template_of(round_: Round) -> str | None:
    """Returns the template that shows people, beside each text, how the candidates of a round of
    one strategy came about; None where they see nothing of it there."""
    strategy = strategy_of(round_)
    if is_blind(round_) or not strategy.shows_traces(round_.settings):
        return None
    return strategy.trace_template


def may_see_traces(round_: Round, judgement: Judgement) -> bool:
    """Whether the author of a judgement may see how its candidates came about."""
    return not is_blind(round_) or judgement.traces_opened_at is not None


def find_ways(session: Session, round_: Round, judgement: Judgement) -> dict[int, tuple[Way, ...]]:
    """Returns the ways by candidate, at most one of each strategy; none, and without a look-up,
    where draws leave no trace or its author must not see them yet."""
    if not may_see_traces(round_, judgement):
        return {}
    found: dict[int, tuple[Way, ...]] = {}
    for strategy in list_strategies(round_):
        if strategy.trace is None or not strategy.shows_traces(round_.settings):
            continue
        for candidate_id, way in _ways_of(session, round_, judgement, strategy).items():
            found[candidate_id] = (*found.get(candidate_id, ()), way)
    return found


def _ways_of(
    session: Session, round_: Round, judgement: Judgement, strategy: Strategy
) -> dict[int, Way]:
    assert strategy.trace is not None  # noqa: S101 - the caller has asked
    traced: dict[int, list[tuple[int, Trace]]] = defaultdict(list)
    draws = list_traced_draws(session, round_.id, judgement.shown_order, strategy=strategy.name)
    for draw in draws:
        trace = strategy.trace.model_validate(draw.trace)
        traced[draw.candidate_id].append((draw.sample_id, trace))
    return {
        candidate_id: _most_probable(of_candidate, strategy)
        for candidate_id, of_candidate in traced.items()
    }


def _most_probable(draws: Sequence[tuple[int, Trace]], strategy: Strategy) -> Way:
    ways: set[Hashable] = {trace.way for _, trace in draws}
    return Way(*draws[0], len(ways) - 1, strategy)
