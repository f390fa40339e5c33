"""Which judged rationales may be trained on: one policy, previewed before it is applied."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from app.lifecycle import Purpose, UserKind
from app.models import Admission, Round
from app.queries.rounds.candidates import list_votes
from app.round_settings import AdmissionSettings, LoopSettings


@dataclass(frozen=True)
class AdmissionPreview:
    n_rationales: int
    n_items: int
    n_judged_items: int


@dataclass(frozen=True)
class Vote:
    candidate_id: int
    item_id: int
    n_fits: int
    n_votes: int


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
    """People and critics are never mixed: a round counts the votes of one kind."""
    judges = LoopSettings.model_validate(round_.settings).judging.judges
    return UserKind.PERSON if judges == "people" else UserKind.CRITIC


def preview_admission(
    session: Session, round_: Round, settings: AdmissionSettings
) -> AdmissionPreview:
    votes = list(_votes(session, round_))
    admitted = [vote for vote in votes if is_admitted(vote.n_fits, vote.n_votes, settings)]
    return AdmissionPreview(
        n_rationales=len(admitted),
        n_items=len({vote.item_id for vote in admitted}),
        n_judged_items=len({vote.item_id for vote in votes}),
    )


def admit(session: Session, round_: Round, settings: AdmissionSettings) -> AdmissionPreview:
    """Store the admissions of a round. Repeating it gives the same rows."""
    session.execute(delete(Admission).where(Admission.round_id == round_.id))
    kind = judge_kind(round_)
    policy = settings.policy if settings.policy != "at_least" else f"at_least_{settings.threshold}"
    rows = [
        {
            "round_id": round_.id,
            "candidate_id": vote.candidate_id,
            "item_id": vote.item_id,
            "purpose": Purpose.TRAINING,
            "policy": policy,
            "judge_kind": kind,
            "n_fits": vote.n_fits,
            "n_votes": vote.n_votes,
        }
        for vote in _votes(session, round_)
        if is_admitted(vote.n_fits, vote.n_votes, settings)
    ]
    if rows:
        session.execute(insert(Admission), rows)
    return preview_admission(session, round_, settings)


def _votes(session: Session, round_: Round) -> Iterator[Vote]:
    for candidate_id, item_id, n_fits, n_votes in list_votes(
        session, round_.id, judge_kind(round_)
    ):
        yield Vote(candidate_id, item_id, n_fits, n_votes)
