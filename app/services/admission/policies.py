"""Decides which candidates are admitted: votes in, decisions out. Pure: no session, no time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.metrics.dawid_skene import count_votes
from app.round_settings import AdmissionSettings
from app.services.admission.preview import AdmissionPreview, is_admitted
from app.services.admission.votes import VoteMatrix, count_items

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

    def count(self) -> AdmissionPreview:
        """Returns how much is admitted."""
        return AdmissionPreview(
            n_rationales=int(self.is_admitted.sum()),
            n_items=count_items(self.matrix.item_ids[self.is_admitted]),
            n_judged_items=self.matrix.n_items,
        )


def decide(matrix: VoteMatrix, settings: AdmissionSettings) -> Decisions:
    """Returns what the policy of these settings decides of each candidate."""
    n_fits, n_votes = count_votes(matrix.votes)
    return Decisions(
        matrix=matrix,
        policy=settings.name,
        n_fits=n_fits,
        n_votes=n_votes,
        is_admitted=_are_admitted(n_fits, n_votes, settings),
    )


def _are_admitted(n_fits: Counts, n_votes: Counts, settings: AdmissionSettings) -> Flags:
    """Whether so many of so many votes admit a candidate, for each: every pair of counts is asked
    about once."""
    most = int(n_votes.max(initial=0)) + 1
    table = [[is_admitted(fits, votes, settings) for fits in range(most)] for votes in range(most)]
    return np.asarray(np.array(table)[n_votes, n_fits])
