"""Events of projects: their settings, members, guidelines, and their end."""

from typing import Any, ClassVar

from app.events.base import BaseEvent
from app.kit.sentences import CountedSentence, Sentence
from app.lifecycle import Role


class ProjectCreated(BaseEvent):
    """A project was made; `name` is what it was called then."""

    tag: ClassVar[str] = "project:created"
    name: str

    def describe(self) -> str:
        return Sentence("Project “%(name)s” made", name=self.name)


class ProjectDetailsChanged(BaseEvent):
    """The name, the description or the licence of a project was changed."""

    tag: ClassVar[str] = "project:details:changed"

    def describe(self) -> str:
        return Sentence("Name, description or licence of the project changed")


class ProjectSettingsChanged(BaseEvent):
    """Settings that the next rounds are run with were changed; each with its old and new value."""

    tag: ClassVar[str] = "project:settings:changed"
    changes: dict[str, tuple[Any, Any]]

    def describe(self) -> str:
        return Sentence("Settings changed: %(names)s", names=", ".join(self.changes))


# --- Members --------------------------------------------------------------------------------


class MemberEvent(BaseEvent):
    """Shared by the events of one member of a project."""

    user_id: int


class MemberAdded(MemberEvent):
    """Somebody became a member of a project."""

    tag: ClassVar[str] = "project:member:added"
    role: Role

    def describe(self) -> str:
        return Sentence(
            "Account %(id)s became a member, with the role %(role)s",
            id=self.user_id,
            role=self.role,
        )


class MemberRoleChanged(MemberEvent):
    """A member of a project got another role."""

    tag: ClassVar[str] = "project:member:changed"
    role: Role

    def describe(self) -> str:
        return Sentence("Account %(id)s has the role %(role)s now", id=self.user_id, role=self.role)


class MemberRemoved(MemberEvent):
    """Somebody was taken out of a project; their judgements stay."""

    tag: ClassVar[str] = "project:member:removed"

    def describe(self) -> str:
        return Sentence("Account %(id)s was taken out of the project", id=self.user_id)


class InviteCreated(BaseEvent):
    """An invite link was made; without `max_uses` for any number of people."""

    tag: ClassVar[str] = "project:invite:created"
    role: Role
    max_uses: int | None = None

    def describe(self) -> str:
        if self.max_uses is None:
            return Sentence("Invite link made, for the role %(role)s", role=self.role)
        return CountedSentence(
            "Invite link made for %(n)s person, for the role %(role)s",
            "Invite link made for %(n)s people, for the role %(role)s",
            n=self.max_uses,
            role=self.role,
        )


class InviteRevoked(BaseEvent):
    """An invite link was revoked and lets nobody in any more."""

    tag: ClassVar[str] = "project:invite:revoked"
    invite_id: int

    def describe(self) -> str:
        return Sentence("Invite link %(id)s revoked", id=self.invite_id)


# --- Guidelines -----------------------------------------------------------------------------


class GuidelinesChanged(BaseEvent):
    """The guidelines of a project were changed and have a new version."""

    tag: ClassVar[str] = "project:guidelines:changed"
    version: int

    def describe(self) -> str:
        return Sentence("Guidelines changed: version %(version)s", version=self.version)


class GuidelinesPictureAdded(BaseEvent):
    """A picture was added to the guidelines; `image` is the digest of its file."""

    tag: ClassVar[str] = "project:guidelines_picture:added"
    number: int
    image: str

    def describe(self) -> str:
        return Sentence("Picture %(number)s added to the guidelines", number=self.number)


# --- Its end --------------------------------------------------------------------------------


class ProjectArchived(BaseEvent):
    """A project was archived: it can be read, and nothing changes in it."""

    tag: ClassVar[str] = "project:archived"

    def describe(self) -> str:
        return Sentence("Project archived")


class ProjectUnarchived(BaseEvent):
    """A project was taken out of the archive."""

    tag: ClassVar[str] = "project:unarchived"

    def describe(self) -> str:
        return Sentence("Project taken out of the archive")


class ProjectDeletionRequested(BaseEvent):
    """A project is to be deleted; this row belongs to no project, so that it stays."""

    tag: ClassVar[str] = "project:deletion:requested"
    slug: str
    n_items: int
    n_judgements: int
    releases: tuple[int, ...]

    def describe(self) -> str:
        return Sentence(
            "Deletion of the project %(slug)s requested, with %(items)s and %(judgements)s",
            slug=self.slug,
            items=CountedSentence("%(n)s item", "%(n)s items", n=self.n_items),
            judgements=CountedSentence("%(n)s judgement", "%(n)s judgements", n=self.n_judgements),
        )
