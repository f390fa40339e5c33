"""Admits judged rationales to training by one policy, which is previewed before it is applied."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import UserKind
from app.models import Round
from app.queries.rounds import votes as queries
from app.round_settings import AdmissionSettings, LoopSettings


@dataclass(frozen=True)
class AdmissionPreview:
    """The counts of what a policy admits, and of the items that have votes."""

    n_rationales: int
    n_items: int
    n_judged_items: int


@dataclass(frozen=True)
class VoteCounts:
    """The votes of a round, items with the same votes together: enough to try every policy."""

    kinds: Mapping[queries.Votes, int]
    """How many items have these votes on their candidates."""

    def preview(self, settings: AdmissionSettings) -> AdmissionPreview:
        """Returns what the policy would admit."""
        n_rationales = n_items = n_judged = 0
        for votes, n_alike in self.kinds.items():
            n_admitted = sum(is_admitted(*each, settings) for each in votes)
            n_rationales += n_admitted * n_alike
            n_items += n_alike if n_admitted else 0
            n_judged += n_alike
        return AdmissionPreview(n_rationales, n_items, n_judged)


def is_admitted(n_fits: int, n_votes: int, settings: AdmissionSettings) -> bool:
    """Whether `n_fits` of `n_votes` admit a rationale. A tie is no majority."""
    if n_fits == 0:
        return False
    match settings.policy:
        case "any":
            return True
        case "majority":
            return 2 * n_fits > n_votes
        case "unanimous":
            return n_fits == n_votes
        case "at_least":
            return n_fits >= settings.threshold


def judge_kind(round_: Round) -> UserKind:
    """Returns whose votes a round counts, of people or of critics: they are never mixed."""
    judges = LoopSettings.model_validate(round_.settings).judging.judges
    return UserKind.PERSON if judges.are_people else UserKind.CRITIC


def count_votes(session: Session, round_: Round) -> VoteCounts:
    """Count the votes of a round, once for all policies."""
    return VoteCounts(queries.count_alike(session, round_.id, judge_kind(round_)))


def admit(
    session: Session,
    round_: Round,
    settings: AdmissionSettings,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> AdmissionPreview:
    """Store the admissions of a round, some items at a time; returns how much was admitted.

    Repeating it gives the same rows. on_progress: is told the items done, and of how many.
    """
    queries.delete_admissions(session, round_.id)
    kind = judge_kind(round_)
    policy = settings.policy if settings.policy != "at_least" else f"at_least_{settings.threshold}"
    ranges = queries.list_round_ranges(session, round_.id)
    n_all = sum(range_.size for range_ in ranges)
    n_done = n_rationales = n_items = n_judged = 0
    for range_ in ranges:
        on_progress(n_done, n_all)
        votes = queries.list_votes(session, round_.id, kind, range_)
        admitted = [vote for vote in votes if is_admitted(vote.n_fits, vote.n_votes, settings)]
        queries.insert_admissions(session, round_.id, admitted, policy=policy, judge_kind=kind)
        n_done += range_.size
        n_rationales += len(admitted)
        n_items += len({vote.item_id for vote in admitted})
        n_judged += len({vote.item_id for vote in votes})
    return AdmissionPreview(n_rationales, n_items, n_judged)
