"""Stores what a policy admits, so that it can be trained on and released."""

from sqlalchemy.orm import Session

from app.models import Round
from app.queries.admission import votes as queries
from app.round_settings import AdmissionSettings
from app.services.admission.policies import Decisions, decide
from app.services.admission.preview import AdmissionPreview
from app.services.admission.votes import OnProgress, load_votes, tell_nobody

STORED_AT_ONCE = 10_000
"""Admissions in one statement."""


def admit(
    session: Session,
    round_: Round,
    settings: AdmissionSettings,
    on_progress: OnProgress = tell_nobody,
) -> AdmissionPreview:
    """Admit by a policy in place of what was admitted; returns how much it is.

    Repeating it gives the same rows. on_progress: is told the items done, and of how many.
    """
    decisions = decide(load_votes(session, round_, on_progress), settings)
    queries.delete_admissions(session, round_.id)
    _store(session, round_, decisions)
    return decisions.count()


def _store(session: Session, round_: Round, decisions: Decisions) -> None:
    matrix = decisions.matrix
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
            policy=decisions.policy,
            judge_kind=matrix.judge_kind,
        )
