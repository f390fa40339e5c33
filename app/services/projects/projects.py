"""Projects: made, described, set up; their members and the links that invite them."""

import re
import secrets
import unicodedata
from datetime import UTC, datetime, timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.events.projects import (
    InviteCreated,
    InviteRevoked,
    MemberAdded,
    MemberRemoved,
    MemberRoleChanged,
    ProjectCreated,
    ProjectDetailsChanged,
    ProjectSettingsChanged,
)
from app.kit.errors import AppError, Conflict, InvalidInput
from app.kit.sentences import Amount, Sentence
from app.kit.texts import is_unchanged, plain_lines
from app.lifecycle import Role
from app.models import Invite, Membership, Project, User
from app.queries.accounts import users as user_queries
from app.queries.projects import projects as queries
from app.round_settings import LoopSettings
from app.services.accounts.accounts import add_user, hash_token, new_token
from app.services.accounts.names import checked_name
from app.services.archived import require_open
from app.services.events import record
from app.services.judging.leases import give_back_all
from app.services.projects.guidelines import checked_guidelines, keep_version
from app.services.refusals import LastAdmin

MAX_NAME = 200
MAX_TEXT = 100_000
INVITE_DAYS = 14.0
DESCRIPTION_TOO_LONG = Sentence(
    "The description is longer than %(n)s characters.", n=Amount(MAX_TEXT)
)
LICENCE_TOO_LONG = Sentence("The licence is longer than %(n)s characters.", n=Amount(MAX_TEXT))
RESERVED_SLUGS = frozenset({"new"})
"""Words that addresses under /projects/ use themselves."""


class InviteIsOver(AppError):
    """The invite was used up or revoked, or has expired."""

    status_code = 410
    code = "invite.over"


def create_project(
    session: Session,
    *,
    name: str,
    actor: User | None,
    description: str = "",
    guidelines: str = "",
    licence: str = "",
    settings: LoopSettings | None = None,
) -> Project:
    """Add a project with its secret for pseudonyms. Its maker becomes its admin."""
    name = _checked_name(name)
    for slug in _slugs(name):
        project = Project(
            name=name,
            slug=slug,
            description=_checked_text(description, DESCRIPTION_TOO_LONG),
            guidelines=checked_guidelines(guidelines),
            guidelines_version=1,
            licence=_checked_text(licence, LICENCE_TOO_LONG),
            settings=(settings or LoopSettings()).model_dump(mode="json"),
            pseudonym_secret=secrets.token_hex(32),
        )
        try:
            with session.begin_nested():
                session.add(project)
            break
        except IntegrityError:
            continue  # the address is taken: the next one
    else:
        raise Conflict(Sentence("No free address was found for this name: choose another."))
    keep_version(session, project, actor=actor)
    record(session, ProjectCreated(name=name), project_id=project.id, actor=actor)
    if actor is not None:
        add_member(session, project, actor, role=Role.ADMIN, actor=actor)
    return project


def settings_of(project: Project) -> LoopSettings:
    return LoopSettings.model_validate(project.settings)


def update_details(
    session: Session,
    project: Project,
    *,
    name: str,
    description: str,
    licence: str,
    actor: User | None,
) -> None:
    """Change what the project says of itself."""
    old = (project.name, project.description, project.licence)
    new = (
        project.name if is_unchanged(name, project.name) else _checked_name(name),
        _reworded(description, project.description, DESCRIPTION_TOO_LONG),
        _reworded(licence, project.licence, LICENCE_TOO_LONG),
    )
    if new == old:
        return
    project.name, project.description, project.licence = new
    record(session, ProjectDetailsChanged(), project_id=project.id, actor=actor)


def update_settings(
    session: Session, project: Project, *, settings: LoopSettings, actor: User | None
) -> None:
    """Set what the next rounds are run with; rounds that exist keep what they were made with."""
    new = settings.model_dump(mode="json")
    old = project.settings
    if new == old:
        return
    project.settings = new
    record(
        session,
        ProjectSettingsChanged(changes=_changes(old, new)),
        project_id=project.id,
        actor=actor,
    )


# --- Members --------------------------------------------------------------------------------


def add_member(
    session: Session, project: Project, user: User, *, role: Role, actor: User | None
) -> Membership:
    """Make somebody a member. Who is one already stays as they are."""
    membership = Membership(project_id=project.id, user_id=user.id, role=role)
    try:
        with session.begin_nested():
            session.add(membership)
    except IntegrityError:
        existing = queries.find_membership(session, project.id, user.id)
        if existing is None:
            raise
        return existing
    record(
        session,
        MemberAdded(user_id=user.id, role=role),
        project_id=project.id,
        actor=actor,
    )
    return membership


def set_role(session: Session, membership: Membership, role: Role, *, actor: User) -> None:
    if membership.role is role:
        return
    _keep_an_admin(session, membership, actor)
    membership.role = role
    record(
        session,
        MemberRoleChanged(user_id=membership.user_id, role=role),
        project_id=membership.project_id,
        actor=actor,
    )


