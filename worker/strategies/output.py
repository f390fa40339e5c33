"""The output layer of a base with few words, for roles that say words it may never have said."""

from collections.abc import Callable
from dataclasses import replace

from worker.ml.types import AdapterSettings, ModuleSettings

OUTPUT_LAYER = "lm_head"
"""The name of the layer that makes logits of words, in every family that transformers loads."""


def with_output(
    adapter: AdapterSettings, most_words: int, n_words: Callable[[], int]
) -> AdapterSettings:
    """Returns what an adapter holds, and a tuned copy of the output layer where the base knows at
    most so many words; 0: never."""
    if not most_words or n_words() > most_words:
        return adapter
    output = {"output": ModuleSettings("tuned", OUTPUT_LAYER)}
    return replace(adapter, modules={**adapter.modules, **output})
