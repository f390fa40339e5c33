"""People: accounts, passwords, sessions and one-time links. Keys are stored as hashes only."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urlsplit

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.events.accounts import (
    AdminGranted,
    AdminRevoked,
    PasswordChanged,
    ResetLinkMade,
    SessionsEnded,
    SignInLinkMade,
    SignInLinkUsed,
    UserAdded,
    UserDisabled,
    UserEnabled,
)
from app.kit.errors import AppError, NotAllowed
from app.kit.sentences import Sentence
from app.kit.texts import name_key
from app.lifecycle import UserKind
from app.models import SignInLink, SignInSession, User
from app.queries.accounts import users as queries
from app.queries.accounts.tokens import revoke_tokens
from app.services.accounts import rate_limit
from app.services.accounts.names import checked_name
from app.services.accounts.passwords import (
    check_password_rules,
    hash_password,
    is_outdated,
    is_password,
)
from app.services.events import record
from app.services.judging.leases import give_back_all
from app.services.refusals import (
    AccountErased,
    AccountNotOpen,
    LastAdmin,
    NameTaken,
    NotOneself,
    PasswordRefused,
    PasswordWrong,
)

MAX_NAME = 100
ATTEMPTS_PER_NAME = 8
ATTEMPTS_PER_ADDRESS = 100
LINK_HOURS = 24.0
SESSION_DAYS = 30

LINK_OVER = Sentence("This link was used already or has expired. Ask for a new one.")


class TooManyAttempts(AppError):
    """Too many wrong passwords: wait a quarter of an hour."""

    status_code = 429
    code = "sign_in.too_often"


class LinkIsOver(AppError):
    """The sign-in link was used already, or has expired."""

    status_code = 410
    code = "link.over"


def hash_token(token: str) -> str:
    """Returns the hash of a token: a plain one is enough, since tokens are too long and random to
    be guessed.
    """
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    return secrets.token_urlsafe(32)


def is_local_path(path: str) -> bool:
    """Whether a path stays on this site, however a browser reads it."""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or "\\" in path:
        return False
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in path):
        return False
    parts = urlsplit(path)
    # Browsers go up one level for these: out of a site that stands below a path of its host.
    goes_up = any(unquote(name) in {".", ".."} for name in parts.path.split("/"))
    return not parts.scheme and not parts.netloc and not goes_up


def safe_path(path: str | None, default: str = "/") -> str:
    """Returns the path to go to next, which is always within this site."""
    return path if path and is_local_path(path) else default


# --- Accounts -------------------------------------------------------------------------------


def has_people(session: Session) -> bool:
    """Whether anybody can sign in at all; the first account comes from the command line."""
    return queries.has_people(session)


def check_repeated(password: str, again: str) -> None:
    if password != again:
        raise PasswordRefused(Sentence("The two passwords are not the same."))


def add_user(
    session: Session,
    *,
    name: str,
    password: str | None = None,
    is_admin: bool = False,
    actor: User | None = None,
) -> User:
    """Add a person. Without a password they sign in by a link until they set one.

    Raises:
        InvalidInput: the name or the password breaks a rule, or the name is taken.
    """
    name = checked_name(name, most=MAX_NAME)
    taken = Sentence("The name %(name)s is taken. Choose another.", name=name)
    if queries.is_name_taken(session, name):
        raise NameTaken(taken)
    if password is not None:
        check_password_rules(password, name=name)
    user = User(
        name=name,
        kind=UserKind.PERSON,
        password_hash=hash_password(password) if password is not None else None,
        is_admin=is_admin,
    )
    try:
        with session.begin_nested():
            session.add(user)
    except IntegrityError as error:
        raise NameTaken(taken) from error
    record(session, UserAdded(user_id=user.id, is_admin=is_admin), actor=actor)
    return user


def set_password(session: Session, user: User, password: str, *, actor: User | None) -> None:
    """Set a new password. All sessions and unused links of the person end."""
    check_password_rules(password, name=user.name)
    user.password_hash = hash_password(password)
    queries.end_sessions(session, user.id)
    queries.cancel_sign_in_links(session, user.id, now=datetime.now(UTC))
    record(session, PasswordChanged(user_id=user.id), actor=actor)


def change_password(session: Session, user: User, *, current: str, new: str) -> None:
    """A person's own change. Somebody who signed in by a link may have no current password."""
    if user.password_hash is not None:
        scope = ("change-password", str(user.id))
        if rate_limit.is_over_limit(*scope, limit=ATTEMPTS_PER_NAME):
            raise TooManyAttempts(Sentence("Too many wrong passwords. Wait a quarter of an hour."))
        if not is_password(current, user.password_hash):
            rate_limit.count_attempt(*scope)
            raise PasswordWrong(Sentence("The current password is not right."))
    set_password(session, user, new, actor=user)