def remove_member(
    session: Session, membership: Membership, *, actor: User, with_links: bool = False
) -> None:
    """Take somebody out. Their judgements stay; what they hold is free for others at once.

    Links of before let them in no more. With a link that is open to several they could still come
    under another name: `with_links` revokes all that work.
    """
    _keep_an_admin(session, membership, actor)
    give_back_all(session, membership.user_id, project_id=membership.project_id)
    if with_links:
        now = datetime.now(UTC)
        for invite in user_queries.list_open_invites(session, membership.project_id, now=now):
            revoke_invite(session, invite, actor=actor)
    record(
        session,
        MemberRemoved(user_id=membership.user_id),
        project_id=membership.project_id,
        actor=actor,
    )
    session.delete(membership)


def _keep_an_admin(session: Session, membership: Membership, actor: User) -> None:
    """A project does not lose its last admin, unless the installation's administrator says so."""
    if actor.is_admin or membership.role is not Role.ADMIN:
        return
    if set(queries.lock_admin_memberships(session, membership.project_id)) <= {membership.id}:
        raise LastAdmin(
            Sentence("This is the last admin of the project: make somebody else one first.")
        )


# --- Invites --------------------------------------------------------------------------------


def make_invite(
    session: Session,
    project: Project,
    *,
    role: Role = Role.ANNOTATOR,
    max_uses: int | None = None,
    days: float = INVITE_DAYS,
    actor: User | None,
) -> str:
    """Makes a link that makes whoever opens it a member, and returns its path. It is shown this
    once.
    """
    if max_uses is not None and max_uses < 1:
        raise InvalidInput(Sentence("A link must be usable at least once."))
    if not 0 < days <= 365:
        raise InvalidInput(Sentence("A link can be valid for at most a year."))
    token = new_token()
    invite = Invite(
        project_id=project.id,
        token_hash=hash_token(token),
        role=role,
        n_uses=0,
        max_uses=max_uses,
        expires_at=datetime.now(UTC) + timedelta(days=days),
    )
    session.add(invite)
    record(
        session,
        InviteCreated(role=role, max_uses=max_uses),
        project_id=project.id,
        actor=actor,
    )
    return f"/join/{token}"


def revoke_invite(session: Session, invite: Invite, *, actor: User) -> None:
    if invite.revoked_at is None:
        invite.revoked_at = datetime.now(UTC)
        record(
            session,
            InviteRevoked(invite_id=invite.id),
            project_id=invite.project_id,
            actor=actor,
        )


def find_invite(session: Session, token: str) -> tuple[Invite, Project]:
    """Returns the open invite behind a token, with its project. Raises InviteIsOver."""
    invite = user_queries.find_valid_invite(session, hash_token(token), now=datetime.now(UTC))
    if invite is None:
        raise InviteIsOver(Sentence("This invite link is not valid any more. Ask for a new one."))
    return invite, session.get_one(Project, invite.project_id)


def join(session: Session, token: str, user: User) -> Project:
    """Make the person a member by an invite. A member already: nothing changes, no use counts."""
    invite, project = find_invite(session, token)
    require_open(project)
    if queries.find_membership(session, project.id, user.id) is not None:
        return project
    if user_queries.was_removed_since(session, project.id, user.id, since=invite.created_at):
        raise InviteIsOver(
            Sentence(
                "You were taken out of this project after this link was made. Ask for a new one."
            )
        )
    if not user_queries.claim_invite(session, invite.id, now=datetime.now(UTC)):
        raise InviteIsOver(
            Sentence("This invite link was used up a moment ago. Ask for a new one.")
        )
    add_member(session, project, user, role=invite.role, actor=user)
    return project


def join_as_new(session: Session, token: str, *, name: str, password: str) -> tuple[User, Project]:
    """Makes and returns a new account for somebody who was invited."""
    find_invite(session, token)
    user = add_user(session, name=name, password=password)
    return user, join(session, token, user)


# --- Steps ----------------------------------------------------------------------------------


def _slugs(name: str) -> list[str]:
    """Addresses to try, the plain one first; the last ones are as good as unique."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60].strip("-") or "project"
    plain_ones = [stem] if stem not in RESERVED_SLUGS else []
    return [
        *plain_ones,
        *(f"{stem}-{number}" for number in range(2, 10)),
        *(f"{stem}-{secrets.token_hex(4)}" for _ in range(3)),
    ]


def _checked_name(name: str) -> str:
    return checked_name(name, most=MAX_NAME)


def _reworded(text: str, stored: str, refusal: Sentence) -> str:
    return stored if is_unchanged(text, stored) else _checked_text(text, refusal)


def _checked_text(text: str, refusal: Sentence) -> str:
    text = plain_lines(text).strip()
    if len(text) > MAX_TEXT:
        raise InvalidInput(refusal)
    return text


def _changes(old: object, new: object, prefix: str = "") -> dict[str, tuple[object, object]]:
    """Returns the changes as `name: (old, new)`, names of groups joined by dots."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return {} if old == new else {prefix: (old, new)}
    changes: dict[str, tuple[object, object]] = {}
    for name in sorted(old.keys() | new.keys()):
        path = f"{prefix}.{name}" if prefix else name
        changes |= _changes(old.get(name), new.get(name), path)
    return changes
