"""Text metrics as the field publishes them, and intervals. Pure Python and numpy."""

from app.measures import Interval, wilson_interval
from app.metrics.bleu import BleuCounts, bleu, bleu_per_item, count_bleu
from app.metrics.cider import cider, cider_per_item
from app.metrics.intervals import (
    bootstrap_interval,
    bootstrap_mean_interval,
)
from app.metrics.meteor import MeteorCounts, MeteorError, count_meteor, why_no_meteor
from app.metrics.pairs import average
from app.metrics.rouge import rouge_l, rouge_l_of_tokens, rouge_l_per_item
from app.metrics.tokens import tokenize

__all__ = [
    "BleuCounts",
    "Interval",
    "MeteorCounts",
    "MeteorError",
    "average",
    "bleu",
    "bleu_per_item",
    "bootstrap_interval",
    "bootstrap_mean_interval",
    "cider",
    "cider_per_item",
    "count_bleu",
    "count_meteor",
    "rouge_l",
    "rouge_l_of_tokens",
    "rouge_l_per_item",
    "tokenize",
    "why_no_meteor",
    "wilson_interval",
]
