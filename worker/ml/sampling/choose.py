"""Choosing the next token of each row: temperature, top-k, and one given random number per row."""

import math

import torch

from worker.ml.errors import MlError

_BLOCK = 128


def top_k_of(vocabulary: int, share: float) -> int:
    """Returns how many tokens stay possible: ceil(share * vocabulary), at least 1."""
    return min(vocabulary, max(1, math.ceil(share * vocabulary - 1e-9)))


def choose_tokens(
    logits: torch.Tensor, temperatures: torch.Tensor, uniforms: torch.Tensor, top_k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Returns (chosen token ids, their ln p at temperature 1 over the whole vocabulary), both
    (rows,).

    logits: (rows, vocabulary). temperatures: (rows,), above 0; at 0.01 and below practically the
    most probable token. uniforms: (rows,) float64 in [0, 1): the token is where the cumulative
    distribution, in the order of token ids, passes this number. The order of ids, unlike the order
    of probabilities, cannot be turned around by the rounding of a near tie; sums are float64.
    Raises MlError if probabilities are not finite.
    As in ILLUME: first the k most probable tokens, then softmax at the temperature.
    """
    logits = logits.float()
    vocabulary = logits.shape[-1]
    highest = logits.amax(dim=-1, keepdim=True)
    weights = ((logits - highest) / temperatures.unsqueeze(-1).to(logits.dtype)).exp_()
    if top_k < vocabulary:
        least = logits.topk(top_k, dim=-1, sorted=False).values.amin(dim=-1, keepdim=True)
        weights.masked_fill_(logits < least, 0.0)
    tokens = _where_passed(weights, uniforms)
    chosen = logits.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return tokens, chosen - torch.logsumexp(logits, dim=-1)


def _where_passed(weights: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """The first place, (rows,), where the running sum of `weights` (rows, n) passes the share
    `uniforms` (rows,) of the whole. In two steps, blocks and then places in a block: torch sums
    blocks ten times as fast as it makes running sums."""
    n = weights.shape[-1]
    blocks = torch.nn.functional.pad(weights, (0, -n % _BLOCK)).view(len(weights), -1, _BLOCK)
    upto = blocks.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    if not bool(torch.isfinite(upto[:, -1]).all()):
        raise MlError(
            "The model's probabilities are not finite numbers. If it runs in float16, choose "
            "bfloat16 or float32; otherwise its weights or its adapter are damaged."
        )
    aim = uniforms.to(upto.dtype).unsqueeze(-1) * upto[:, -1:]
    # A number so close to 1 that the product rounds up to the total would point past the end.
    number = torch.searchsorted(upto, aim, right=True).clamp_(max=upto.shape[-1] - 1)
    before = torch.where(number > 0, upto.gather(-1, (number - 1).clamp_(min=0)), 0.0)
    block = blocks.gather(1, number.unsqueeze(-1).expand(-1, -1, _BLOCK)).squeeze(1)
    within = torch.searchsorted(block.cumsum(-1, dtype=torch.float64) + before, aim, right=True)
    # Sums in another order may differ in the last digit: never past the last possible token.
    places = torch.arange(_BLOCK, device=weights.device)
    last = torch.where(block > 0, places, 0).amax(dim=-1, keepdim=True)
    return (number * _BLOCK + torch.minimum(within, last)).squeeze(-1)
