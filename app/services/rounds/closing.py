"""A round is closed: what fits is admitted, and the training on it is planned and requested.

The work of the run that `services/judging/ending.py` requests. Items are gone through some at a
time, so that memory does not grow with the round, and all that is written is one transaction: until
its end nobody sees a round of which half is admitted, and a run that was killed begins anew.
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from app.events.rounds import JudgingClosed
from app.models import Round
from app.queries.runs.runs import get_run
from app.run_results import ClosingResult
from app.services.admission.apply import admit
from app.services.admission.checked import list_checked
from app.services.events import record
from app.services.judging.questions.tally import store_questions
from app.services.quality.asking import request_where_judged
from app.services.quality.doubts import store_doubts
from app.services.quality.found import store_found
from app.services.quality.yields import store_yields
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.questions import measure_grounding
from app.services.rounds.rounds import settings_of
from app.services.rounds.training_rows import plan_trainings

ADMITTING = "admitting rationales"
PLANNING = "planning the training"

OnProgress = Callable[[str, int, int], None]


def close_round(
    session: Session,
    run_id: int,
    *,
    attempt: int,
    on_progress: OnProgress = lambda _step, _done, _total: None,
) -> None:
    """Admit by the round's policy, request the training where there is anything for it, and the
    evidence where people judged, and finish the run. Without anything to train on the round is
    completed.

    on_progress: is told the step, the items done and of how many; may raise to stop.
    Raises LostRun when the run was taken over, or cancelled, meanwhile.
    """
    run = get_run(session, run_id)
    round_ = session.get_one(Round, run.round_id)
    settings = settings_of(round_)
    admitted = admit(
        session,
        round_,
        settings.admission,
        lambda done, total: on_progress(ADMITTING, done, total),
        checked=list_checked(session, round_.project_id),
    )
    record(
        session,
        JudgingClosed(n_rationales=admitted.n_rationales, n_items=admitted.n_items),
        project_id=round_.project_id,
        round_id=round_.id,
        actor=run.requested_by_id,
    )
    plan_trainings(
        session,
        round_,
        settings,
        actor=None,
        on_progress=lambda done, total: on_progress(PLANNING, done, total),
    )
    measure_grounding(session, round_)
    store_questions(session, round_, run_id=run_id, attempt=attempt)
    request_where_judged(session, round_)
    if not settings.judging.judges.are_people:  # else it is measured with the rest of the evidence
        store_yields(session, round_, run_id=run_id, attempt=attempt)
        store_doubts(session, round_, run_id=run_id, attempt=attempt)
        store_found(session, round_, run_id=run_id, attempt=attempt)
    finish_round_run(
        session,
        run_id,
        attempt=attempt,
        result=ClosingResult(
            n_rationales=admitted.n_rationales,
            n_items=admitted.n_items,
            n_judged_items=admitted.n_judged_items,
        ),
    )
