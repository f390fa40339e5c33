"""Whether two ways of computing the same logits agree but for rounding: how every short cut is
tried on a model before it is taken."""

import torch

# Greatest difference of two logits, in units of the logits' spread, that is rounding.
TOLERANCE = {torch.float32: 2e-3, torch.float16: 5e-2, torch.bfloat16: 4e-1}


def difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """Returns the greatest difference of two sets of logits, in units of the second's spread."""
    spread = max(float(expected.float().std()), 1e-3)
    return float((got.float() - expected.float()).abs().max()) / spread


def is_rounding(found: float, dtype: torch.dtype) -> bool:
    """Whether a difference of logits is what numbers of this type leave."""
    return found <= TOLERANCE.get(dtype, TOLERANCE[torch.float32])
