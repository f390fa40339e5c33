"""Setting a person's answers of an open round apart, after an admin said so, and giving them back.

Their votes do not count then, and their items go back to the queue for others. Nothing that the
person said is lost; what was admitted in earlier rounds stays, and is shown.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.quality import AnswersGivenBack, AnswersWithdrawn
from app.kit.sentences import Sentence
from app.lifecycle import JUDGEABLE_ROUND
from app.models import Project, Round, User
from app.queries.judging import leases as lease_queries
from app.queries.quality import withdrawing as queries
from app.queries.rounds import rounds as round_queries
from app.round_settings import LoopSettings
from app.services.admission.preview import is_admitted
from app.services.events import record
from app.services.judging.judgements import write_further
from app.services.judging.opinions import opinion_of
from app.services.judging.settling import settle_again
from app.services.refusals import RoundNotJudging


def withdraw_answers(session: Session, round_: Round, user: User, *, actor: User) -> int:
    """Set apart what a person submitted in a round that is being judged; returns how much it was.

    What they hold of it is let go. Raises Conflict where the round is not being judged.
    """
    round_ = _lock(session, round_)
    lease_queries.give_back_held_in_round(session, user.id, round_id=round_.id)
    ids = queries.list_votes_of(session, round_.id, user.id)
    if ids:
        queries.lock_places(session, ids)
        queries.withdraw(session, ids, now=datetime.now(UTC))
        session.expire_all()
        record(
            session,
            AnswersWithdrawn(user_id=user.id, n_answers=len(ids)),
            project_id=round_.project_id,
            round_id=round_.id,
            actor=actor,
        )
    return len(ids)


def give_answers_back(session: Session, round_: Round, user: User, *, actor: User) -> int:
    """Let what was set apart count again; returns how much it was.

    An item that others have filled meanwhile has one vote more then. Raises Conflict where the
    round is not being judged.
    """
    round_ = _lock(session, round_)
    ids = queries.list_withdrawn(session, round_.id, user.id)
    if ids:
        queries.lock_places(session, ids)
        queries.give_back(session, ids, now=datetime.now(UTC))
        settings = LoopSettings.model_validate(round_.settings).judging
        places = {place.id: place for place in queries.lock_places(session, ids)}
        for judgement in queries.list_judgements(session, ids):
            place = places[judgement.round_item_id]
            write_further(session, judgement, place.item_id, opinion_of(judgement))
            settle_again(session, place, settings)
        record(
            session,
            AnswersGivenBack(user_id=user.id, n_answers=len(ids)),
            project_id=round_.project_id,
            round_id=round_.id,
            actor=actor,
        )
    return len(ids)


def count_resting_on(session: Session, project: Project, user: User) -> tuple[int, int]:
    """Returns how many admitted rationales of a project carry a person's vote, and how many of them
    its policy would not have admitted without it."""
    n_all = n_alone = 0
    counted = queries.count_admitted_votes(session, project.id, user.id)
    for round_id, n_fits, n_votes, is_adjudicated, n in counted:
        settings = LoopSettings.model_validate(session.get_one(Round, round_id).settings)
        n_all += n
        if is_adjudicated:
            continue  # it would be admitted whoever voted
        if n_votes == 1 or not is_admitted(n_fits - 1, n_votes - 1, settings.admission):
            n_alone += n
    return n_all, n_alone


def _lock(session: Session, round_: Round) -> Round:
    """Lets nobody judge in the round until the end of the transaction."""
    round_ = round_queries.lock_round(session, round_.id)
    if round_.status not in JUDGEABLE_ROUND:
        raise RoundNotJudging(
            Sentence(
                "Round %(number)s is %(status)s; answers can be set apart, or given back, only "
                "while it is judged.",
                number=round_.number,
                status=round_.status,
            )
        )
    return round_
