"""The declarative base: naming, types and the columns that many tables share."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Identity,
    MetaData,
    Text,
    TypeDecorator,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.kit.sentences import pack, unpack
from app.lifecycle import (
    AuthorKind,
    Decision,
    FailureKind,
    Job,
    JudgementStatus,
    PracticeMode,
    Purpose,
    QuestionState,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    ShardStatus,
    Split,
    UserKind,
)
from app.reading_time import LEAST_MS, longest_ms, reading_ms

Json = dict[str, Any]


class StoredSentence(TypeDecorator[str]):
    """A sentence with its parts, so that a page can tell it in the reader's language.

    In the table it is the JSON of `pack`; a text that is no sentence of ours is a JSON string.
    """

    impl = JSONB(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return pack(value) if value is not None else None

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        text: str | None = unpack(value)
        return text


def enum_values(enum: type[StrEnum], name: str) -> Enum:
    """Returns the column type of an enum: a VARCHAR with a CHECK on the values, easy to extend in a
    migration.
    """
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=32,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it from the class
        int: BigInteger,
        str: Text,
        datetime: DateTime(timezone=True),
        Json: JSONB(none_as_null=True),
        list[str]: JSONB,
        list[int]: ARRAY(BigInteger),
        AuthorKind: enum_values(AuthorKind, "author_kind"),
        Decision: enum_values(Decision, "decision"),
        FailureKind: enum_values(FailureKind, "kind"),
        Job: enum_values(Job, "job"),
        JudgementStatus: enum_values(JudgementStatus, "status"),
        PracticeMode: enum_values(PracticeMode, "practice"),
        Purpose: enum_values(Purpose, "purpose"),
        QuestionState: enum_values(QuestionState, "state"),
        Role: enum_values(Role, "role"),
        RoundItemState: enum_values(RoundItemState, "state"),
        RoundStatus: enum_values(RoundStatus, "status"),
        RunStatus: enum_values(RunStatus, "status"),
        ShardStatus: enum_values(ShardStatus, "status"),
        Split: enum_values(Split, "split"),
        UserKind: enum_values(UserKind, "kind"),
    }


class WithId:
    id: Mapped[int] = mapped_column(Identity(), primary_key=True)


class WithCreation:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class WithCountedTime:
    """The time that a person had something in front of them, and what bounds the part of it that
    counts."""

    active_ms: Mapped[int] = mapped_column(server_default="0")
    """As the page measured it; figures are of `counted_ms`."""
    n_words: Mapped[int] = mapped_column(server_default="0")
    """Of what there was to read."""
    n_trace_words: Mapped[int] = mapped_column(server_default="0")
    """Of what led to it."""
    n_typed: Mapped[int] = mapped_column(server_default="0")
    """Of what the person wrote, when that was longest."""

    @hybrid_property
    def counted_ms(self) -> int:
        """Returns the time that counts: what was measured, up to what it may take."""
        return min(
            self.active_ms,
            longest_ms(
                n_words=self.n_words, n_trace_words=self.n_trace_words, n_typed=self.n_typed
            ),
        )

    @counted_ms.inplace.expression
    @classmethod
    def _counted_ms(cls) -> ColumnElement[int]:
        longest = reading_ms(cls.n_words, cls.n_trace_words, cls.n_typed)
        return func.least(cls.active_ms, func.greatest(LEAST_MS, longest))
