"""Accounts, links, projects and members, workers, and the history of all."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship, validates

from app.kit.texts import name_key
from app.lifecycle import PracticeMode, Role, UserKind
from app.models.base import Base, Json, WithCreation, WithId


def _key_of_name(context: Any) -> str:
    return name_key(context.get_current_parameters()["name"])


class User(WithId, WithCreation, Base):
    """An account: a person who signs in, or a critic, whose verdicts never mix with people's."""

    __tablename__ = "user"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    name_key: Mapped[str] = mapped_column(default=_key_of_name)
    """What names that look alike have in common: no two accounts may be made with one."""
    name_twin: Mapped[int] = mapped_column(server_default="0")
    """Above 0 for accounts from before names were compared so, whose key another one has."""
    kind: Mapped[UserKind] = mapped_column(server_default=UserKind.PERSON.value)
    password_hash: Mapped[str | None]
    is_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    judging_keys: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    """By action: the key that this person has for it, where it is not the usual one."""
    language: Mapped[str | None] = mapped_column(String(10))
    """Of the pages, where this person chose one."""
    disabled_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]
    """The row is but an author without a name since then, and can never be opened again."""
    __table_args__ = (
        CheckConstraint(
            "erased_at IS NULL OR "
            "(disabled_at IS NOT NULL AND password_hash IS NULL AND NOT is_admin)",
            name="erased_is_closed",
        ),
        CheckConstraint("kind = 'person' OR password_hash IS NULL", name="critic_has_no_password"),
        UniqueConstraint("id", "kind"),
        UniqueConstraint("name_key", "name_twin"),
    )

    @validates("name")
    def _follow_name(self, _: str, name: str) -> str:
        self.name_key = name_key(name)
        return name


class SignInSession(WithId, WithCreation, Base):
    """A browser in which a person is signed in, by the hash of the key that its cookie carries."""

    __tablename__ = "sign_in_session"
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)


class SignInLink(WithId, WithCreation, Base):
    """A link that signs a person in once; a reset link also asks for a new password."""

    __tablename__ = "sign_in_link"
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    is_reset: Mapped[bool] = mapped_column(server_default=text("false"))
    next_path: Mapped[str] = mapped_column(server_default="/")
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiToken(WithId, WithCreation, Base):
    """A key with which a program asks in a person's name, by its hash."""

    __tablename__ = "api_token"
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    """The purpose of the token, in the words of its person."""
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime | None]
    """None of those made before tokens expired."""
    used_at: Mapped[datetime | None]
    """About when it was used last; noted once an hour at most."""
    revoked_at: Mapped[datetime | None]


class Project(WithId, WithCreation, Base):
    """A dataset with its guidelines, members and loop; every row below hangs under one project."""

    __tablename__ = "project"
    name: Mapped[str] = mapped_column(String(200))
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    description: Mapped[str] = mapped_column(server_default="")
    guidelines: Mapped[str] = mapped_column(server_default="")
    guidelines_version: Mapped[int] = mapped_column(server_default="1")
    practice: Mapped[PracticeMode] = mapped_column(server_default=PracticeMode.OFFERED.value)
    practice_pass_share: Mapped[float] = mapped_column(server_default="0.8")
    """Share of right verdicts with which a try at the practice round is passed."""
    licence: Mapped[str] = mapped_column(server_default="")
    settings: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    pseudonym_secret: Mapped[str]
    archived_at: Mapped[datetime | None]
    """Read-only and in no list since then."""
    deletion_requested_at: Mapped[datetime | None]
    """Nobody finds it any more; a light worker deletes it at its next sweep."""
    __table_args__ = (
        CheckConstraint(
            "deletion_requested_at IS NULL OR archived_at IS NOT NULL",
            name="deleted_when_archived",
        ),
        CheckConstraint("slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'", name="slug_is_plain"),
        CheckConstraint("practice_pass_share BETWEEN 0 AND 1", name="practice_pass_share_range"),
    )


class Membership(WithId, WithCreation, Base):
    __tablename__ = "membership"
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id", ondelete="CASCADE"))
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    role: Mapped[Role]
    user: Mapped[User] = relationship(lazy="raise")
    __table_args__ = (UniqueConstraint("project_id", "user_id"),)


class Invite(WithId, WithCreation, Base):
    __tablename__ = "invite"
    project_id: Mapped[int] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), index=True
    )
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[Role]
    n_uses: Mapped[int] = mapped_column(server_default="0")
    max_uses: Mapped[int | None]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    __table_args__ = (
        CheckConstraint("max_uses IS NULL OR n_uses <= max_uses", name="within_max_uses"),
    )


class Worker(WithId, Base):
    """A live worker process; the pages tell from `seen_at` whether anyone will take a run."""

    __tablename__ = "worker"
    name: Mapped[str] = mapped_column(String(200), unique=True)
    pid: Mapped[int]
    device: Mapped[str] = mapped_column(server_default="")
    queues: Mapped[list[str]]
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id", ondelete="SET NULL"))
    memory_used: Mapped[int | None]
    """Bytes: of the device for a GPU, of the process for a CPU."""
    memory_total: Mapped[int | None]
    per_second: Mapped[float | None]
    """What it does at the moment, in `unit`; nothing while it does nothing."""
    unit: Mapped[str] = mapped_column(String(20), server_default="")
    started_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Event(WithId, Base):
    """One line of history, tag `noun:what:verb`. Append-only (trigger)."""

    __tablename__ = "event"
    project_id: Mapped[int | None] = mapped_column(
        ForeignKey("project.id", ondelete="CASCADE"), index=True
    )
    round_id: Mapped[int | None] = mapped_column(
        ForeignKey("round.id", ondelete="CASCADE"), index=True
    )
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))
    tag: Mapped[str] = mapped_column(String(100))
    details: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    at: Mapped[datetime] = mapped_column(server_default=func.now())
