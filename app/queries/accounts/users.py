"""Accounts, sessions, one-time links and invites: look-ups and claims."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.orm import Session

from app.events.projects import MemberRemoved
from app.kit.texts import name_key
from app.lifecycle import UserKind
from app.models import Event, Invite, SignInLink, SignInSession, User
from app.queries.history import happened


def find_user(session: Session, name: str) -> User | None:
    """Returns the person of this name, however it is typed; the exact spelling goes first."""
    return next(iter(list_namesakes(session, name)), None)


def list_namesakes(session: Session, name: str) -> Sequence[User]:
    """Returns the people whose names look like this one: one, but for accounts of long ago."""
    return session.scalars(
        select(User)
        .where(User.name_key == name_key(name), User.kind == UserKind.PERSON)
        .where(User.erased_at.is_(None))
        .order_by(User.name != name, User.name_twin)
        .limit(5)
    ).all()


def is_name_taken(session: Session, name: str) -> bool:
    """Whether any account, a critic's too, has a name that looks like this one."""
    taken = select(User.id).where(User.name_key == name_key(name)).exists()
    return session.scalar(select(taken)) or False


def has_people(session: Session) -> bool:
    people = select(User.id).where(User.kind == UserKind.PERSON).exists()
    return session.scalar(select(people)) or False


def has_admins(session: Session) -> bool:
    """Whether the installation has an administrator."""
    admins = select(User.id).where(User.is_admin).exists()
    return session.scalar(select(admins)) or False


def list_people(session: Session, *, after: str = "", limit: int = 100) -> Sequence[User]:
    return session.scalars(
        select(User)
        .where(User.kind == UserKind.PERSON, User.erased_at.is_(None), User.name > after)
        .order_by(User.name)
        .limit(limit)
    ).all()


def list_erased(session: Session) -> Sequence[int]:
    return session.scalars(select(User.id).where(User.erased_at.is_not(None))).all()


def lock_active_admins(session: Session) -> Sequence[int]:
    """Locks the installation's administrators, so that two cannot depose each other, and returns
    their ids.

    Whoever waited for the lock sees them as they are then.
    """
    return session.scalars(
        select(User.id)
        .where(User.is_admin, User.disabled_at.is_(None), User.kind == UserKind.PERSON)
        .order_by(User.id)  # two who lock them do not wait for each other
        .with_for_update()
    ).all()


def end_session(session: Session, user_id: int, key_hash: str) -> bool:
    """End one session; False where it was over. Two at once: one ends it."""
    ended = delete(SignInSession).where(
        SignInSession.user_id == user_id, SignInSession.key_hash == key_hash
    )
    return session.scalar(ended.returning(SignInSession.id)) is not None


def end_sessions(session: Session, user_id: int) -> None:
    session.execute(delete(SignInSession).where(SignInSession.user_id == user_id))


def delete_sessions(session: Session, *, before: datetime) -> int:
    """Delete the sessions that began before this time; how many."""
    old = delete(SignInSession).where(SignInSession.created_at < before)
    return len(session.scalars(old.returning(SignInSession.id)).all())


def find_sign_in_link(session: Session, token_hash: str) -> SignInLink | None:
    return session.scalars(
        select(SignInLink).where(SignInLink.token_hash == token_hash)
    ).one_or_none()


def claim_sign_in_link(session: Session, token_hash: str, *, now: datetime) -> SignInLink | None:
    """Use the link up; None when it is unknown, used already, or over. Two at once: one gets it."""
    return session.scalars(
        update(SignInLink)
        .where(
            SignInLink.token_hash == token_hash,
            SignInLink.used_at.is_(None),
            SignInLink.expires_at > now,
        )
        .values(used_at=now)
        .returning(SignInLink)
        .execution_options(populate_existing=True)
    ).one_or_none()


def cancel_sign_in_links(session: Session, user_id: int, *, now: datetime) -> None:
    """Make the unused links of a person worthless."""
    session.execute(
        update(SignInLink)
        .where(SignInLink.user_id == user_id, SignInLink.used_at.is_(None))
        .values(used_at=now)
    )


def _is_open(now: datetime) -> ColumnElement[bool]:
    return and_(
        Invite.revoked_at.is_(None),
        Invite.expires_at > now,
        or_(Invite.max_uses.is_(None), Invite.n_uses < Invite.max_uses),
    )


def find_valid_invite(session: Session, token_hash: str, *, now: datetime) -> Invite | None:
    return session.scalars(
        select(Invite).where(Invite.token_hash == token_hash, _is_open(now))
    ).one_or_none()


def was_removed_since(session: Session, project_id: int, user_id: int, *, since: datetime) -> bool:
    """Whether the person was taken out of the project after this time."""
    removed = select(Event.id).where(
        Event.project_id == project_id,
        happened(MemberRemoved, user_id=user_id),
        Event.at >= since,
    )
    return session.scalar(select(removed.exists())) or False


def claim_invite(session: Session, invite_id: int, *, now: datetime) -> bool:
    """Count one use; False when the invite is over meanwhile."""
    return bool(
        session.execute(
            update(Invite)
            .where(Invite.id == invite_id, _is_open(now))
            .values(n_uses=Invite.n_uses + 1)
            .returning(Invite.id)
        ).scalar_one_or_none()
    )


def list_open_invites(session: Session, project_id: int, *, now: datetime) -> Sequence[Invite]:
    return session.scalars(
        select(Invite)
        .where(Invite.project_id == project_id, _is_open(now))
        .order_by(Invite.id.desc())
    ).all()


def name_people(session: Session, ids: Collection[int]) -> dict[int, str]:
    """Returns the names of accounts by their ids."""
    rows = session.execute(select(User.id, User.name).where(User.id.in_(ids)))
    return {id_: name for id_, name in rows}  # noqa: C416 - typed unpacking
