"""BLEU-1 to BLEU-4 over a corpus, as the COCO caption benchmark computes them.

Papineni et al. 2002, section 2: clipped n-gram precisions, geometric mean, brevity penalty against
the reference of the closest length (the shorter one of two equally close). Like the benchmark, and
unlike the paper, every precision is smoothed by a hair, so that an empty count gives nearly zero.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from app.metrics.pairs import Tokenizer, Tokens, average, tokenize_pairs
from app.metrics.tokens import tokenize

MAX_N = 4
_ADDED_TO_MATCHES = 1e-15
_ADDED_TO_TOTAL = 1e-9

Counts = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BleuCounts:
    """The counts of each item that BLEU is made of; sums of rows score any part of the corpus.

    `matches` and `totals` have the shape (items, 4), the lengths (items,). Whole numbers, unless
    `averaged` has made means of them.
    """

    matches: Counts
    totals: Counts
    hypothesis_lengths: Counts
    reference_lengths: Counts

    def score(self, items: npt.NDArray[np.int64] | None = None) -> list[float]:
        """Returns the corpus BLEU-1 to BLEU-4 of the given items (with repetition), or of all."""
        chosen = slice(None) if items is None else items
        return _score(
            self.matches[chosen].sum(axis=0),
            self.totals[chosen].sum(axis=0),
            float(self.hypothesis_lengths[chosen].sum()),
            float(self.reference_lengths[chosen].sum()),
        )

    def averaged(self, owners: Sequence[int]) -> "BleuCounts":
        """Returns one row per owner: the mean of the rows that are its own (see pairs.average)."""
        return BleuCounts(
            average(self.matches, owners),
            average(self.totals, owners),
            average(self.hypothesis_lengths, owners),
            average(self.reference_lengths, owners),
        )


def bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> list[float]:
    """Returns the corpus BLEU-1, -2, -3 and -4, each between 0 and 1."""
    return count_bleu(hypotheses, references, tokenizer).score()


def bleu_per_item(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> list[list[float]]:
    """Returns BLEU-1 to BLEU-4 of each item as if it were a corpus of its own."""
    counts = count_bleu(hypotheses, references, tokenizer)
    return [counts.score(np.array([item])) for item in range(len(hypotheses))]


def count_bleu(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> BleuCounts:
    """Returns the counts behind BLEU, for scoring many resamples of one corpus."""
    pairs = tokenize_pairs(hypotheses, references, tokenizer)
    matches = np.zeros((len(pairs), MAX_N), dtype=np.float64)
    totals = np.zeros((len(pairs), MAX_N), dtype=np.float64)
    lengths = np.zeros((len(pairs), 2), dtype=np.float64)
    grams_of = cache(ngrams)  # the same text may stand in many pairs
    for row, (hypothesis, texts) in enumerate(pairs):
        length = len(hypothesis)
        closest = min((abs(len(text) - length), len(text)) for text in texts)[1]
        lengths[row] = length, closest
        for n in range(1, MAX_N + 1):
            totals[row, n - 1] = max(0, length - n + 1)
            allowed: Counter[tuple[str, ...]] = Counter()
            for text in texts:
                allowed |= grams_of(tuple(text), n)
            # Each n-gram of the hypothesis counts at most as often as in one reference.
            matches[row, n - 1] = (grams_of(tuple(hypothesis), n) & allowed).total()
    return BleuCounts(matches, totals, lengths[:, 0], lengths[:, 1])


def ngrams(tokens: Tokens, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1))


def _score(matches: Counts, totals: Counts, length: float, reference_length: float) -> list[float]:
    ratio = (length + _ADDED_TO_MATCHES) / (reference_length + _ADDED_TO_TOTAL)
    penalty = 1.0 if ratio >= 1 else float(np.exp(1 - 1 / ratio))
    precisions = (matches + _ADDED_TO_MATCHES) / (totals + _ADDED_TO_TOTAL)
    products = np.cumprod(precisions)
    return [float(products[n] ** (1 / (n + 1)) * penalty) for n in range(MAX_N)]