def sign_out_everywhere(session: Session, user: User) -> None:
    """End all sessions of a person; what they hold to judge is free for others at once."""
    queries.end_sessions(session, user.id)
    give_back_all(session, user.id)
    record(session, SessionsEnded(user_id=user.id), actor=user)


def set_disabled(session: Session, user: User, is_disabled: bool, *, actor: User) -> None:
    """Close or reopen an account. Its judgements stay; nobody locks themselves out.

    Both end all sessions, unused links and tokens of the person. One administrator always remains.
    """
    if is_disabled and user.id == actor.id:
        raise NotOneself(Sentence("You cannot close your own account."))
    _keep_an_admin(session, user, actor=actor, is_leaving=is_disabled)
    if user.erased_at is not None:
        raise AccountErased(Sentence("This person is erased already."))
    queries.cancel_sign_in_links(session, user.id, now=datetime.now(UTC))
    revoke_tokens(session, user.id, now=datetime.now(UTC))
    user.disabled_at = datetime.now(UTC) if is_disabled else None
    if is_disabled:
        give_back_all(session, user.id)
    queries.end_sessions(session, user.id)
    change = UserDisabled if is_disabled else UserEnabled
    record(session, change(user_id=user.id), actor=actor)


def set_admin(session: Session, user: User, is_admin: bool, *, actor: User) -> None:
    """Make somebody an administrator of the installation, or no longer. One always remains."""
    _keep_an_admin(session, user, actor=actor, is_leaving=not is_admin)
    user.is_admin = is_admin
    change = AdminGranted if is_admin else AdminRevoked
    record(session, change(user_id=user.id), actor=actor)


def _keep_an_admin(session: Session, user: User, *, actor: User, is_leaving: bool) -> None:
    """Hold all administrators until the change is stored, so that changes come one after the other.

    Raises:
        NotAllowed: the one who asks was closed or is no administrator any more.
        Conflict: nobody would remain.
    """
    admins = set(queries.lock_active_admins(session))
    if actor.id not in admins:
        raise NotAllowed(Sentence("You are no administrator of this installation any more."))
    if is_leaving and admins <= {user.id}:
        raise LastAdmin(Sentence("This is the last administrator: make somebody else one first."))


# --- Sessions -------------------------------------------------------------------------------


def start_session(session: Session, user: User) -> str:
    """Note that the person is signed in in one more browser; returns the key for its cookie."""
    key = new_token()
    session.add(SignInSession(user_id=user.id, key_hash=hash_token(key)))
    return key


def end_session(session: Session, user_id: int, key: str) -> bool:
    """End one session of a person, so that copies of its cookie open nothing; False where it was
    over already. Their other browsers stay signed in."""
    return queries.end_session(session, user_id, hash_token(key))


def sign_out(session: Session, user_id: int, key: str) -> None:
    """End one session; what the person holds to judge is free for others at once."""
    if end_session(session, user_id, key):
        give_back_all(session, user_id)


def forget_old_sessions(session: Session) -> int:
    """Delete the sessions whose cookies are over by age; returns how many."""
    return queries.delete_sessions(session, before=datetime.now(UTC) - timedelta(days=SESSION_DAYS))


# --- Signing in -----------------------------------------------------------------------------


