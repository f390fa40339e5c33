"""Adapters by what people call them."""

from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, aliased

from app.lifecycle import Job
from app.models import Adapter, Json, Project, Round, RoundModel, Run, Score


@dataclass(frozen=True)
class NamedAdapter:
    """An adapter, and whose it is: the strategy and the role of the run that made it, where the run
    was about one."""

    adapter: Adapter
    strategy: str | None
    role: str | None


def list_named_adapters(session: Session, name: str) -> list[NamedAdapter]:
    """Returns what people may mean by a name: of the project with this short name the newest
    adapter of each role of each strategy, else the adapters whose digest begins so.
    """
    adapters = select(Adapter, Run.strategy, Run.role).join(Run, Run.id == Adapter.run_id)
    newest = (
        adapters.distinct(Run.strategy, Run.role)
        .join(Project, Project.id == Adapter.project_id)
        .where(Project.slug == name)
        .order_by(Run.strategy, Run.role, Adapter.id.desc())
    )
    named = (
        adapters.distinct(Adapter.digest)
        .where(Adapter.digest.startswith(name.removeprefix("illume-"), autoescape=True))
        .order_by(Adapter.digest, Adapter.id)
    )
    found = session.execute(newest).all() or session.execute(named).all()
    return [NamedAdapter(*row) for row in found]


@dataclass(frozen=True)
class TrainedAdapter:
    """An adapter with the round that made it. settings: of the round, as they are stored."""

    adapter: Adapter
    round_id: int
    round_number: int
    strategy: str
    role: str
    parent_digest: str | None
    settings: Json


def list_trained_adapters(session: Session, project_id: int) -> list[TrainedAdapter]:
    """Returns the adapters that rounds of a project made, the newest round first."""
    rows = session.execute(_trained().where(Round.project_id == project_id))
    return [TrainedAdapter(*row) for row in rows]


def find_trained_adapter(session: Session, adapter_id: int) -> TrainedAdapter | None:
    """Returns an adapter with its round; None where no round made it."""
    row = session.execute(_trained().where(Adapter.id == adapter_id).limit(1)).one_or_none()
    return TrainedAdapter(*row) if row else None


def _trained() -> Select[Adapter, int, int, str, str, str | None, Json]:
    parent = aliased(Adapter)
    return (
        select(
            Adapter,
            Round.id,
            Round.number,
            RoundModel.strategy,
            RoundModel.role,
            parent.digest,
            Round.settings,
        )
        .join(RoundModel, RoundModel.new_adapter_id == Adapter.id)
        .join(Round, Round.id == RoundModel.round_id)
        .outerjoin(parent, parent.id == Adapter.parent_id)
        # Of a role that learned nothing, the round goes on with what another one made.
        .where(RoundModel.new_adapter_id.is_distinct_from(RoundModel.parent_adapter_id))
        .order_by(Round.number.desc(), RoundModel.strategy, RoundModel.role)
    )


def list_scores_of_adapter(session: Session, round_id: int, strategy: str) -> list[Score]:
    """Returns the scores that a round's evaluation gave the new adapters of a strategy, in a fixed
    order."""
    return list(
        session.scalars(
            select(Score)
            .join(Run, Run.id == Score.run_id)
            .where(
                Run.round_id == round_id,
                Run.job == Job.EVALUATE,
                func.coalesce(Run.strategy, strategy) == strategy,
            )
            .order_by(Score.split, Score.name, Score.run_id)
        )
    )
