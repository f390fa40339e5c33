"""The rounds that a release draws from, with the models they were run with."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from app.lifecycle import RoundStatus
from app.models import Adapter, ProjectBase, Round, RoundModel

JUDGED_ROUND = frozenset(RoundStatus) - {
    RoundStatus.DRAFT,
    RoundStatus.GENERATING,
    RoundStatus.JUDGING,
    RoundStatus.CLOSING,
}


@dataclass(frozen=True)
class RoundSource:
    """A round with its adapters. base_digest: of the files, or the commit, of the base model that
    it used; None where nobody noted it, as in rounds from before bases were pinned."""

    round: Round
    parent_digest: str | None
    new_digest: str | None
    base_digest: str | None


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
    rows = session.execute(
        select(Round, parent.c.digest, new.c.digest, base)
        .outerjoin(ProjectBase, pinned)
        .outerjoin(RoundModel, RoundModel.round_id == Round.id)
        .outerjoin(parent, parent.c.id == RoundModel.parent_adapter_id)
        .outerjoin(new, new.c.id == RoundModel.new_adapter_id)
        .where(Round.project_id == project_id, Round.status.in_(JUDGED_ROUND))
        .order_by(Round.number, RoundModel.strategy, RoundModel.role)
    )
    return [RoundSource(*row) for row in rows]
