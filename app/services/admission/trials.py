"""Tries every policy on the votes of a round, and stores what they admit and where they differ."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from sqlalchemy.orm import Session

from app.metrics.dawid_skene import RightOfAsked
from app.models import Round
from app.policy_trials import AdmissionTrials, PolicyDifference, PolicyTrial
from app.queries.admission import tallies as queries
from app.queries.admission.adjudications import count_decisions, list_adjudicated
from app.round_settings import LoopSettings
from app.services.admission.apply import STORED_AT_ONCE, describe_weighing
from app.services.admission.policies import Decisions, decide
from app.services.admission.preview import list_policies
from app.services.admission.votes import count_items, load_votes


def try_policies(
    session: Session, round_: Round, *, checked: Mapping[int, RightOfAsked] | None = None
) -> AdmissionTrials:
    """Returns what each policy would admit now, and where two of them differ; the votes are kept
    (`candidate_tally`), so that pages can list it.

    checked: by user, right answers about check items, for a policy that weighs people.
    """
    settings = LoopSettings.model_validate(round_.settings)
    n_submitted = queries.count_submitted(session, round_.id)
    matrix = load_votes(session, round_)
    policies = list_policies(settings)
    n_decisions, decided_at = count_decisions(session, round_.id)
    adjudicated = list_adjudicated(session, round_.id)
    tried = [
        decide(matrix, policy, checked=checked, adjudicated=adjudicated) for policy in policies
    ]
    weighed = next((entry for entry in tried if entry.estimate is not None), None)
    _store(session, round_, tried[0], weighed)
    return AdmissionTrials(
        n_submitted=n_submitted,
        n_judged_items=matrix.n_items,
        n_judged=matrix.votes.n_candidates,
        n_disputed=tried[0].n_disputed,
        n_adjudicated=int(np.count_nonzero(tried[0].is_adjudicated)),
        n_decisions=n_decisions,
        decided_at=decided_at,
        policies=tuple(_trial(entry) for entry in tried),
        differences=tuple(_compare(one, other) for one, other in combinations(tried, 2)),
        weighing=describe_weighing(weighed, policies[-1], checked or {}) if weighed else None,
    )


def _trial(tried: Decisions) -> PolicyTrial:
    admitted = tried.count()
    return PolicyTrial(
        policy=tried.policy,
        n_rationales=admitted.n_rationales,
        n_items=admitted.n_items,
        n_overruled=tried.n_overruled,
    )


def _compare(one: Decisions, other: Decisions) -> PolicyDifference:
    only_one = one.is_admitted & ~other.is_admitted
    only_other = other.is_admitted & ~one.is_admitted
    return PolicyDifference(
        policy=one.policy,
        other=other.policy,
        n_only_policy=int(np.count_nonzero(only_one)),
        n_only_other=int(np.count_nonzero(only_other)),
        n_items=count_items(one.matrix.item_ids[only_one | only_other]),
    )


def _store(session: Session, round_: Round, counted: Decisions, weighed: Decisions | None) -> None:
    """Keep the votes on every candidate, in place of older ones."""
    matrix = counted.matrix
    estimate = weighed.estimate if weighed else None
    queries.delete_tallies(session, round_.id)
    for start in range(0, matrix.votes.n_candidates, STORED_AT_ONCE):
        some = slice(start, start + STORED_AT_ONCE)
        ids = matrix.candidate_ids[some].tolist()
        queries.insert_tallies(
            session,
            round_.id,
            item_ids=matrix.item_ids[some].tolist(),
            candidate_ids=ids,
            n_fits=counted.n_fits[some].tolist(),
            n_votes=counted.n_votes[some].tolist(),
            probabilities=estimate.probability[some].tolist() if estimate else [None] * len(ids),
            adjudicated=[
                bool(fits) if is_adjudicated else None
                for is_adjudicated, fits in zip(
                    counted.is_adjudicated[some], counted.is_admitted[some], strict=True
                )
            ],
        )
