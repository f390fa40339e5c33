"""Asking for the evidence of a round: a run, nothing more. A worker measures."""

from sqlalchemy.orm import Session

from app.kit.sentences import Sentence
from app.lifecycle import Job
from app.models import Round, Run, User
from app.queries.quality import evidence as queries
from app.queries.quality.comparisons import has_compared
from app.queries.rounds.questions import has_asked
from app.services.refusals import NothingJudged, RunLive
from app.services.runs import runs


def request_evidence(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Request the run that gathers the evidence of a round anew; returns it.

    Raises Conflict where no person has judged anything that counts or is compared, and the model
    asked nothing about images, or where such a run lives already.
    """
    is_judged = queries.has_judgements(session, round_.id)
    if not (is_judged or has_compared(session, round_.id) or has_asked(session, round_.id)):
        raise NothingJudged(
            Sentence(
                "Nobody has judged anything in round %(number)s so far, so there is nothing to "
                "measure.",
                number=round_.number,
            )
        )
    return runs.request_run(
        session, project_id=round_.project_id, round_id=round_.id, job=Job.ASSESS, actor=actor
    )


def request_where_judged(session: Session, round_: Round) -> None:
    """Request the evidence of a round that closes. Nothing happens where nobody judged, or where it
    was asked for just before; questions of the model are counted by the run that closes."""
    if not queries.has_judgements(session, round_.id) and not has_compared(session, round_.id):
        return
    try:
        request_evidence(session, round_, actor=None)
    except RunLive:
        return
