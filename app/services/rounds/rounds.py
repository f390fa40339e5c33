"""The round as an object: created, started, closed, retried, cancelled, and moved on by its runs.

generating -> judging -> training -> evaluating -> completed. Each step is a run; its success moves
the round on in the same transaction that marks it as succeeded.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.kit.errors import Conflict, InvalidInput, InvalidTransition
from app.kit.sentences import Sentence, pack
from app.kit.texts import unit_hash
from app.lifecycle import (
    CLOSED_ROUND,
    JUDGEABLE_ROUND,
    ROUND_JOB,
    Decision,
    Job,
    JudgementStatus,
    Purpose,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
    can_advance,
)
from app.models import Judgement, Project, Round, RoundItem, RoundModel, Run, User
from app.queries.rounds import candidates as candidate_queries
from app.queries.rounds import rounds as queries
from app.queries.rounds.bases import find_base
from app.queries.runs import runs as run_queries
from app.round_settings import LoopSettings
from app.services.admission.admission import AdmissionPreview, admit
from app.services.archived import require_open
from app.services.events import record
from app.services.judging.settling import settle_skipped
from app.services.rounds.decision import decide
from app.services.rounds.figures import collect_figures, list_history
from app.services.rounds.sampling import DIRECT
from app.services.rounds.training_rows import PlannedRow, list_rationale_rows, write_training_rows
from app.services.runs import runs

MODEL_ROLE = "model"


def settings_of(round_: Round) -> LoopSettings:
    return LoopSettings.model_validate(round_.settings)


def create_round(
    session: Session, project: Project, *, settings: LoopSettings, actor: User | None
) -> Round:
    """Add the next round of a project with its settings frozen. One may be open at a time."""
    require_open(project)
    last = queries.find_last_round(session, project.id)
    round_ = Round(
        project_id=project.id,
        number=last.number + 1 if last else 1,
        status=RoundStatus.DRAFT,
        settings=settings.model_dump(mode="json"),
        order_key=secrets.token_hex(16),
        figures={},
    )
    try:
        with session.begin_nested():
            session.add(round_)
    except IntegrityError as error:
        raise Conflict(
            Sentence("This project already has an open round. Complete or cancel it first.")
        ) from error
    base = find_base(session, project.id, settings)
    parent = queries.find_newest_adapter(
        session, project.id, settings.base_model, base.digest if base else None
    )
    session.add(
        RoundModel(
            round_id=round_.id,
            strategy=DIRECT,
            role=MODEL_ROLE,
            parent_adapter_id=parent.id if parent else None,
        )
    )
    record(
        session,
        "round:created",
        project_id=project.id,
        round_id=round_.id,
        actor_id=actor.id if actor else None,
        number=round_.number,
    )
    session.flush()  # callers go on with the model row
    return round_


def start_round(session: Session, round_: Round, *, actor: User | None) -> None:
    """Put the items in and request the first runs: a baseline where none is, then sampling.

    Raises Conflict when the round was started already, or is over.
    """
    round_ = queries.lock_round(session, round_.id)
    if round_.status is not RoundStatus.DRAFT:
        raise Conflict(
            Sentence(
                "Round %(number)s is %(status)s; only a draft can be started.",
                number=round_.number,
                status=round_.status,
            )
        )
    settings = settings_of(round_)
    if settings.training.source == "gold":
        request_baseline(session, round_, settings, actor)
        rationales = list_rationale_rows(session, round_, settings)
        _begin_training(session, round_, settings, rationales, actor)
        return
    item_ids = _add_items(session, round_, settings)
    if not item_ids:
        raise InvalidInput(
            Sentence(
                "There is nothing to sample: no train item is left that is neither excluded nor "
                "resting. Import items with the split `train`, or raise `rest_after`."
            )
        )
    advance(session, round_, RoundStatus.GENERATING, actor=actor)
    runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.GENERATE,
        item_blocks=split_into_blocks(item_ids, settings.sampling.items_per_shard),
        actor=actor,
    )
    # After sampling in the queue: people wait for candidates, nobody waits for the baseline yet.
    request_baseline(session, round_, settings, actor)


def close_judging(session: Session, round_: Round, *, actor: User | None) -> AdmissionPreview:
    """End judging: free what is still held, admit by policy, and train if there is anything."""
    round_ = queries.lock_round(session, round_.id)
    if round_.status is not RoundStatus.JUDGING:
        raise Conflict(
            Sentence(
                "Round %(number)s is %(status)s; only judging can be closed.",
                number=round_.number,
                status=round_.status,
            )
        )
    settings = settings_of(round_)
    _release_held(session, round_)
    preview = admit(session, round_, settings.admission)
    record(
        session,
        "round:judging:closed",
        project_id=round_.project_id,
        round_id=round_.id,
        actor_id=actor.id if actor else None,
        n_rationales=preview.n_rationales,
        n_items=preview.n_items,
    )
    rationales = list_rationale_rows(session, round_, settings)
    if rationales:
        _begin_training(session, round_, settings, rationales, actor)
    else:
        round_.figures = collect_figures(session, round_)
        _complete(
            session,
            round_,
            Decision.NO_PROGRESS,
            Sentence("No rationale has been admitted so far, so there is nothing to train on."),
        )
    return preview


def close_if_all_judged(session: Session, round_id: int) -> bool:
    """Close a round that advances by itself once sampling is over and nothing is left to judge.

    What only those are left for who skipped it is settled first, in every round.
    """
    round_ = queries.lock_round(session, round_id)
    if round_.status is not RoundStatus.JUDGING:
        return False
    settle_skipped(session, round_)
    if not settings_of(round_).auto_advance or queries.has_unjudged_items(session, round_id):
        return False
    close_judging(session, round_, actor=None)
    return True


def retry_round(session: Session, round_: Round, *, actor: User | None) -> Run:
    """Run what failed of a round again, from finished shards or a saved state: a baseline as well
    as the job that the round waits for. Returns the first of them."""
    round_ = queries.lock_round(session, round_.id)
    if round_.status in CLOSED_ROUND:
        raise Conflict(
            Sentence(
                "Round %(number)s is %(status)s; nothing of it can be retried.",
                number=round_.number,
                status=round_.status,
            )
        )
    failed = queries.list_failed_runs(session, round_.id)
    if not failed:
        raise Conflict(
            Sentence(
                "No run of round %(number)s has failed; there is nothing to retry.",
                number=round_.number,
            )
        )
    again = [runs.retry_run(session, run, actor=actor) for run in failed]
    return again[0]


def cancel_round(session: Session, round_: Round, *, actor: User | None) -> None:
    """Cancel a round and its live runs. Judgements and samples stay on record."""
    round_ = queries.lock_round(session, round_.id)
    for run in run_queries.list_round_runs(session, round_.id):
        if run.status in (RunStatus.QUEUED, RunStatus.RUNNING):
            runs.cancel_run(session, run, actor=actor)
    _release_held(session, round_)
    advance(session, round_, RoundStatus.CANCELLED, actor=actor)


def finish_round_run(
    session: Session, run_id: int, *, attempt: int, result: dict[str, Any]
) -> None:
    """Mark a run as succeeded and take the step that follows, in one transaction.

    1. Lock the round first, then the run: everybody in the same order.
    2. Refuse an outdated attempt (LostRun).
    3. Advance the round by the job that ended.
    """
    run = run_queries.get_run(session, run_id)
    assert run.round_id is not None  # noqa: S101 - callers finish runs of rounds
    round_ = queries.lock_round(session, run.round_id)
    run = run_queries.lock_run(session, run_id)
    runs.finish_run(session, run, attempt=attempt, result=result)
    session.flush()  # the steps below look at the runs that are still live
    settings = settings_of(round_)
    if run.job is Job.JUDGE:
        close_if_all_judged(session, round_.id)
    elif run.job is not ROUND_JOB.get(round_.status):
        return  # a baseline: the round does not wait for it
    elif run.job is Job.GENERATE:
        advance(session, round_, RoundStatus.JUDGING, actor=None)
        _begin_judging(session, round_, settings)
    elif run.job is Job.TRAIN:
        advance(session, round_, RoundStatus.EVALUATING, actor=None)
        _request_evaluation(session, round_, settings)
    elif run.job is Job.EVALUATE:
        _decide(session, round_, settings)


def advance(session: Session, round_: Round, status: RoundStatus, *, actor: User | None) -> None:
    """The one door for a round's status."""
    if not can_advance(round_.status, status):
        raise InvalidTransition(
            Sentence(
                "Round %(number)s is %(old)s; it cannot become %(new)s.",
                number=round_.number,
                old=round_.status,
                new=status,
            )
        )
    record(
        session,
        "round:status:changed",
        project_id=round_.project_id,
        round_id=round_.id,
        actor_id=actor.id if actor else None,
        old=round_.status.value,
        new=status.value,
    )
    round_.status = status
    round_.status_changed_at = func.clock_timestamp()


