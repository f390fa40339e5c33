"""The JSON of policies that were tried on the votes of a round; a kind of its evidence.

Apart from the other kinds (app/evidence.py), which say whom to trust and not what is admitted.
"""

from datetime import datetime

from app.run_results import StoredJson, Weighing


class PolicyTrial(StoredJson):
    """What a policy would admit."""

    policy: str = ""
    """By the name that admissions keep, with its parameter."""
    n_rationales: int = 0
    n_items: int = 0
    n_overruled: int = 0
    """Rationales of which adjudicators decided otherwise than the policy would by the votes."""


class PolicyDifference(StoredJson):
    """What two policies decide differently: rationales that only one of them admits."""

    policy: str = ""
    other: str = ""
    n_only_policy: int = 0
    n_only_other: int = 0
    n_items: int = 0

    @property
    def n_rationales(self) -> int:
        return self.n_only_policy + self.n_only_other

    def turned(self) -> "PolicyDifference":
        """Returns the same with the two policies in the other order."""
        return PolicyDifference(
            policy=self.other,
            other=self.policy,
            n_only_policy=self.n_only_other,
            n_only_other=self.n_only_policy,
            n_items=self.n_items,
        )


class AdmissionTrials(StoredJson):
    """What each policy would admit, all tried on the same votes."""

    n_submitted: int = 0
    """Judgements of the round at that time: with more of them the figures are of yesterday."""
    n_judged_items: int = 0
    n_judged: int = 0
    """Rationales that anybody judged."""
    n_disputed: int = 0
    """Rationales on which people differ."""
    n_adjudicated: int = 0
    """Rationales with votes that adjudicators decided, for or against."""
    n_decisions: int = 0
    """All decisions of adjudicators at that time, also on what has no votes any more."""
    decided_at: datetime | None = None
    """When the last of them was made."""
    policies: tuple[PolicyTrial, ...] = ()
    differences: tuple[PolicyDifference, ...] = ()
    weighing: Weighing | None = None

    def find_trial(self, policy: str) -> PolicyTrial | None:
        """Returns what a policy of this name would admit; None where it was not tried."""
        return next((trial for trial in self.policies if trial.policy == policy), None)

    def find_difference(self, policy: str, other: str) -> PolicyDifference | None:
        """Returns what two policies decide differently; None where they were not compared."""
        for found in self.differences:
            if (found.policy, found.other) == (policy, other):
                return found
        return None
