"""The rounds that a release draws from, with the models they were run with."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import Row, exists, func, select
from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Adapter, ProjectBase, Round, RoundModel, Run, TrainingRow, UntaughtLook
from app.round_settings import LoopSettings, NamedBase
from app.strategies import get_strategy

JUDGED_ROUND = frozenset(RoundStatus) - {
    RoundStatus.DRAFT,
    RoundStatus.GENERATING,
    RoundStatus.JUDGING,
    RoundStatus.CLOSING,
}


@dataclass(frozen=True)
class AdapterSource:
    """The adapters of one role in a round, by their digests: which it had, and which it made.
    base_digest: of the base that the role stood on, as that of a round."""

    role: str
    parent_digest: str | None
    new_digest: str | None
    strategy: str = ""
    base_digest: str | None = None


@dataclass(frozen=True)
class RoundSource:
    """A round with its adapters, one entry per role. base_digest: of the files, or the commit, of
    the base model that it used; None where nobody noted it, as in rounds from before bases were
    pinned."""

    round: Round
    adapters: tuple[AdapterSource, ...]
    base_digest: str | None
    learned_from_prior: bool
    """Whether a training of it read imported episodes."""
    learned_corrections: bool
    """Whether one read what people saw instead of what was observed."""


_Row = Row[Round, str | None, str | None, str | None, str | None, str | None, bool, bool]


def list_judged_rounds(session: Session, project_id: int) -> list[RoundSource]:
    parent = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    new = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    trained_on = func.coalesce(parent.c.base_revision, new.c.base_revision)
    read_episodes = exists().where(
        Run.round_id == Round.id,
        TrainingRow.run_id == Run.id,
        TrainingRow.prior_episode_id.is_not(None),
    )
    read_corrections = exists().where(
        Run.round_id == Round.id,
        UntaughtLook.run_id == Run.id,
        UntaughtLook.judgement_id.is_not(None),
    )
    rows = session.execute(
        select(
            Round,
            RoundModel.strategy,
            RoundModel.role,
            parent.c.digest,
            new.c.digest,
            trained_on,
            read_episodes,
            read_corrections,
        )
        .outerjoin(RoundModel, RoundModel.round_id == Round.id)
        .outerjoin(parent, parent.c.id == RoundModel.parent_adapter_id)
        .outerjoin(new, new.c.id == RoundModel.new_adapter_id)
        .where(Round.project_id == project_id, Round.status.in_(JUDGED_ROUND))
        .order_by(Round.number, RoundModel.strategy, RoundModel.role)
    ).all()
    pins = session.scalars(select(ProjectBase).where(ProjectBase.project_id == project_id)).all()
    return [_as_source(list(group), pins) for _, group in groupby(rows, key=lambda row: row[0].id)]


def _as_source(rows: Sequence[_Row], pins: Sequence[ProjectBase]) -> RoundSource:
    """A round of its rows, one for each role."""
    round_, *_, has_learned, has_corrections = rows[0]
    settings = LoopSettings.model_validate(round_.settings)
    named = [
        get_strategy(strategy).base_of(settings, role) if strategy and role else settings.base
        for _, strategy, role, *_ in rows
    ]
    noted: dict[NamedBase, str] = {}
    for base, (*_, digest, _, _) in zip(named, rows, strict=True):
        if digest is not None:
            noted.setdefault(base, digest)

    def content(base: NamedBase) -> str | None:
        return noted.get(base) or _pinned(round_, base, pins)

    adapters = [
        AdapterSource(role or "", old, made, strategy or "", content(base))
        for base, (_, strategy, role, old, made, *_) in zip(named, rows, strict=True)
    ]
    base_digest = content(settings.base)
    return RoundSource(round_, tuple(adapters), base_digest, has_learned, has_corrections)


def _pinned(round_: Round, base: NamedBase, pins: Sequence[ProjectBase]) -> str | None:
    """The pinned content of a base. A pin tells of a round only while it has not been changed
    since."""
    for pin in pins:
        is_it = (pin.base_model, pin.asked_revision) == (base.name, base.revision or "")
        if is_it and (pin.changed_at is None or pin.changed_at < round_.created_at):
            return pin.digest
    return None
