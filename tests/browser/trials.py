"""Evidence of a round as a job would have stored it."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import EvidenceKind, Job, RunStatus
from app.models import CandidateTally, Project, Round, RoundCandidate, RoundEvidence
from app.policy_trials import AdmissionTrials, PolicyDifference, PolicyTrial
from tests.support.factories import make_run


def store_trials(session: Session, round_id: int) -> int:
    """Store that policies were tried on a round, and differ on each of its candidates; returns the
    round's number in the database."""
    round_ = session.get_one(Round, round_id)
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.ASSESS, round_=round_)
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    shown = session.scalars(select(RoundCandidate).where(RoundCandidate.round_id == round_id)).all()
    for entry in shown:
        session.add(
            CandidateTally(
                round_id=round_id, item_id=entry.item_id, candidate_id=entry.candidate_id,
                n_fits=2, n_votes=3, probability=0.7,
            )
        )  # fmt: skip
    n = len(shown)
    tried = AdmissionTrials(
        n_judged=n,
        policies=(
            PolicyTrial(policy="majority", n_rationales=n, n_items=n),
            PolicyTrial(policy="dawid_skene_0.9"),
        ),
        differences=(
            PolicyDifference(
                policy="majority", other="dawid_skene_0.9", n_only_policy=n, n_items=n
            ),
        ),
    )
    session.add(
        RoundEvidence(
            round_id=round_id, kind=EvidenceKind.ADMISSION, figures=tried.dump(), run_id=run.id,
            run_attempt=run.attempt,
        )
    )  # fmt: skip
    session.flush()
    return round_id
