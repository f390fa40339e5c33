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
from app.principal import Credential
from app.queries.accounts.asking import IS_MEMBER, Statement, Way, for_each_way, parameters_of


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
    """Whether the session that asks has not ended, or the token is good."""
    is_use_noted: bool
    """Whether the use of the token was noted just now; so it is for sessions."""


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


_PLACE = (Round, Project, User, Membership.role, GuidelinesReading.number)
_HAS_READ = and_(GuidelinesReading.project_id == Project.id, GuidelinesReading.user_id == User.id)


def _round_access(way: Way) -> Statement:
    return (
        select(*_PLACE, way.is_good, way.is_noted)
        .select_from(Round)
        .join(Project, Project.id == Round.project_id)
        .join(User, User.id == way.user_id)
        .outerjoin(Membership, IS_MEMBER)
        .outerjoin(GuidelinesReading, _HAS_READ)
        .where(Round.id == bindparam("round_id"))
    )


def _judgement_access(way: Way) -> Statement:
    return (
        select(*_PLACE, way.is_good, way.is_noted, Judgement)
        .select_from(Judgement)
        .join(Round, Round.id == Judgement.round_id)
        .join(Project, Project.id == Round.project_id)
        .join(User, User.id == Judgement.user_id)
        .outerjoin(Membership, IS_MEMBER)
        .outerjoin(GuidelinesReading, _HAS_READ)
        .where(Judgement.id == bindparam("judgement_id"), Judgement.user_id == way.user_id)
    )


# PostgreSQL locks the rows in the order of these clauses.
def _locked_judgement(way: Way) -> Statement:
    locks = 'FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR UPDATE OF judgement'
    statement = _judgement_access(way).suffix_with(text(locks))
    return statement.execution_options(populate_existing=True)


def _locked_item(way: Way) -> Statement:
    locks = (
        'FOR NO KEY UPDATE OF "user" FOR SHARE OF round FOR NO KEY UPDATE OF round_item'
        " FOR UPDATE OF judgement"
    )
    return (
        _judgement_access(way)
        .add_columns(RoundItem)
        .join(RoundItem, RoundItem.id == Judgement.round_item_id)
        .suffix_with(text(locks))
        .execution_options(populate_existing=True)
    )


# What every click asks is put together once: building a statement costs more than sending it.
_ROUND_ACCESS = for_each_way(_round_access)
_JUDGEMENT_ACCESS = for_each_way(_judgement_access)
_LOCKED_JUDGEMENT = for_each_way(_locked_judgement)
_LOCKED_ITEM = for_each_way(_locked_item)


def find_round_access(
    session: Session, round_id: int, credential: Credential
) -> RoundAccess | None:
    """Look up in one statement all that a request about a round needs. None without the round."""
    values = {"round_id": round_id, **parameters_of(credential)}
    row = session.execute(_ROUND_ACCESS[credential.came_by], values).one_or_none()
    return RoundAccess(*row) if row else None


def find_judgement_access(
    session: Session, judgement_id: int, credential: Credential
) -> JudgementAccess | None:
    """Look up a judgement with its round and project. None unless it is this person's."""
    values = {"judgement_id": judgement_id, **parameters_of(credential)}
    row = session.execute(_JUDGEMENT_ACCESS[credential.came_by], values).one_or_none()
    return JudgementAccess(*row) if row else None


def lock_own_judgement(
    session: Session, judgement_id: int, credential: Credential
) -> LockedJudgement | None:
    """Lock the person, the round (shared) and the judgement. None unless it is this person's."""
    values = {"judgement_id": judgement_id, **parameters_of(credential)}
    row = session.execute(_LOCKED_JUDGEMENT[credential.came_by], values).one_or_none()
    return LockedJudgement(*row) if row else None


def lock_own_item(session: Session, judgement_id: int, credential: Credential) -> LockedItem | None:
    """Lock the person, the round (shared), its item and the judgement, in this order.

    None unless the judgement is this person's.
    """
    values = {"judgement_id": judgement_id, **parameters_of(credential)}
    row = session.execute(_LOCKED_ITEM[credential.came_by], values).one_or_none()
    return LockedItem(*row) if row else None
