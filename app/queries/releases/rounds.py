"""The rounds that a release draws from, with the models they were run with."""

from dataclasses import dataclass
from itertools import groupby

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Adapter, ProjectBase, Round, RoundModel, Run, TrainingRow, UntaughtLook

JUDGED_ROUND = frozenset(RoundStatus) - {
    RoundStatus.DRAFT,
    RoundStatus.GENERATING,
    RoundStatus.JUDGING,
    RoundStatus.CLOSING,
}


@dataclass(frozen=True)
class AdapterSource:
    """The adapters of one role in a round, by their digests: which it had, and which it made."""

    role: str
    parent_digest: str | None
    new_digest: str | None
    strategy: str = ""


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


def list_judged_rounds(session: Session, project_id: int) -> list[RoundSource]:
    parent = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    new = select(Adapter.id, Adapter.digest, Adapter.base_revision).subquery()
    # The pin tells of a round only while it has not been changed since.
    pinned = and_(
        ProjectBase.project_id == Round.project_id,
        ProjectBase.base_model == Round.settings["base_model"].astext,
        ProjectBase.asked_revision == func.coalesce(Round.settings["revision"].astext, ""),
        or_(ProjectBase.changed_at.is_(None), ProjectBase.changed_at < Round.created_at),
    )
    base = func.coalesce(parent.c.base_revision, new.c.base_revision, ProjectBase.digest)
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
            base,
            read_episodes,
            read_corrections,
        )
        .outerjoin(ProjectBase, pinned)
        .outerjoin(RoundModel, RoundModel.round_id == Round.id)
        .outerjoin(parent, parent.c.id == RoundModel.parent_adapter_id)
        .outerjoin(new, new.c.id == RoundModel.new_adapter_id)
        .where(Round.project_id == project_id, Round.status.in_(JUDGED_ROUND))
        .order_by(Round.number, RoundModel.strategy, RoundModel.role)
    ).all()
    found: list[RoundSource] = []
    for _, group in groupby(rows, key=lambda row: row[0].id):
        of_round = list(group)
        adapters = [
            AdapterSource(role or "", old, made, strategy or "")
            for _, strategy, role, old, made, *_ in of_round
        ]
        digests = [digest for *_, digest, _, _ in of_round if digest is not None]
        round_, *_, has_learned, has_corrections = of_round[0]
        base_digest = next(iter(digests), None)
        source = RoundSource(round_, tuple(adapters), base_digest, has_learned, has_corrections)
        found.append(source)
    return found
