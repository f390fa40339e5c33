"""Decides which candidates are admitted: votes in, decisions out. Pure: no session, no time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.metrics.dawid_skene import Estimate, RightOfAsked, count_votes, dawid_skene
from app.round_settings import AdmissionSettings
from app.services.admission.preview import AdmissionPreview, is_admitted
from app.services.admission.votes import VoteMatrix, count_items

EVERYBODY = RightOfAsked(fitting_right=8, fitting_asked=10, others_right=8, others_asked=10)
"""What is taken for granted of people of whom nothing is known: they are right in 8 of 10 answers
of either kind. It holds little against a hundred votes, and keeps a handful from saying all."""
SHARE_FITTING = (1.0, 2.0)
"""And of candidates, as if of two one had fitted."""

Counts = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a policy makes of votes: for each candidate of the matrix, whether it is admitted."""

    matrix: VoteMatrix
    policy: str
    """Its name, with its parameter, as admissions keep it."""
    n_fits: Counts
    n_votes: Counts
    is_admitted: Flags
    by_votes: Flags
    """What the votes alone would admit."""
    is_adjudicated: Flags
    """Whether an adjudicator decided it, whatever the votes say."""
    estimate: Estimate | None = None
    """Where the policy weighs people."""

    def count(self) -> AdmissionPreview:
        """Returns how much is admitted."""
        return AdmissionPreview(
            n_rationales=int(self.is_admitted.sum()),
            n_items=count_items(self.matrix.item_ids[self.is_admitted]),
            n_judged_items=self.matrix.n_items,
        )

    @property
    def n_overruled(self) -> int:
        """Returns of how many candidates an adjudicator decided otherwise than the votes."""
        return int(np.count_nonzero(self.is_admitted != self.by_votes))

    @property
    def n_disputed(self) -> int:
        """Returns of how many candidates some say that they fit and others that they do not."""
        return int(np.count_nonzero((self.n_fits > 0) & (self.n_fits < self.n_votes)))


def decide(
    matrix: VoteMatrix,
    settings: AdmissionSettings,
    *,
    checked: Mapping[int, RightOfAsked] | None = None,
    adjudicated: Mapping[int, bool] | None = None,
) -> Decisions:
    """Returns what the policy of these settings decides of each candidate.

    checked: by user, their right answers about check items of known kind, if any were asked.
    adjudicated: by candidate, whether adjudicators say that it fits: that outranks all votes.
    """
    n_fits, n_votes = count_votes(matrix.votes)
    estimate = weigh(matrix, checked or {}) if settings.weighs_people else None
    if estimate is None:
        by_votes = _are_admitted(n_fits, n_votes, settings)
    else:
        # What nobody calls fitting is never admitted, however little they are trusted.
        by_votes = (n_fits > 0) & (estimate.probability >= settings.probability)
    is_adjudicated, fits = _lay_over(matrix, adjudicated or {})
    is_admitted = np.where(is_adjudicated, fits, by_votes)
    return Decisions(
        matrix, settings.name, n_fits, n_votes, is_admitted, by_votes, is_adjudicated, estimate
    )


def _lay_over(matrix: VoteMatrix, adjudicated: Mapping[int, bool]) -> tuple[Flags, Flags]:
    """Returns of each candidate whether it is decided, and whether it then fits."""
    decided = np.array(sorted(adjudicated), dtype=np.int64)
    fits = np.array([adjudicated[one] for one in decided.tolist()], dtype=np.bool_)
    if not decided.size:
        nothing = np.zeros(matrix.candidate_ids.size, dtype=np.bool_)
        return nothing, nothing
    place = np.minimum(np.searchsorted(decided, matrix.candidate_ids), decided.size - 1)
    return decided[place] == matrix.candidate_ids, fits[place]


def weigh(matrix: VoteMatrix, checked: Mapping[int, RightOfAsked]) -> Estimate:
    """Returns how probable it is that each candidate fits, and how right each person is."""
    nothing = RightOfAsked()
    known = [checked.get(user_id, nothing) for user_id in matrix.user_ids.tolist()]
    of_checks = RightOfAsked(
        np.array([entry.fitting_right for entry in known], dtype=np.float64),
        np.array([entry.fitting_asked for entry in known], dtype=np.float64),
        np.array([entry.others_right for entry in known], dtype=np.float64),
        np.array([entry.others_asked for entry in known], dtype=np.float64),
    )
    return dawid_skene(matrix.votes, known=EVERYBODY + of_checks, fitting_known=SHARE_FITTING)


def _are_admitted(n_fits: Counts, n_votes: Counts, settings: AdmissionSettings) -> Flags:
    """Whether so many of so many votes admit a candidate, for each: every pair of counts is asked
    about once."""
    most = int(n_votes.max(initial=0)) + 1
    table = [[is_admitted(fits, votes, settings) for fits in range(most)] for votes in range(most)]
    return np.asarray(np.array(table)[n_votes, n_fits])
