"""Let the round's critic judge, on a worker without torch."""

from sqlalchemy.orm import Session

from app.models import Round
from app.queries.runs.runs import get_run
from app.services.rounds.critic_judging import judge_round
from app.services.rounds.moving_on import finish_round_run
from worker.host.persist import persist


def judge(run_id: int, attempt: int) -> None:
    """Judge a whole round in one transaction; a second try after a crash starts clean."""

    def action(session: Session) -> None:
        run = get_run(session, run_id)
        round_ = session.get_one(Round, run.round_id)
        figures = judge_round(session, round_)
        finish_round_run(session, run_id, attempt=attempt, result=figures)

    persist(action)
