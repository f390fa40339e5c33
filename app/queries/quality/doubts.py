"""What a model doubted of its own candidates in a round, and what was said of these."""

from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, UserKind
from app.models import Run, Sample
from app.queries.admission.votes import votes_statement
from app.queries.counted import counted_judgements
from app.strategies import SELF_QUESTIONING


class DoubtedVotes(NamedTuple):
    """A judged candidate that the model questioned. is_doubted: one of its answers differed."""

    candidate_id: int
    item_id: int
    is_doubted: bool
    n_fits: int
    n_votes: int


def list_doubted_votes(session: Session, round_id: int, judge_kind: UserKind) -> list[DoubtedVotes]:
    """Returns the candidates of a round of which the model asked itself something and of which
    judges of a kind said something, but for those who call the answer itself wrong."""
    # Draws of one text have the same doubts.
    questioned = (
        select(
            Sample.candidate_id,
            func.bool_or(Sample.trace["doubts"].contains([{"differs": True}])).label("is_doubted"),
        )
        .join(Run, Run.id == Sample.run_id)
        .where(
            Run.round_id == round_id,
            Run.job == Job.GENERATE,
            Sample.candidate_id.is_not(None),
            Sample.trace["kind"].astext == SELF_QUESTIONING.name,
            func.jsonb_array_length(Sample.trace["doubts"]) > 0,
        )
        .group_by(Sample.candidate_id)
        .subquery()
    )
    votes = (
        votes_statement(round_id, judge_kind).where(~counted_judgements.answer_is_wrong).subquery()
    )
    rows = session.execute(
        select(
            votes.c.candidate_id,
            votes.c.item_id,
            questioned.c.is_doubted,
            votes.c.n_fits,
            votes.c.n_votes,
        )
        .join(questioned, questioned.c.candidate_id == votes.c.candidate_id)
        .order_by(votes.c.item_id, votes.c.candidate_id)
    )
    return [DoubtedVotes(*row) for row in rows]
