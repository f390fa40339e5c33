"""Several strategies in one round: how their shares are written, and what they come to in draws."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from app.kit.sentences import Sentence

StrategyName = Literal["direct", "monologue", "self_questioning", "perception"]
"""The strategies that rounds can be run with (app/strategies)."""

MOST_WEIGHT = 1_000_000


def read_mix(lines: Sequence[str]) -> tuple[str, ...]:
    """Returns texts such as `monologue:2` with each weight written out; without one it is 1.

    Raises ValueError for an unknown strategy, one named twice, one alone, and an odd weight.
    """
    found: dict[str, float] = {}
    for line in lines:
        name, has_weight, text = (part.strip() for part in line.partition(":"))
        if name not in get_args(StrategyName):
            raise ValueError(
                Sentence(
                    "There is no strategy called “%(name)s”; there are: %(names)s.",
                    name=name,
                    names=", ".join(get_args(StrategyName)),
                )
            )
        if name in found:
            raise ValueError(Sentence("%(name)s is named twice: give it one share.", name=name))
        found[name] = _read_weight(line, text if has_weight else "1")
    if len(found) == 1:
        raise ValueError(
            Sentence(
                "One strategy alone needs no shares: choose it as the strategy, or add others."
            )
        )
    return tuple(f"{name}:{weight:g}" for name, weight in found.items())


def shares_of(mix: Sequence[str]) -> Mapping[str, float]:
    """Returns the share of each strategy of a mix that was read, in its order; they sum to 1."""
    pairs = (entry.split(":") for entry in mix)
    weights = {name: float(weight) for name, weight in pairs}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def split_draws(n_draws: int, shares: Mapping[str, float]) -> Mapping[str, int]:
    """Returns how many of some draws each strategy makes: its share, rounded so that all are made.
    What is left over goes to the largest remainders, among equal ones to those named first."""
    wanted = {name: n_draws * share for name, share in shares.items()}
    found = {name: int(n + 1e-9) for name, n in wanted.items()}
    order = sorted(wanted, key=lambda name: found[name] - wanted[name])
    for name in order[: n_draws - sum(found.values())]:
        found[name] += 1
    return found


def _read_weight(line: str, text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = 0.0
    if not 0 < weight <= MOST_WEIGHT:
        raise ValueError(
            Sentence(
                "“%(line)s” is no share: write a strategy and a number over 0, such as direct:1.",
                line=line,
            )
        )
    return weight
