"""Try-outs: runs that ask two models about one picture, beside the rounds of a project."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from app.lifecycle import LIVE_RUN, Job, RunStatus
from app.models import Json, Project, RoundModel, Run, TriedPicture


def lock_tryouts(session: Session, project_id: int) -> None:
    """Hold the try-outs of a project until the transaction ends, so that two that are asked for at
    once see each other."""
    session.execute(
        select(Project.id).where(Project.id == project_id).with_for_update(key_share=True)
    )


def count_live(session: Session, project_id: int) -> int:
    """Returns how many try-outs of a project wait for a worker or are with one."""
    return session.execute(
        select(func.count()).where(
            Run.project_id == project_id, Run.job == Job.TRY, Run.status.in_(LIVE_RUN)
        )
    ).scalar_one()


def find_same(session: Session, project_id: int, asked: Json) -> Run | None:
    """Returns the newest try-out that asked the very same and did not fail."""
    return session.scalars(
        select(Run)
        .where(
            Run.project_id == project_id,
            Run.job == Job.TRY,
            Run.status.in_([*LIVE_RUN, RunStatus.SUCCEEDED]),
            Run.parameters == asked,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()


def list_tryouts(session: Session, project_id: int, *, limit: int) -> Sequence[Run]:
    """Returns the newest try-outs of a project, newest first."""
    return session.scalars(
        select(Run)
        .where(Run.project_id == project_id, Run.job == Job.TRY)
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


def find_tryout(session: Session, project_id: int, run_id: int) -> Run | None:
    """Returns a try-out of a project by the number of its run."""
    return session.scalars(
        select(Run).where(Run.id == run_id, Run.project_id == project_id, Run.job == Job.TRY)
    ).one_or_none()


def find_picture(session: Session, run_id: int) -> TriedPicture | None:
    """Returns the picture that was sent with a try-out; None where it is about an item."""
    return session.get(TriedPicture, run_id)


def delete_tryout(session: Session, run_id: int) -> None:
    """Delete a try-out with its picture."""
    session.execute(delete(Run).where(Run.id == run_id, Run.job == Job.TRY))


def delete_old_tryouts(session: Session, older_than: timedelta) -> None:
    """Delete the try-outs that ended so long ago, with their pictures."""
    session.execute(
        delete(Run).where(
            Run.job == Job.TRY,
            Run.status.not_in(LIVE_RUN),
            Run.finished_at < func.now() - older_than,
        )
    )


def delete_all_but(session: Session, project_id: int, *, most: int) -> None:
    """Delete the oldest ended try-outs of a project where it has more than `most`."""
    newest = (
        select(Run.id)
        .where(Run.project_id == project_id, Run.job == Job.TRY)
        .order_by(Run.id.desc())
        .limit(most)
        .scalar_subquery()
    )
    session.execute(
        delete(Run).where(
            Run.project_id == project_id,
            Run.job == Job.TRY,
            Run.status.not_in(LIVE_RUN),
            Run.id.not_in(newest),
        ),
        execution_options={"synchronize_session": False},
    )


def list_trained_rounds(session: Session, round_ids: Sequence[int]) -> set[int]:
    """Returns those of the rounds that have made an adapter."""
    return set(
        session.scalars(
            select(RoundModel.round_id).where(
                RoundModel.round_id.in_(round_ids), RoundModel.new_adapter_id.is_not(None)
            )
        )
    )
