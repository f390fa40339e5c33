"""ROUGE-L, as the COCO caption benchmark computes it.

Lin 2004, section 3.1, on whole texts: precision and recall of the longest common subsequence,
joined with beta = 1.2. With several references the best precision and the best recall are taken,
each for itself.
"""

from collections.abc import Sequence

from app.metrics.pairs import Tokenizer, Tokens, tokenize_pairs
from app.metrics.tokens import tokenize

BETA = 1.2


def rouge_l(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> float:
    """Returns the mean ROUGE-L over the items, between 0 and 1; 0 for no item."""
    scores = rouge_l_per_item(hypotheses, references, tokenizer)
    return sum(scores) / len(scores) if scores else 0.0


def rouge_l_per_item(
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: Tokenizer = tokenize,
) -> list[float]:
    pairs = tokenize_pairs(hypotheses, references, tokenizer)
    return [rouge_l_of_tokens(hypothesis, texts) for hypothesis, texts in pairs]


def rouge_l_of_tokens(hypothesis: Tokens, references: Sequence[Tokens]) -> float:
    """Returns the ROUGE-L of one tokenized hypothesis against its references."""
    precision = recall = 0.0
    for reference in references:
        common = common_subsequence_length(hypothesis, reference)
        if common:
            precision = max(precision, common / len(hypothesis))
            recall = max(recall, common / len(reference))
    if precision == 0.0 or recall == 0.0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def common_subsequence_length(left: Tokens, right: Tokens) -> int:
    """Returns the length of the longest common subsequence; memory grows with `right` only."""
    previous = [0] * (len(right) + 1)
    for token in left:
        current = [0]
        for column, other in enumerate(right, start=1):
            if token == other:
                current.append(previous[column - 1] + 1)
            else:
                current.append(max(previous[column], current[-1]))
        previous = current
    return previous[-1]