# --- Steps ----------------------------------------------------------------------------------


def _add_items(session: Session, round_: Round, settings: LoopSettings) -> list[int]:
    """Put the usable train items in; those with enough rationales rest, but for a control."""
    usable = queries.list_train_item_ids(session, round_.project_id)
    n_admitted = candidate_queries.count_admitted_per_item(session, round_.project_id)

    def rests(item_id: int) -> bool:
        # The control is fixed: the same items in every round, so that rounds can be compared.
        is_control = unit_hash("control", settings.seed, item_id) < settings.rest_control_share
        return n_admitted.get(item_id, 0) >= settings.rest_after and not is_control

    resting = [item_id for item_id in usable if rests(item_id)]
    sampled = sorted(
        set(usable) - set(resting),
        key=lambda item_id: unit_hash("order", settings.seed, round_.id, item_id),
    )
    # Items without any rationale come first where a round takes only some.
    sampled.sort(key=lambda item_id: n_admitted.get(item_id, 0) > 0)
    chosen = sorted(sampled[: settings.max_items])
    rows = [
        {
            "round_id": round_.id,
            "project_id": round_.project_id,
            "item_id": item_id,
            "split": Split.TRAIN,
            "purpose": Purpose.TRAINING,
            "state": state,
            "slots": settings.judging.overlap,
            "max_slots": settings.judging.most_slots,
            "taken_weight": float(settings.judging.order == "fewest_first"),
            "random_key": unit_hash("queue", round_.order_key, item_id),
        }
        for state, ids in ((RoundItemState.WAITING, chosen), (RoundItemState.RESTING, resting))
        for item_id in ids
    ]
    if rows:
        session.execute(insert(RoundItem), rows)
    return chosen


