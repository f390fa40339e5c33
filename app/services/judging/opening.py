"""Opening an item to judge: the one action that reserves it and notes what its page shows.

Pages store nothing themselves. A route opens the item first, and then shows it.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.models import Judgement, Project, Round, User
from app.queries.judging import leases as queries
from app.queries.judging.access import RoundAccess
from app.queries.projects.guidelines import put_reading
from app.services.judging.ending import end_soon
from app.services.judging.leases import hand_out_item, require_judgeable


def open_next_item(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement | None:
    """Reserve the next item for a person who comes to judge. None where nothing is left for them.

    Raises Conflict where the round cannot be judged now.
    """
    require_judgeable(round_)
    queries.lock_person(session, user.id)
    return open_following_item(session, round_, user, now=now)


def open_following_item(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement | None:
    """Reserve the next item for a person who is locked, after another one of an open round.

    Whoever finds nothing more to judge asks whether the round is over.
    """
    judgement = hand_out_item(session, round_, user, now=now or datetime.now(UTC))
    if judgement is None:
        end_soon(session, round_.id)
    return judgement


def note_guidelines(session: Session, access: RoundAccess, judgement: Judgement | None) -> None:
    """Note which guidelines a person gets to see beside an item, or beside an empty queue.

    A judgement that can be changed names the newest version, since that is the one beside it. At
    their first look in a project the person has read all that there is; later they are told what
    changed.
    """
    project = access.project
    if judgement is not None and judgement.status in queries.HELD:
        _name_version(judgement, project)
    if access.guidelines_read is None:
        put_reading(session, project.id, access.user.id, project.guidelines_version)


def _name_version(judgement: Judgement, project: Project) -> None:
    if judgement.guidelines_version != project.guidelines_version:
        judgement.guidelines_version = project.guidelines_version
