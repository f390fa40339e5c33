"""Look-ups for the gates of the judging pages: the person, the round, the judgement, and locks.

Locks are taken in one order: the person's own account row, the round (shared), the item of the
round, the judgement. A person's own actions are therefore serial; nobody ever waits for another
person's judgement, because only its owner and the release of expired leases touch it, and the
latter skips what is locked.
"""

from dataclasses import dataclass

from sqlalchemy import and_, bindparam, select, text
from sqlalchemy.orm import Session

from app.lifecycle import Role
from app.models import (
    GuidelinesReading,
    Judgement,
    Membership,
    Project,
    Round,
    RoundItem,
    User,
)
from app.queries.accounts.users import IS_SIGNED_IN


@dataclass(frozen=True, slots=True)
class RoundAccess:
    """A person at a round: the round, its project, the person, and their role, if they have one."""

    round_: Round
    project: Project
    user: User
    role: Role | None
    guidelines_read: int | None
    """The newest version of the guidelines that the person has read; none before the first look."""
    is_signed_in: bool
    """Whether the session that asks has not ended."""


@dataclass(frozen=True, slots=True)
class JudgementAccess(RoundAccess):
    """A person at one of their own judgements, which is not locked."""

    judgement: Judgement


@dataclass(frozen=True, slots=True)
class LockedJudgement(JudgementAccess):
    """A person at one of their own judgements, locked until the end of the transaction.

    The person and the round (shared) are locked with it.
    """


@dataclass(frozen=True, slots=True)
class LockedItem(LockedJudgement):
    """A locked judgement with its item of the round, locked too: slots and state can change."""

    round_item: RoundItem


_ROUND = (Round, Project, User, Membership.role, GuidelinesReading.number, IS_SIGNED_IN)
_IS_MEMBER = and_(Membership.project_id == Project.id, Membership.user_id == User.id)
_HAS_READ = and_(GuidelinesReading.project_id == Project.id, GuidelinesReading.user_id == User.id)
_ROUND_ACCESS = (
    select(*_ROUND)
    .select_from(Round)
    .join(Project, Project.id == Round.project_id)
    .join(User, User.id == bindparam("user_id"))
    .outerjoin(Membership, _IS_MEMBER)
    .outerjoin(GuidelinesReading, _HAS_READ)
    .where(Round.id == bindparam("round_id"))
)
_JUDGEMENT_ACCESS = (
    select(*_ROUND, Judgement)
    .select_from(Judgement)
    .join(Round, Round.id == Judgement.round_id)
    .join(Project, Project.id == Round.project_id)
    .join(User, User.id == Judgement.user_id)
    .outerjoin(Membership, _IS_MEMBER)
    .outerjoin(GuidelinesReading, _HAS_READ)
    .where(Judgement.id == bindparam("judgement_id"), Judgement.user_id == bindparam("user_id"))
)


# What every click asks is put together once: building a statement costs more than sending it.
# PostgreSQL locks the rows in the order of these clauses.
_LOCKED_JUDGEMENT = _JUDGEMENT_ACCESS.suffix_with(
    text('FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR UPDATE OF judgement')
).execution_options(populate_existing=True)
_LOCKED_ITEM = (
    _JUDGEMENT_ACCESS.add_columns(RoundItem)
    .join(RoundItem, RoundItem.id == Judgement.round_item_id)
    .suffix_with(
        text(
            'FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR NO KEY UPDATE OF round_item'
            " FOR UPDATE OF judgement"
        )
    )
    .execution_options(populate_existing=True)
)


def find_round_access(
    session: Session, round_id: int, user_id: int, key_hash: str
) -> RoundAccess | None:
    """Look up in one statement all that a request about a round needs. None without the round."""
    ids = {"round_id": round_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_ROUND_ACCESS, ids).one_or_none()
    return RoundAccess(*row) if row else None


def find_judgement_access(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> JudgementAccess | None:
    """Look up a judgement with its round and project. None unless it is this person's."""
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_JUDGEMENT_ACCESS, ids).one_or_none()
    return JudgementAccess(*row) if row else None


def lock_own_judgement(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> LockedJudgement | None:
    """Lock the person, the round (shared) and the judgement. None unless it is this person's."""
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_LOCKED_JUDGEMENT, ids).one_or_none()
    return LockedJudgement(*row) if row else None


def lock_own_item(
    session: Session, judgement_id: int, user_id: int, key_hash: str
) -> LockedItem | None:
    """Lock the person, the round (shared), its item and the judgement, in this order.

    None unless the judgement is this person's.
    """
    ids = {"judgement_id": judgement_id, "user_id": user_id, "key_hash": key_hash}
    row = session.execute(_LOCKED_ITEM, ids).one_or_none()
    return LockedItem(*row) if row else None
