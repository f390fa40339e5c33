"""The model answers what it asked: short, and as surely as it can."""

from collections.abc import Sequence

from worker.ml.types import Draw, Prompt, SampleConfig, Sampled
from worker.strategies.contract import Sampler

ANSWER_TOKENS = 16
NEAR_GREEDY = 0.01


def answer_each(sampler: Sampler, prompts: Sequence[Prompt]) -> list[str | None]:
    """Returns an answer to each prompt; None where the model gave none, or could not be asked."""
    draws = [Draw(prompt, NEAR_GREEDY, 0) for prompt in prompts]
    config = SampleConfig(max_new_tokens=ANSWER_TOKENS, top_k_share=1.0)
    made = sampler(draws, config) if draws else []
    return [one.text if isinstance(one, Sampled) and one.text else None for one in made]
