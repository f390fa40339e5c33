"""Every pair of statuses, allowed and forbidden alike, in the table and through its one door."""

from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from itertools import product
from typing import TypeVar

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidTransition
from app.lifecycle import (
    CLOSED_ROUND,
    JUDGEABLE_ROUND,
    JUDGEMENT_TRANSITIONS,
    LIVE_JUDGEMENT,
    LIVE_RUN,
    PHASES,
    QUEUES,
    ROUND_TRANSITIONS,
    RUN_TRANSITIONS,
    SHARDED,
    Decision,
    Job,
    JudgementStatus,
    RoundStatus,
    RunStatus,
    can_advance,
)
from app.models import Event, Judgement, Project, Run
from app.services.judging import leases, opening
from app.services.round_status import advance
from app.services.runs import runs
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)

Status = TypeVar("Status", bound=StrEnum)

# The tables once more, as a person would write them down: a change must be meant.
ROUND_STEPS = {
    "draft": "generating training cancelled",
    "generating": "judging cancelled",
    "judging": "closing cancelled",
    "closing": "training completed cancelled",
    "training": "evaluating cancelled",
    "evaluating": "completed cancelled",
    "completed": "",
    "cancelled": "",
}
RUN_STEPS = {
    "queued": "running cancelled failed",
    "running": "queued succeeded failed cancelled",
    "succeeded": "",
    "failed": "",
    "cancelled": "",
}
JUDGEMENT_STEPS = {
    "leased": "draft submitted skipped released",
    "draft": "submitted skipped released",
    "submitted": "draft withdrawn",
    "withdrawn": "submitted",
    "skipped": "leased draft",
    "released": "leased draft",
}


def pairs(steps: dict[str, str], kind: type[Status]) -> Iterator[tuple[Status, Status, bool]]:
    for old, new in product(kind, kind):
        yield old, new, new.value in steps[old.value].split()


ROUND_PAIRS = list(pairs(ROUND_STEPS, RoundStatus))
RUN_PAIRS = list(pairs(RUN_STEPS, RunStatus))
JUDGEMENT_PAIRS = list(pairs(JUDGEMENT_STEPS, JudgementStatus))


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


def tags_since(session: Session, count: int) -> list[str]:
    session.flush()
    return list(session.scalars(select(Event.tag).order_by(Event.id)))[count:]


def count_events(session: Session) -> int:
    return len(tags_since(session, 0))


@pytest.mark.parametrize(("old", "new", "is_allowed"), [*ROUND_PAIRS, *RUN_PAIRS, *JUDGEMENT_PAIRS])
def test_table_allows_what_it_should(
    old: RoundStatus | RunStatus | JudgementStatus,
    new: RoundStatus | RunStatus | JudgementStatus,
    is_allowed: bool,
) -> None:
    assert can_advance(old, new) is is_allowed


@pytest.mark.parametrize(("old", "new", "is_allowed"), ROUND_PAIRS)
def test_round_goes_only_where_the_table_lets_it(
    session: Session, project: Project, old: RoundStatus, new: RoundStatus, is_allowed: bool
) -> None:
    round_ = make_round(session, project, status=RoundStatus.DRAFT)
    round_.status = old
    round_.decision = Decision.CONTINUE if old is RoundStatus.COMPLETED else None
    before = count_events(session)
    if not is_allowed:
        with pytest.raises(InvalidTransition, match=old.value):
            advance(session, round_, new, actor=None)
        assert (round_.status, tags_since(session, before)) == (old, [])
        return
    round_.decision = Decision.CONTINUE if new is RoundStatus.COMPLETED else None
    advance(session, round_, new, actor=None)
    assert tags_since(session, before) == ["round:status:changed"]
    event = session.scalars(select(Event).order_by(Event.id.desc()).limit(1)).one()
    assert (event.details, round_.status) == ({"old": old.value, "new": new.value}, new)


