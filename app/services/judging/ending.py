"""The end of judging: asked for by the last answer, the sweep or an admin. A worker does the rest.

Asking costs little, whatever the size of the round, and asking twice is the same as asking once.
"""

from functools import partial

from sqlalchemy.orm import Session

from app.kit.db import on_commit, session_scope
from app.kit.sentences import Sentence
from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import Round, Run, User
from app.queries.admission.adjudications import has_undecided
from app.queries.rounds import rounds as queries
from app.queries.runs.runs import find_latest_run
from app.round_settings import LoopSettings
from app.services.judging.branches import cancel_branches
from app.services.judging.settling import is_all_settled, settle_skipped
from app.services.refusals import RoundNotJudging
from app.services.round_status import advance
from app.services.runs import runs


def end_judging(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Let nobody judge any more and request the run that closes the round; returns that run.

    What people hold is released, with its content kept. A round that closes already keeps its run.
    Raises Conflict where the round is neither in judging nor closing.
    """
    round_ = queries.lock_round(session, round_.id)
    if round_.status is RoundStatus.CLOSING:
        requested = find_latest_run(session, round_.id, Job.CLOSE)
        if requested is not None and requested.status is not RunStatus.CANCELLED:
            return requested
    elif round_.status is RoundStatus.JUDGING:
        queries.release_judgements(session, round_.id)
        cancel_branches(session, round_.id)
        advance(session, round_, RoundStatus.CLOSING, actor=actor)
    else:
        raise RoundNotJudging(
            Sentence(
                "Round %(number)s is %(status)s; only judging can be closed.",
                number=round_.number,
                status=round_.status,
            )
        )
    return runs.request_run(
        session, project_id=round_.project_id, round_id=round_.id, job=Job.CLOSE, actor=actor
    )


def end_if_all_judged(session: Session, round_id: int) -> bool:
    """End judging where the round goes on by itself and nothing is left to judge, nor to adjudicate
    where its policy waits for that; returns whether.

    Items that only people who skipped them could still take are settled first, in every round.
    """
    round_ = queries.lock_round(session, round_id)
    if round_.status is not RoundStatus.JUDGING:
        return False
    settle_skipped(session, round_)
    settings = LoopSettings.model_validate(round_.settings)
    if not settings.auto_advance or queries.has_unjudged_items(session, round_id):
        return False
    if settings.admission.waits_for_adjudicators and has_undecided(session, round_id):
        return False
    end_judging(session, round_, actor=None)
    return True


def end_soon(session: Session, round_id: int) -> None:
    """Ends judging after the commit if nothing is left to judge.

    In a transaction of its own: two people who submit the last two items at the same moment do not
    see each other's before. The sweep does the same, where nobody asks.
    """
    on_commit(session, partial(_end_now, round_id))


def _end_now(round_id: int) -> None:
    with session_scope() as session:
        if is_all_settled(session, round_id):
            end_if_all_judged(session, round_id)
