"""Hypotheses and references as token lists, checked once for all metrics."""

import unicodedata
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from app.metrics.tokens import tokenize

Tokens = Sequence[str]
Tokenizer = Callable[[str], Tokens]


def tokenize_pairs(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> list[tuple[Tokens, list[Tokens]]]:
    """Returns the token lists of each hypothesis with those of its references.

    Raises ValueError when the two lists differ in length or an item has no reference: a score
    without a reference would be an invention.
    """
    if len(hypotheses) != len(references):
        raise ValueError(
            f"{len(hypotheses)} hypotheses stand against {len(references)} lists of references"
        )
    for number, texts in enumerate(references):
        if isinstance(texts, str) or not texts:
            raise ValueError(f"item {number} has no list of references")
    return [
        (tokenizer(_composed(hypothesis)), [tokenizer(_composed(text)) for text in texts])
        for hypothesis, texts in zip(hypotheses, references, strict=True)
    ]


def _composed(text: str) -> str:
    """Accents as one character: typed as two, they would make another word."""
    return unicodedata.normalize("NFC", text)


def average(rows: npt.NDArray[np.float64], owners: Sequence[int]) -> npt.NDArray[np.float64]:
    """Returns the means of the rows of each owner, where an item is scored several times.

    rows: (pairs,) or (pairs, figures); owners: the number of the item of each pair, 0 to n - 1,
    none left out. Returns (n,) or (n, figures): every item weighs the same.
    """
    counts = np.bincount(np.asarray(owners, dtype=np.int64)).astype(np.float64)
    sums = np.zeros((len(counts), *rows.shape[1:]))
    np.add.at(sums, np.asarray(owners, dtype=np.int64), rows)
    return sums / counts.reshape(-1, *[1] * (rows.ndim - 1))
