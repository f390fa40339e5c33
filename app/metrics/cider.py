"""CIDEr, as the COCO caption benchmark computes it under that name: the CIDEr-D form.

Vedantam et al. 2015, sections 3 and 5: cosine similarity of TF-IDF vectors of 1- to 4-grams with
the document frequencies of the references at hand, clipped counts, a Gaussian penalty on the
difference in length (sigma 6), mean over n and over references, times ten. Two choices are the
benchmark's own: the length is counted in bigrams, and stems are not taken.

The figure depends on the whole corpus; of a single item it is 0, because every n-gram of it is in
every document.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from app.metrics.bleu import MAX_N, ngrams
from app.metrics.pairs import Tokenizer, Tokens, tokenize_pairs
from app.metrics.tokens import tokenize

SIGMA = 6.0

Gram = tuple[str, ...]


@dataclass(frozen=True)
class _Vector:
    """TF-IDF weights per n (index n - 1), their norms, and the number of bigrams."""

    weights: list[dict[Gram, float]]
    norms: list[float]
    length: int


def cider(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> float:
    """Returns the mean CIDEr over the items, between 0 and 10; papers print it times 100."""
    scores = cider_per_item(hypotheses, references, tokenizer)
    return math.fsum(scores) / len(scores) if scores else 0.0


def cider_per_item(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> list[float]:
    """Returns the CIDEr of each item, with document frequencies of all items together."""
    pairs = tokenize_pairs(hypotheses, references, tokenizer)
    frequencies: Counter[Gram] = Counter()
    grams_of = cache(_all_grams)  # the same text may stand in many pairs
    for _, texts in pairs:
        frequencies.update({gram for text in texts for gram in grams_of(tuple(text))})
    log_documents = math.log(len(pairs)) if pairs else 0.0

    @cache
    def vector_of(tokens: tuple[str, ...]) -> _Vector:
        return _vector(grams_of(tokens), frequencies, log_documents)

    scores = []
    for hypothesis, texts in pairs:
        vector = vector_of(tuple(hypothesis))
        similarity = math.fsum(_similarity(vector, vector_of(tuple(text))) for text in texts)
        scores.append(10 * similarity / len(texts))
    return scores


def _all_grams(tokens: Tokens) -> Counter[Gram]:
    grams: Counter[Gram] = Counter()
    for n in range(1, MAX_N + 1):
        grams.update(ngrams(tokens, n))
    return grams


def _vector(grams: Counter[Gram], frequencies: Counter[Gram], log_documents: float) -> _Vector:
    weights: list[dict[Gram, float]] = [{} for _ in range(MAX_N)]
    length = 0
    for gram, count in grams.items():
        rarity = log_documents - math.log(max(1, frequencies[gram]))
        weights[len(gram) - 1][gram] = count * rarity
        if len(gram) == 2:
            length += count
    norms = [math.sqrt(math.fsum(value**2 for value in part.values())) for part in weights]
    return _Vector(weights, norms, length)


def _similarity(hypothesis: _Vector, reference: _Vector) -> float:
    """Mean over n of the clipped cosine, damped by the difference in length."""
    damping = math.exp(-((hypothesis.length - reference.length) ** 2) / (2 * SIGMA**2))
    total = 0.0
    for n in range(MAX_N):
        norms = hypothesis.norms[n] * reference.norms[n]
        if norms == 0:
            continue
        others = reference.weights[n]
        product = math.fsum(
            min(weight, others[gram]) * others[gram]
            for gram, weight in hypothesis.weights[n].items()
            if gram in others
        )
        total += product / norms
    return damping * total / MAX_N
