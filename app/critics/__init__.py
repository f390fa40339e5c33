"""Programs that give verdicts, by name: `exact`, `rouge:0.5`. Their figures never mix with
people's.

A critic is loaded by whoever asks for it: judging by people needs neither scenes nor NumPy.
"""

from app.critics.base import Critic, CriticError, CriticItem, Fault, Verdict
from app.kit.errors import InvalidInput

__all__ = [
    "Critic",
    "CriticError",
    "CriticItem",
    "Fault",
    "Verdict",
    "get_critic",
]


def get_critic(spec: str) -> Critic:
    """Returns the critic that `spec` names. Raises InvalidInput for anything else."""
    if spec == "exact":
        from app.critics.exact import ExactCritic

        return ExactCritic()
    name, _, value = spec.partition(":")
    if name == "rouge" and value:
        try:
            threshold = float(value)
        except ValueError:
            threshold = -1.0
        if 0 < threshold <= 1:
            from app.critics.rouge import RougeCritic

            return RougeCritic(threshold)
        raise InvalidInput(f"The threshold of `{spec}` must be a number above 0 and at most 1.")
    raise InvalidInput(
        f"Unknown critic `{spec}`: use `exact` (rendered scenes) or `rouge:0.5` (gold rationales)."
    )
