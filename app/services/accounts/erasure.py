"""People who are erased: their account and their own words go, an author without a name stays.

What they judged stays, so that admissions and figures keep their ground; where it is asked for,
judgements that no release holds go too. Releases never change: what was released of them, better
texts among it, stays there under the pseudonym, and later releases leave the words out and say so.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.events.accounts import UserErased
from app.kit.errors import Conflict, NotAllowed
from app.kit.sentences import Sentence
from app.lifecycle import JudgementStatus
from app.models import User
from app.queries.accounts import erasure as queries
from app.queries.accounts.users import lock_active_admins
from app.services.accounts.pseudonyms import pseudonym
from app.services.events import record
from app.services.judging.leases import give_back_all
from app.services.judging.skip_reasons import ERASED_REASON, SKIP_REASONS
from app.services.refusals import AccountErased, LastAdmin, NameNotRepeated, NotOneself

ERASED_MARK = "\u2060"
"""Ends the names of erased people: nobody sees it, and no account can be given such a name."""
SET_ASIDE_REASON = Sentence("Annotators skipped it.")


def erase_person(
    session: Session,
    user: User,
    *,
    typed_name: str,
    with_judgements: bool = False,
    actor: User | None,
) -> int:
    """Erase a person for ever, and return how many submitted judgements were deleted.

    Args:
        with_judgements: also delete what they judged, where no release holds it.

    Raises:
        InvalidInput: the name that was typed is not theirs.
        NotAllowed: the one who asks is no administrator any more.
        Conflict: it is oneself, the last administrator, somebody erased before, or a training that
            is not over reads their texts.
    """
    # Administrators first, as all who change accounts do; then the items, then the person.
    _check_admins(session, user, actor)
    queries.lock_places(session, user.id)
    person = queries.lock_person(session, user.id)
    if person.erased_at is not None:
        raise AccountErased(Sentence("This person is erased already."))
    if " ".join(typed_name.split()) != person.name:
        raise NameNotRepeated(Sentence("Type the name of the person as it stands here."))
    if queries.is_training_on(session, person.id):
        raise Conflict(
            Sentence("A training reads texts of this person: wait until its round is over.")
        )
    give_back_all(session, person.id)
    now = datetime.now(UTC)
    queries.delete_account_rows(session, person.id)
    queries.delete_words(
        session,
        person.id,
        kept_reasons=[str(reason) for reason in SKIP_REASONS],
        instead=ERASED_REASON,
        set_aside_reason=SET_ASIDE_REASON,
        now=now,
    )
    n_deleted = _delete_unreleased(session, person) if with_judgements else 0
    _close(person, now)
    record(session, UserErased(user_id=person.id, n_deleted=n_deleted), actor=actor)
    session.flush()  # what is still to be written goes before all is read anew
    session.expire_all()  # objects that were read before do not say what is gone
    return n_deleted


def _check_admins(session: Session, user: User, actor: User | None) -> None:
    admins = set(lock_active_admins(session))
    if actor is not None and actor.id not in admins:
        raise NotAllowed(Sentence("You are no administrator of this installation any more."))
    if actor is not None and actor.id == user.id:
        raise NotOneself(Sentence("You cannot erase yourself: ask another administrator."))
    if admins == {user.id}:
        raise LastAdmin(Sentence("This is the last administrator: make somebody else one first."))


def _close(person: User, now: datetime) -> None:
    person.name = f"erased person {person.id}{ERASED_MARK}"
    person.name_twin = person.id  # also where somebody has a name that looks like it
    person.password_hash, person.language, person.judging_keys = None, None, {}
    person.is_admin = False
    person.disabled_at = person.disabled_at or now
    person.erased_at = now


def _delete_unreleased(session: Session, person: User) -> int:
    n_submitted = 0
    for project in queries.list_judged_projects(session, person.id):
        released = queries.list_released(session, project.id, pseudonym(project, person.id))
        free = [
            (judgement_id, status)
            for judgement_id, item_id, number, status in queries.list_free_judgements(
                session, person.id, project.id
            )
            if (item_id, number) not in released
        ]
        queries.delete_judgements(session, [judgement_id for judgement_id, _ in free])
        n_submitted += sum(status is JudgementStatus.SUBMITTED for _, status in free)
    return n_submitted
