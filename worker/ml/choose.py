"""Choosing the next token of each row: temperature, top-k, and one given random number per row."""

import math

import torch


def top_k_of(vocabulary: int, share: float) -> int:
    """How many tokens stay possible: ceil(share * vocabulary), at least 1."""
    return min(vocabulary, max(1, math.ceil(share * vocabulary - 1e-9)))


def choose_tokens(
    logits: torch.Tensor, temperatures: torch.Tensor, uniforms: torch.Tensor, top_k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """(chosen token ids, their ln p at temperature 1 over the whole vocabulary), both (rows,).

    logits: (rows, vocabulary). temperatures: (rows,), above 0; at 0.01 and below practically the
    most probable token. uniforms: (rows,) float64 in [0, 1): the token is where the cumulative
    distribution, in the order of token ids, passes this number. The order of ids, unlike the order
    of probabilities, cannot be turned around by the rounding of a near tie; sums are float64.
    As in ILLUME: first the k most probable tokens, then softmax at the temperature.
    """
    logits = logits.float()
    vocabulary = logits.shape[-1]
    highest = logits.amax(dim=-1, keepdim=True)
    weights = ((logits - highest) / temperatures.unsqueeze(-1).to(logits.dtype)).exp_()
    if top_k < vocabulary:
        least = logits.topk(top_k, dim=-1, sorted=False).values.amin(dim=-1, keepdim=True)
        weights.masked_fill_(logits < least, 0.0)
    cumulative = weights.cumsum(dim=-1, dtype=torch.float64)
    aim = uniforms.to(cumulative.dtype).unsqueeze(-1) * cumulative[:, -1:]
    tokens = torch.searchsorted(cumulative, aim, right=True).squeeze(-1)
    # A number so close to 1 that the product rounds up to the total would point past the end.
    tokens = torch.where(tokens < vocabulary, tokens, logits.argmax(dim=-1))
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return tokens, chosen - torch.logsumexp(logits, dim=-1)
