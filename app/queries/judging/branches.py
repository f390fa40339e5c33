"""Branches: the draw and turn that one is asked for, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.lifecycle import LIVE_RUN, Job, RunStatus, Split
from app.models import Branch, Image, Item, Judgement, Round, Run, Sample


@dataclass(frozen=True, slots=True)
class BranchWithRun:
    """A branch, with how its run stands: `error` says why a failed one brought nothing, `strategy`
    whose draw it plays on."""

    branch: Branch
    status: RunStatus
    error: str | None
    strategy: str | None


def find_parent(session: Session, sample_id: int) -> tuple[int, Split]:
    """Returns the item of a draw, with its split."""
    row = session.execute(
        select(Item.id, Item.split)
        .join(Sample, Sample.item_id == Item.id)
        .where(Sample.id == sample_id)
    ).one()
    return row[0], row[1]


def find_strategy(session: Session, sample_id: int) -> str | None:
    """Returns the name of the strategy that made a draw; None where there is no such draw."""
    return session.scalar(select(Sample.strategy).where(Sample.id == sample_id))


def find_branch(
    session: Session, judgement_id: int, *, sample_id: int, turn: int, correction: str
) -> BranchWithRun | None:
    """Returns the branch of a correction of a turn; None where nobody has asked for it."""
    return _find(
        session,
        Branch.judgement_id == judgement_id,
        Branch.sample_id == sample_id,
        Branch.turn == turn,
        Branch.correction == correction,
    )


def _find(session: Session, *conditions: Any) -> BranchWithRun | None:
    row = session.execute(
        select(Branch, Run.status, Run.error, Run.strategy)
        .join(Run, Run.id == Branch.run_id)
        .where(*conditions)
    ).one_or_none()
    return BranchWithRun(*row) if row else None


def list_branches(session: Session, judgement_id: int) -> list[BranchWithRun]:
    """Returns all branches that were asked for at a judgement, in the order of the asking."""
    rows = session.execute(
        select(Branch, Run.status, Run.error, Run.strategy)
        .join(Run, Run.id == Branch.run_id)
        .where(Branch.judgement_id == judgement_id)
        .order_by(Branch.id)
    )
    return [BranchWithRun(*row) for row in rows]


def lock_asked(session: Session, run_id: int) -> tuple[Branch, Judgement, Round] | None:
    """Returns the branch that a run is to make, its judgement and round, as they stand now.

    Held in the order of the gates of the judging pages, so that nobody submits or gives back the
    item until the transaction ends; None where the branch is gone with the person who asked.
    """
    locks = text("FOR SHARE OF round FOR SHARE OF judgement FOR UPDATE OF branch")
    row = session.execute(
        select(Branch, Judgement, Round)
        .join(Judgement, Judgement.id == Branch.judgement_id)
        .join(Round, Round.id == Branch.round_id)
        .where(Branch.run_id == run_id)
        .suffix_with(locks)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return (row[0], row[1], row[2]) if row else None


def get_parent(session: Session, branch: Branch) -> tuple[Sample, Item, Image]:
    """Returns the draw that a branch came from, with its item and the item's picture."""
    row = session.execute(
        select(Sample, Item, Image)
        .join(Item, Item.id == Sample.item_id)
        .join(Image, Image.sha256 == Item.image_sha256)
        .where(Sample.id == branch.sample_id)
    ).one()
    return row[0], row[1], row[2]


def list_live_runs(session: Session, round_id: int) -> Sequence[Run]:
    """Returns the runs that make, or are to make, branches of a round."""
    return session.scalars(
        select(Run)
        .where(Run.round_id == round_id, Run.job == Job.BRANCH, Run.status.in_(LIVE_RUN))
        .order_by(Run.id)
    ).all()