@pytest.mark.parametrize(("old", "new", "is_allowed"), RUN_PAIRS)
def test_run_goes_only_where_the_table_lets_it(
    session: Session, project: Project, old: RunStatus, new: RunStatus, is_allowed: bool
) -> None:
    run = make_run(session, project, Job.IMPORT)
    put_run_into(session, run, old)
    before = count_events(session)
    reason = {"error": "the disk is full"} if new is RunStatus.FAILED else {}
    if not is_allowed:
        with pytest.raises(InvalidTransition, match=old.value):
            runs.set_run_status(session, run, new, **reason)
        assert (run.status, tags_since(session, before)) == (old, [])
        return
    runs.set_run_status(session, run, new, **reason)
    assert tags_since(session, before) == [f"run:status:{new.value}"]
    session.refresh(run)
    assert run.status is new
    assert (run.finished_at is None) is (new in LIVE_RUN)


def put_run_into(session: Session, run: Run, status: RunStatus) -> None:
    run.status = status
    run.finished_at = None if status in LIVE_RUN else datetime.now(UTC)
    run.error = "the disk is full" if status is RunStatus.FAILED else None
    session.flush()


@pytest.mark.parametrize(("old", "new", "is_allowed"), JUDGEMENT_PAIRS)
def test_judgement_goes_only_where_the_table_lets_it(
    session: Session, project: Project, old: JudgementStatus, new: JudgementStatus, is_allowed: bool
) -> None:
    round_ = make_round(session, project)
    make_round_item(session, round_, make_item(session, project))
    judgement = opening.open_next_item(session, round_, make_user(session))
    assert judgement is not None
    put_judgement_into(session, judgement, old)
    before = count_events(session)
    if not is_allowed:
        with pytest.raises(InvalidTransition, match=old.value):
            leases.change_status(session, judgement, new, round_=round_)
        assert (judgement.status, tags_since(session, before)) == (old, [])
        return
    with session.no_autoflush:  # what else belongs to a status is set by the caller
        leases.change_status(session, judgement, new, round_=round_)
        put_judgement_into(session, judgement, new)
    assert tags_since(session, before) == ["judgement:status:changed"]


def put_judgement_into(session: Session, judgement: Judgement, status: JudgementStatus) -> None:
    """The row as the tables want it in a status."""
    now = datetime.now(UTC)
    is_held = status in (JudgementStatus.LEASED, JudgementStatus.DRAFT)
    judgement.status = status
    judgement.slot = 1 if status in LIVE_JUDGEMENT else None
    judgement.lease_until = now if is_held else None
    judgement.submitted_at = now if status is JudgementStatus.SUBMITTED else None
    judgement.none_fits = status is JudgementStatus.SUBMITTED
    session.flush()


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        (ROUND_TRANSITIONS, RoundStatus),
        (RUN_TRANSITIONS, RunStatus),
        (JUDGEMENT_TRANSITIONS, JudgementStatus),
    ],
)
def test_every_status_has_a_row_and_can_be_reached(
    table: dict[StrEnum, frozenset[StrEnum]], kind: type[StrEnum]
) -> None:
    assert list(table) == list(kind)
    start = next(iter(kind))
    reached, waiting = {start}, [start]
    while waiting:
        new = table[waiting.pop()] - reached
        reached |= new
        waiting += new
    assert reached == set(kind)


def test_what_is_over_stays_over() -> None:
    for status in CLOSED_ROUND:
        assert ROUND_TRANSITIONS[status] == frozenset()
    for run_status in set(RunStatus) - LIVE_RUN:
        assert RUN_TRANSITIONS[run_status] == frozenset()


def test_open_round_and_live_run_can_always_be_cancelled() -> None:
    for status in set(RoundStatus) - CLOSED_ROUND:
        assert RoundStatus.CANCELLED in ROUND_TRANSITIONS[status]
    for run_status in LIVE_RUN:
        assert RunStatus.CANCELLED in RUN_TRANSITIONS[run_status]


def test_every_job_has_a_queue_and_rounds_know_their_jobs() -> None:
    assert set(QUEUES) == set(Job)
    assert set(QUEUES.values()) == {"cpu", "gpu"}
    assert set(SHARDED) < set(Job)
    assert set(PHASES) == set(RoundStatus) - CLOSED_ROUND - {RoundStatus.DRAFT}
    for status, phase in PHASES.items():
        assert phase.following in ROUND_TRANSITIONS[status]
        assert phase.jobs
    assert set(JUDGEABLE_ROUND) < set(RoundStatus) - CLOSED_ROUND
