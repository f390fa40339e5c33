"""Says what each policy would admit, from one statement that counts the votes of a round."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Round
from app.queries.admission import votes as queries
from app.queries.admission.tallies import Rule
from app.round_settings import AdmissionSettings, LoopSettings


@dataclass(frozen=True)
class AdmissionPreview:
    """The counts of what a policy admits, and of the items that have votes."""

    n_rationales: int
    n_items: int
    n_judged_items: int


@dataclass(frozen=True)
class VoteCounts:
    """The votes of a round, items with the same votes together: enough for every policy that asks
    how many, and not who."""

    kinds: Mapping[tuple[queries.Votes, ...], int]
    """How many items have these votes on their candidates."""

    def preview(self, settings: AdmissionSettings) -> AdmissionPreview:
        """Returns what the policy would admit; what adjudicators decided outranks it."""
        n_rationales = n_items = n_judged = 0
        for votes, n_alike in self.kinds.items():
            n_admitted = sum(
                is_admitted(each.n_fits, each.n_votes, settings)
                if each.adjudicated is None
                else each.adjudicated
                for each in votes
            )
            n_rationales += n_admitted * n_alike
            n_items += n_alike if n_admitted else 0
            n_judged += n_alike
        return AdmissionPreview(n_rationales, n_items, n_judged)


def is_admitted(n_fits: int, n_votes: int, settings: AdmissionSettings) -> bool:
    """Whether `n_fits` of `n_votes` admit a rationale. A tie is no majority.

    Raises ValueError for a policy that must know who said so.
    """
    if n_fits == 0:
        return False
    match settings.policy:
        case "any":
            return True
        case "majority":
            return 2 * n_fits > n_votes
        case "unanimous" | "adjudicated":
            # Where people differ, an adjudicator decides instead.
            return n_fits == n_votes
        case "at_least":
            return n_fits >= settings.threshold
        case "dawid_skene":
            raise ValueError("Dawid–Skene weighs people, whom counts do not tell apart.")


def judge_kind(round_: Round) -> UserKind:
    """Returns whose votes a round counts, of people or of critics."""
    judges = LoopSettings.model_validate(round_.settings).judging.judges
    return UserKind.PERSON if judges.are_people else UserKind.CRITIC


def count_votes(session: Session, round_: Round) -> VoteCounts:
    """Count the votes of a round, once for all policies."""
    return VoteCounts(queries.count_alike(session, round_.id, judge_kind(round_)))


def preview_counted(
    session: Session, round_: Round, settings: AdmissionSettings
) -> AdmissionPreview | None:
    """Returns what a policy would admit, where counting is enough to know it; else None."""
    return None if settings.weighs_people else count_votes(session, round_).preview(settings)


MOST_VOTES = 20
"""No candidate has more: so many people judge an item at most."""


def list_policies(settings: LoopSettings) -> list[AdmissionSettings]:
    """Returns the policies that are tried for a round: its own among them, and people are weighed
    where people judge."""
    own = settings.admission
    policies = [
        AdmissionSettings(policy="any"),
        AdmissionSettings(policy="majority"),
        AdmissionSettings(policy="unanimous"),
    ]
    if own.policy in ("at_least", "adjudicated"):
        policies.append(own)
    if settings.judging.judges.are_people:
        policies.append(own.model_copy(update={"policy": "dawid_skene"}))
    return policies


def rule_of(settings: AdmissionSettings) -> Rule:
    """Returns what a policy admits, in numbers that a statement can compare with."""
    if settings.weighs_people:
        return Rule(probability=settings.probability)
    return Rule(
        votes=[
            (n_fits, n_votes)
            for n_votes in range(1, MOST_VOTES + 1)
            for n_fits in range(n_votes + 1)
            if is_admitted(n_fits, n_votes, settings)
        ]
    )
