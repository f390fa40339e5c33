"""What a draw costs in tokens: all that the models of its strategy said for it, in any role.

What serves several draws is said once, and shared out among them: an observation among the episodes
that asked for it, the doubts about texts among the draws that came to these. So the tokens of draws
add up to what was said for them.
"""

from collections.abc import Sequence

from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.strategies.contract import Sampler


def share_out(n: int, n_shares: int) -> list[int]:
    """Returns `n_shares` whole numbers that add up to `n` and differ by one at most, the greater
    ones spread evenly."""
    return [n * (place + 1) // n_shares - n * place // n_shares for place in range(n_shares)]


class Counted:
    """A model whose tokens are counted."""

    def __init__(self, model: Sampler) -> None:
        self._model, self.n_tokens = model, 0

    def __call__(self, draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        made = self._model(draws, config)
        self.n_tokens += sum(one.n_tokens or 0 for one in made if isinstance(one, Sampled))
        return made
