"""Events of accounts: how people come in, what they may, and how they leave."""

from typing import Annotated, ClassVar

from app.events.base import BaseEvent, OwnWords
from app.kit.sentences import CountedSentence, Sentence


class UserEvent(BaseEvent):
    """Shared by the events of one account."""

    user_id: int


class UserAdded(UserEvent):
    """Somebody got an account."""

    tag: ClassVar[str] = "user:added"
    is_admin: bool

    def describe(self) -> str:
        if self.is_admin:
            return Sentence("Account %(id)s was added, as an administrator", id=self.user_id)
        return Sentence("Account %(id)s was added", id=self.user_id)


class PasswordChanged(UserEvent):
    """A new password was set, by the person or by an administrator."""

    tag: ClassVar[str] = "user:password:changed"

    def describe(self) -> str:
        return Sentence("The password of account %(id)s was changed", id=self.user_id)


class SessionsEnded(UserEvent):
    """A person signed out everywhere."""

    tag: ClassVar[str] = "user:sessions:ended"

    def describe(self) -> str:
        return Sentence("Account %(id)s was signed out everywhere", id=self.user_id)


class UserDisabled(UserEvent):
    """An account was closed; its judgements stay."""

    tag: ClassVar[str] = "user:disabled"

    def describe(self) -> str:
        return Sentence("Account %(id)s was closed", id=self.user_id)


class UserEnabled(UserEvent):
    """A closed account was opened again."""

    tag: ClassVar[str] = "user:enabled"

    def describe(self) -> str:
        return Sentence("Account %(id)s was opened again", id=self.user_id)


class AdminGranted(UserEvent):
    """Somebody became an administrator of the installation."""

    tag: ClassVar[str] = "user:admin:granted"

    def describe(self) -> str:
        return Sentence("Account %(id)s became an administrator", id=self.user_id)


class AdminRevoked(UserEvent):
    """Somebody is no administrator of the installation any more."""

    tag: ClassVar[str] = "user:admin:revoked"

    def describe(self) -> str:
        return Sentence("Account %(id)s is no administrator any more", id=self.user_id)


class SignInLinkMade(UserEvent):
    """A link was made with which somebody signs in once."""

    tag: ClassVar[str] = "user:sign-in-link:made"

    def describe(self) -> str:
        return Sentence("A sign-in link was made for account %(id)s", id=self.user_id)


class ResetLinkMade(UserEvent):
    """A link was made with which somebody chooses a new password."""

    tag: ClassVar[str] = "user:reset-link:made"

    def describe(self) -> str:
        return Sentence(
            "A link to choose a new password was made for account %(id)s", id=self.user_id
        )


class SignInLinkUsed(UserEvent):
    """Somebody signed in by a link, or chose a new password by one."""

    tag: ClassVar[str] = "user:link:used"
    is_reset: bool

    def describe(self) -> str:
        if self.is_reset:
            return Sentence("Account %(id)s chose a new password by a link", id=self.user_id)
        return Sentence("Account %(id)s signed in by a link", id=self.user_id)


class ApiTokenCreated(UserEvent):
    """A person made an API token."""

    tag: ClassVar[str] = "user:token:created"
    name: Annotated[str | None, OwnWords()] = None

    def describe(self) -> str:
        if self.name is None:
            return Sentence("Account %(id)s made an API token", id=self.user_id)
        return Sentence(
            "Account %(id)s made the API token “%(name)s”", id=self.user_id, name=self.name
        )


class ApiTokenRevoked(UserEvent):
    """An API token was revoked and opens nothing any more."""

    tag: ClassVar[str] = "user:token:revoked"

    def describe(self) -> str:
        return Sentence("An API token of account %(id)s was revoked", id=self.user_id)


class UserErased(UserEvent):
    """A person was erased: their account and their own words are gone."""

    tag: ClassVar[str] = "user:erased"
    n_deleted: int

    def describe(self) -> str:
        return CountedSentence(
            "The person of account %(id)s was erased, and %(n)s judgement deleted",
            "The person of account %(id)s was erased, and %(n)s judgements deleted",
            n=self.n_deleted,
            id=self.user_id,
        )