def check_sign_in(
    session: Session, *, name: str, password: str, address: str, known_id: int | None = None
) -> User | None:
    """Returns the person with this name and password, or None; failures are counted.

    Whoever guesses locks out nobody else, also where a whole house has one address: a browser in
    which somebody signed in before (`known_id`) has a count of its own for them, and where an
    address has used up its attempts, each name still has one.

    Raises:
        TooManyAttempts: too many failures of this name from this address, or of the address.
    """
    address = rate_limit.place_of(address)
    by_name = ("sign-in", name_key(name), address)
    by_address = ("sign-in", address)
    namesakes = queries.list_namesakes(session, name)
    user = next((one for one in namesakes if one.id == known_id), None)
    if user is not None:
        by_name = ("sign-in-known", str(user.id), address)
        is_over = rate_limit.is_over_limit(*by_name, limit=ATTEMPTS_PER_NAME)
    else:
        is_crowded = rate_limit.is_over_limit(*by_address, limit=ATTEMPTS_PER_ADDRESS)
        is_over = rate_limit.is_over_limit(*by_name, limit=1 if is_crowded else ATTEMPTS_PER_NAME)
    if is_over:
        raise TooManyAttempts(
            Sentence(
                "Too many wrong passwords. Wait a quarter of an hour, or ask an administrator for "
                "a sign-in link."
            )
        )
    user = _whose_password(namesakes, password)
    if user is None or user.disabled_at is not None:
        rate_limit.count_attempt(*by_name)
        rate_limit.count_attempt(*by_address)
        return None
    rate_limit.forget_attempts(*by_name)
    if user.password_hash is not None and is_outdated(user.password_hash):
        user.password_hash = hash_password(password)
    return user


def _whose_password(namesakes: Sequence[User], password: str) -> User | None:
    """Returns the account whose password it is; an unknown name takes as long as a known one."""
    if not namesakes:
        is_password(password, None)
    return next((one for one in namesakes if is_password(password, one.password_hash)), None)


def make_sign_in_link(
    session: Session,
    user: User,
    *,
    next_path: str = "/",
    is_reset: bool = False,
    hours: float = LINK_HOURS,
    actor: User | None = None,
) -> str:
    """Makes a link that signs the person in once, and returns its path; a reset link asks for a new
    password.

    Raises Conflict for a closed account.
    """
    if user.disabled_at is not None:
        raise AccountNotOpen(
            Sentence("The account of %(name)s is closed: open it again first.", name=user.name)
        )
    token = new_token()
    session.add(
        SignInLink(
            user_id=user.id,
            token_hash=hash_token(token),
            is_reset=is_reset,
            next_path=safe_path(next_path),
            expires_at=datetime.now(UTC) + timedelta(hours=hours),
        )
    )
    made = ResetLinkMade if is_reset else SignInLinkMade
    record(session, made(user_id=user.id), actor=actor)
    return f"/sign-in/link/{token}"


def find_link(session: Session, token: str) -> SignInLink:
    """Returns the link, used or not. Raises LinkIsOver when there is none."""
    link = queries.find_sign_in_link(session, hash_token(token))
    if link is None:
        raise LinkIsOver(LINK_OVER)
    return link


def is_usable(link: SignInLink) -> bool:
    return link.used_at is None and link.expires_at > datetime.now(UTC)


def use_sign_in_link(session: Session, token: str) -> tuple[User, str]:
    """Use a link up: who is signed in by it, and where they go. Raises LinkIsOver."""
    user, link = _claim_link(session, token)
    return user, safe_path(link.next_path)


def reset_password(session: Session, token: str, password: str) -> tuple[User, str]:
    """Set a new password by a reset link, which is used up only if the password is accepted."""
    link = find_link(session, token)
    if not link.is_reset:
        raise LinkIsOver(LINK_OVER)
    check_password_rules(password, name=session.get_one(User, link.user_id).name)
    user, link = _claim_link(session, token)
    set_password(session, user, password, actor=user)
    return user, safe_path(link.next_path)


def _claim_link(session: Session, token: str) -> tuple[User, SignInLink]:
    link = queries.claim_sign_in_link(session, hash_token(token), now=datetime.now(UTC))
    user = session.get(User, link.user_id) if link else None
    if link is None or user is None or user.disabled_at is not None:
        raise LinkIsOver(LINK_OVER)
    record(session, SignInLinkUsed(user_id=user.id, is_reset=link.is_reset), actor=user)
    return user, link
