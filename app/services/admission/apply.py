"""Stores what a policy admits, for training and releases, and what it decided with."""

from collections.abc import Mapping

import numpy as np
from sqlalchemy.orm import Session

from app.metrics.dawid_skene import Estimate, RightOfAsked
from app.models import Round
from app.queries.admission import admissions as queries
from app.queries.admission.adjudications import list_adjudicated
from app.round_settings import AdmissionSettings
from app.run_results import KnownBefore, WeighedPerson, Weighing
from app.services.admission.policies import EVERYBODY, SHARE_FITTING, Decisions, decide
from app.services.admission.preview import AdmissionPreview
from app.services.admission.votes import OnProgress, VoteMatrix, load_votes, tell_nobody

STORED_AT_ONCE = 10_000
"""Admissions in one statement."""


def admit(
    session: Session,
    round_: Round,
    settings: AdmissionSettings,
    on_progress: OnProgress = tell_nobody,
    *,
    checked: Mapping[int, RightOfAsked] | None = None,
) -> AdmissionPreview:
    """Admit by a policy in place of what was admitted; returns how much it is. What adjudicators
    decided outranks it.

    Repeating it gives the same rows. on_progress: is told the items done, and of how many.
    checked: by user, right answers about check items, for a policy that weighs people.
    """
    decisions = decide(
        load_votes(session, round_, on_progress),
        settings,
        checked=checked,
        adjudicated=list_adjudicated(session, round_.id),
    )
    queries.delete_admissions(session, round_.id)
    _store(session, round_, decisions)
    admitted = decisions.count()
    weighing = describe_weighing(decisions, settings, checked or {})
    queries.store_decision(
        session,
        round_.id,
        policy=decisions.policy,
        n_rationales=admitted.n_rationales,
        n_items=admitted.n_items,
        n_judged_items=admitted.n_judged_items,
        n_disputed=decisions.n_disputed,
        n_adjudicated=int(np.count_nonzero(decisions.is_adjudicated)),
        weighing=weighing.dump() if weighing else None,
    )
    return admitted


def describe_weighing(
    decisions: Decisions, settings: AdmissionSettings, checked: Mapping[int, RightOfAsked]
) -> Weighing | None:
    """Returns how people were weighed, as it is stored; None where votes were only counted."""
    estimate = decisions.estimate
    if estimate is None:
        return None
    return Weighing(
        probability=settings.probability,
        share_fitting=estimate.share_fitting,
        n_iterations=estimate.n_iterations,
        log_likelihood=estimate.log_likelihood,
        before=KnownBefore(
            fitting=(float(EVERYBODY.fitting_right), float(EVERYBODY.fitting_asked)),
            others=(float(EVERYBODY.others_right), float(EVERYBODY.others_asked)),
            share_fitting=SHARE_FITTING,
        ),
        n_checked=sum(user_id in checked for user_id in decisions.matrix.user_ids.tolist()),
        people=tuple(_weighed_people(decisions.matrix, estimate)),
    )


def _weighed_people(matrix: VoteMatrix, estimate: Estimate) -> list[WeighedPerson]:
    n_votes = np.bincount(matrix.votes.person, minlength=matrix.votes.n_people)
    return [
        WeighedPerson(user_id=user_id, n_votes=n, sensitivity=sensitivity, specificity=specificity)
        for user_id, n, sensitivity, specificity in zip(
            matrix.user_ids.tolist(),
            n_votes.tolist(),
            estimate.sensitivity.tolist(),
            estimate.specificity.tolist(),
            strict=True,
        )
    ]


def _store(session: Session, round_: Round, decisions: Decisions) -> None:
    matrix, estimate = decisions.matrix, decisions.estimate
    admitted = decisions.is_admitted.nonzero()[0]
    for start in range(0, admitted.size, STORED_AT_ONCE):
        some = admitted[start : start + STORED_AT_ONCE]
        queries.insert_admissions(
            session,
            round_.id,
            candidate_ids=matrix.candidate_ids[some].tolist(),
            item_ids=matrix.item_ids[some].tolist(),
            n_fits=decisions.n_fits[some].tolist(),
            n_votes=decisions.n_votes[some].tolist(),
            probabilities=estimate.probability[some].tolist() if estimate else [None] * some.size,
            are_adjudicated=decisions.is_adjudicated[some].tolist(),
            policy=decisions.policy,
            judge_kind=matrix.judge_kind,
        )
