"""Rounds: look-ups, and what is left to do."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import exists, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.lifecycle import (
    ASIDE,
    CLOSED_ROUND,
    LIVE_RUN,
    LOOKING_ON,
    Job,
    JudgementStatus,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
)
from app.models import (
    Adapter,
    CheckItem,
    Item,
    Judgement,
    Round,
    RoundItem,
    RoundModel,
    Run,
    Score,
    Worker,
)
from app.queries.rounds.bases import find_base
from app.queries.rounds.candidates import usable_items_statement
from app.round_settings import LoopSettings


def lock_round(session: Session, round_id: int) -> Round:
    """Returns the round, held until the end of the transaction and read anew.

    Held against everybody who changes it or judges in it, but not against rows that only name it:
    the job that closes a round inserts thousands of those.
    """
    round_ = session.scalars(
        select(Round)
        .where(Round.id == round_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).one_or_none()
    if round_ is None:
        raise NotFound(f"There is no round {round_id}.")
    return round_


def add_round(session: Session, round_: Round) -> bool:
    """Store a new round; returns False, and stores nothing, where its project has an open one."""
    try:
        with session.begin_nested():
            session.add(round_)
    except IntegrityError:
        return False
    return True


def find_last_round(session: Session, project_id: int) -> Round | None:
    return session.scalars(
        select(Round).where(Round.project_id == project_id).order_by(Round.number.desc()).limit(1)
    ).one_or_none()


def find_round_before(session: Session, round_: Round) -> Round | None:
    """Returns the newest completed round of the project before this one."""
    return session.scalars(
        select(Round)
        .where(
            Round.project_id == round_.project_id,
            Round.number < round_.number,
            Round.status == RoundStatus.COMPLETED,
        )
        .order_by(Round.number.desc())
        .limit(1)
    ).one_or_none()


def find_open_round(session: Session, project_id: int) -> Round | None:
    return session.scalars(
        select(Round).where(Round.project_id == project_id, Round.status.not_in(CLOSED_ROUND))
    ).one_or_none()


def list_rounds(session: Session, project_id: int) -> Sequence[Round]:
    return session.scalars(
        select(Round).where(Round.project_id == project_id).order_by(Round.number)
    ).all()


def list_rounds_in_judging(session: Session) -> list[int]:
    """Returns the rounds whose judging a sweep should try to end: a crash may have missed that."""
    return list(session.scalars(select(Round.id).where(Round.status == RoundStatus.JUDGING)))


def release_judgements(session: Session, round_id: int) -> None:
    """Free what people hold of a round. Its content stays, and its authors are told."""
    session.execute(
        update(Judgement)
        .where(
            Judgement.round_id == round_id,
            Judgement.status.in_([JudgementStatus.LEASED, JudgementStatus.DRAFT]),
        )
        .values(status=JudgementStatus.RELEASED, slot=None, lease_until=None)
    )


def get_round_model(session: Session, round_id: int, *, strategy: str, role: str) -> RoundModel:
    """Returns the models of one role: the adapter that a round samples from, and the new one."""
    return session.get_one(RoundModel, (round_id, strategy, role))


def list_round_models(session: Session, round_id: int) -> Sequence[RoundModel]:
    """Returns the models of a round, of every strategy and role."""
    return session.scalars(
        select(RoundModel)
        .where(RoundModel.round_id == round_id)
        .order_by(RoundModel.strategy, RoundModel.role)
    ).all()


def list_sampled_strategies(session: Session, round_id: int) -> frozenset[str]:
    """Returns the names of the strategies of a round that do not sit out."""
    return frozenset(
        session.scalars(
            select(RoundModel.strategy)
            .where(RoundModel.round_id == round_id, ~RoundModel.sits_out)
            .distinct()
        )
    )


def find_newest_adapter(
    session: Session,
    project_id: int,
    base_model: str,
    base_digest: str | None = None,
    *,
    strategy: str,
    role: str,
) -> Adapter | None:
    """Returns the adapter that the newest completed round made for a role, on this base model, and
    on this content of it where a digest is given."""
    of_content = [] if base_digest is None else [Adapter.base_revision == base_digest]
    return session.scalars(
        select(Adapter)
        .join(RoundModel, RoundModel.new_adapter_id == Adapter.id)
        .join(Round, Round.id == RoundModel.round_id)
        .where(
            RoundModel.strategy == strategy,
            RoundModel.role == role,
            Round.project_id == project_id,
            Round.status == RoundStatus.COMPLETED,
            Adapter.base_model == base_model,
            *of_content,
        )
        .order_by(Round.number.desc())
        .limit(1)
    ).one_or_none()


def list_usable_item_ids(
    session: Session, project_id: int, split: Split, *, limit: int | None = None
) -> list[int]:
    """Returns the ids of the usable items of a split in order, at most `limit` of them."""
    statement = usable_items_statement(project_id).where(Item.split == split)
    return list(session.scalars(statement.order_by(Item.id).limit(limit)))


def list_train_item_ids(session: Session, project_id: int) -> list[int]:
    """Returns the ids of usable train items, without those set aside because answer or image are in
    doubt, and without those that serve as check items.
    """
    serves = exists().where(CheckItem.item_id == Item.id, CheckItem.retired_at.is_(None))
    set_aside = (
        select(RoundItem.id)
        .where(RoundItem.item_id == Item.id, RoundItem.state == RoundItemState.SET_ASIDE)
        .exists()
    )
    return list(
        session.scalars(
            usable_items_statement(project_id)
            .where(Item.split == Split.TRAIN, ~set_aside, ~serves)
            .order_by(Item.id)
        )
    )


def has_unjudged_items(session: Session, round_id: int) -> bool:
    """Whether something of the round is waiting for candidates or for a judgement, be it there to
    train on or mixed in to measure."""
    unjudged = exists().where(
        RoundItem.round_id == round_id,
        RoundItem.state.in_([RoundItemState.WAITING, RoundItemState.OPEN]),
    )
    return session.scalar(select(unjudged)) or False


def find_failed_run(session: Session, round_id: int) -> Run | None:
    """Returns the newest failed run of a round that nobody has retried."""
    failed = list_failed_runs(session, round_id)
    return failed[-1] if failed else None


def list_failed_runs(session: Session, round_id: int) -> Sequence[Run]:
    """Returns failed runs of a round that nobody has retried, in the order in which they were asked
    for. Those that nothing of the round waits for (`ASIDE`, `LOOKING_ON`) are left out.
    """
    retry = select(Run.retry_of_id).where(
        Run.round_id == round_id, Run.retry_of_id.is_not(None), Run.status != RunStatus.CANCELLED
    )
    return session.scalars(
        select(Run)
        .where(
            Run.round_id == round_id,
            Run.status == RunStatus.FAILED,
            Run.job.not_in(ASIDE | LOOKING_ON),
            Run.id.not_in(retry),
        )
        .order_by(Run.id)
    ).all()


def has_baseline(session: Session, project_id: int, settings: LoopSettings) -> bool:
    return find_baseline_run(session, project_id, settings, live=True) is not None


def find_baseline_run(
    session: Session, project_id: int, settings: LoopSettings, *, live: bool = False
) -> Run | None:
    """Returns the baseline of a base model in a project: the succeeded one, or with `live` a live
    one. One of before the base was changed does not count.
    """
    base = find_base(session, project_id, settings.base)
    of_content = [Run.created_at >= base.changed_at] if base and base.changed_at else []
    statuses = {RunStatus.SUCCEEDED, *(LIVE_RUN if live else ())}
    return session.scalars(
        select(Run)
        .where(
            Run.project_id == project_id,
            Run.job == Job.BASELINE,
            Run.status.in_(statuses),
            Run.parameters["base_model"].astext == settings.base_model,
            func.coalesce(Run.parameters["revision"].astext, "") == (settings.revision or ""),
            *of_content,
        )
        .order_by(Run.id.desc())
        .limit(1)
    ).one_or_none()


def list_scores(session: Session, run_id: int) -> Sequence[Score]:
    return session.scalars(
        select(Score).where(Score.run_id == run_id).order_by(Score.split, Score.id)
    ).all()


def list_live_workers(session: Session) -> Sequence[Worker]:
    """Returns the workers heard of within half a minute."""
    return session.scalars(
        select(Worker)
        .where(Worker.seen_at > func.now() - timedelta(seconds=30))
        .order_by(Worker.name)
    ).all()
