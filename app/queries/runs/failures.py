"""Items that runs could not do: how many, which, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, exists, func, insert, select, update
from sqlalchemy.orm import Session

from app.lifecycle import FailureKind, Job, JudgementStatus, RoundItemState
from app.models import Item, ItemFailure, Judgement, RoundItem, Run, RunShard

MAX_LISTED = 20


@dataclass(frozen=True)
class FailureLine:
    item_id: int
    external_id: str
    kind: FailureKind
    reason: str


@dataclass(frozen=True)
class JobFailures:
    """n: all of them; lines: the first ones."""

    n: int
    lines: tuple[FailureLine, ...]


def count_failures(session: Session, run_id: int) -> int:
    return session.execute(
        select(func.count()).select_from(ItemFailure).where(ItemFailure.run_id == run_id)
    ).scalar_one()


def count_run_items(session: Session, run_id: int) -> int:
    """Returns the number of items in the shards of a run."""
    n_items = session.execute(
        select(func.coalesce(func.sum(func.cardinality(RunShard.item_ids)), 0)).where(
            RunShard.run_id == run_id
        )
    ).scalar_one()
    return int(n_items)


def list_round_failures(session: Session, round_id: int) -> dict[Job, JobFailures]:
    """Returns the failures per job of a round, over a run and those that retried it."""
    position = func.row_number().over(partition_by=Run.job, order_by=ItemFailure.id)
    total = func.count().over(partition_by=Run.job)
    numbered = (
        select(
            Run.job,
            ItemFailure.item_id,
            Item.external_id,
            ItemFailure.kind,
            ItemFailure.reason,
            position.label("position"),
            total.label("total"),
        )
        .join(Run, Run.id == ItemFailure.run_id)
        .join(Item, Item.id == ItemFailure.item_id)
        .where(Run.round_id == round_id)
        .subquery()
    )
    rows = session.execute(
        select(numbered).where(numbered.c.position <= MAX_LISTED).order_by(numbered.c.position)
    ).all()
    return {
        job: JobFailures(
            next(row.total for row in rows if row.job is job),
            tuple(FailureLine(*row[1:5]) for row in rows if row.job is job),
        )
        for job in {row.job for row in rows}
    }


# People never saw such an item: what they set aside has judgements.
_SET_ASIDE_BY_A_RUN = (
    RoundItem.state == RoundItemState.SET_ASIDE,
    RoundItem.n_submitted == 0,
    ItemFailure.item_id == RoundItem.item_id,
    ItemFailure.kind.in_([FailureKind.IMAGE, FailureKind.PROMPT]),
    ItemFailure.run_id == Run.id,
    Run.round_id == RoundItem.round_id,
)


def find_failure(session: Session, item_id: int) -> ItemFailure | None:
    """Returns the newest failure that an item is set aside for."""
    return session.scalars(
        select(ItemFailure)
        .where(ItemFailure.item_id == item_id, exists().where(*_SET_ASIDE_BY_A_RUN))
        .order_by(ItemFailure.id.desc())
        .limit(1)
    ).one_or_none()


def release_failed_places(session: Session, item_id: int) -> None:
    """Let an item that was set aside for its image or prompt be sampled again by the next round.

    So can one that everybody skipped: nobody has said anything about it.
    """
    nobody_judged_it = and_(
        RoundItem.state == RoundItemState.SET_ASIDE,
        RoundItem.n_submitted == 0,
        ~exists().where(
            Judgement.round_item_id == RoundItem.id,
            Judgement.status == JudgementStatus.SUBMITTED,
        ),
    )
    session.execute(
        update(RoundItem)
        .where(RoundItem.item_id == item_id, nobody_judged_it)
        .values(state=RoundItemState.DONE, set_aside_reason=None)
    )


def insert_failures(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep which items a shard could not do, and why."""
    session.execute(insert(ItemFailure), rows)