def request_baseline(
    session: Session, round_: Round, settings: LoopSettings, actor: User | None
) -> None:
    """Evaluate the base model itself once per project and base model, before anything is tuned."""
    if queries.has_baseline(session, round_.project_id, settings):
        return
    blocks = _held_out_blocks(session, round_, settings, with_test=True)
    if blocks:
        runs.request_run(
            session,
            project_id=round_.project_id,
            round_id=round_.id,
            job=Job.BASELINE,
            parameters={"base_model": settings.base_model, "revision": settings.revision},
            item_blocks=blocks,
            actor=actor,
        )


def _begin_judging(session: Session, round_: Round, settings: LoopSettings) -> None:
    if settings.judging.judges != "people":
        runs.request_run(session, project_id=round_.project_id, round_id=round_.id, job=Job.JUDGE)
    else:
        close_if_all_judged(session, round_.id)


def _begin_training(
    session: Session,
    round_: Round,
    settings: LoopSettings,
    rationales: Sequence[PlannedRow],
    actor: User | None,
) -> None:
    advance(session, round_, RoundStatus.TRAINING, actor=actor)
    run = runs.request_run(
        session, project_id=round_.project_id, round_id=round_.id, job=Job.TRAIN, actor=actor
    )
    run.parameters = write_training_rows(session, run, round_, settings, rationales)


def _request_evaluation(session: Session, round_: Round, settings: LoopSettings) -> None:
    blocks = _held_out_blocks(
        session, round_, settings, with_test=settings.evaluation.test_each_round
    )
    if not blocks:
        _decide(session, round_, settings)
        return
    runs.request_run(
        session,
        project_id=round_.project_id,
        round_id=round_.id,
        job=Job.EVALUATE,
        item_blocks=blocks,
    )


def _held_out_blocks(
    session: Session, round_: Round, settings: LoopSettings, *, with_test: bool
) -> list[Sequence[int]]:
    """Blocks of held-out items: each in one split, several times the size of sampling's."""
    blocks: list[Sequence[int]] = []
    size = settings.sampling.items_per_shard * 4
    for split in (Split.VALIDATION, Split.TEST) if with_test else (Split.VALIDATION,):
        item_ids = queries.list_usable_item_ids(session, round_.project_id, split)
        if settings.evaluation.max_items is not None:
            item_ids = sorted(item_ids, key=lambda id_: unit_hash("evaluate", id_))
            item_ids = sorted(item_ids[: settings.evaluation.max_items])
        blocks += split_into_blocks(item_ids, size)
    return blocks


def split_into_blocks(item_ids: Sequence[int], size: int) -> list[Sequence[int]]:
    return [item_ids[start : start + size] for start in range(0, len(item_ids), size)]


def _decide(session: Session, round_: Round, settings: LoopSettings) -> None:
    round_.figures = collect_figures(session, round_)
    history = list_history(session, round_)
    decision, reason = decide(round_.number, history, settings.stop)
    _complete(session, round_, decision, reason)
    if decision is Decision.CONTINUE and settings.auto_continue:
        session.flush()  # the next round may only open when this one is closed in the table
        project = session.get_one(Project, round_.project_id)
        following = create_round(session, project, settings=settings, actor=None)
        start_round(session, following, actor=None)


def _complete(session: Session, round_: Round, decision: Decision, reason: str) -> None:
    advance(session, round_, RoundStatus.COMPLETED, actor=None)
    round_.decision = decision
    round_.decision_reason = reason
    record(
        session,
        "round:decided",
        project_id=round_.project_id,
        round_id=round_.id,
        decision=decision.value,
        reason=pack(reason),
    )


def _release_held(session: Session, round_: Round) -> None:
    """Free leases and drafts. Their content stays, and their authors are told."""
    if round_.status in JUDGEABLE_ROUND:
        session.execute(
            update(Judgement)
            .where(
                Judgement.round_id == round_.id,
                Judgement.status.in_([JudgementStatus.LEASED, JudgementStatus.DRAFT]),
            )
            .values(status=JudgementStatus.RELEASED, slot=None, lease_until=None)
        )


def list_settled_rounds(session: Session) -> list[int]:
    """Rounds in judging that a sweep should try to close: a crash may have missed the moment."""
    return list(session.scalars(select(Round.id).where(Round.status == RoundStatus.JUDGING)))
