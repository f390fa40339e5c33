"""What the gates of the judging pages hand to the services, for tests that call those directly; and
rounds of the strategy `monologue` with episodes that nobody had to play; and rounds that several
people judged, with their evidence."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.lifecycle import Job, Purpose, RoundItemState, RunStatus, ShardStatus
from app.models import Item, Judgement, Project, Round, RoundItem, Run, RunShard, User
from app.opinions import Opinion
from app.principal import CameBy, Credential
from app.queries.judging.access import LockedItem, lock_own_item
from app.queries.runs.runs import claim_run
from app.round_settings import LoopSettings
from app.services.judging import branches, judgements, opening
from app.services.judging.branches import Branched
from app.services.quality.asking import request_evidence
from app.services.quality.evidence import gather_evidence
from app.services.rounds.sampling import Drawing, Drawn, store_samples
from app.strategies import Trace
from app.strategies.monologue import MONOLOGUE, MonologueTrace, Outcome, Turn
from tests.support.factories import (
    make_item,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)


def locked(session: Session, judgement: Judgement) -> LockedItem:
    """The judgement with all that its author's actions lock."""
    author = Credential(CameBy.SESSION, "", judgement.user_id)
    found = lock_own_item(session, judgement.id, author)
    assert found is not None
    return found


def submit(
    session: Session,
    judgement: Judgement,
    *,
    version: int | None = None,
    active_ms: int = 0,
    now: datetime | None = None,
    **says: Any,
) -> Judgement:
    """Submit an opinion made of the fields in `says`."""
    judgements.submit(
        session,
        locked(session, judgement),
        Opinion(**says),
        version=judgement.version if version is None else version,
        active_ms=active_ms,
        now=now,
    )
    return judgement


def open_item(
    session: Session, round_: Round, user: User, *, now: datetime | None = None
) -> Judgement:
    """Reserve the next item of a round, of which there must be one, for a person."""
    judgement = opening.open_next_item(session, round_, user, now=now)
    assert judgement is not None
    return judgement


# --- Episodes -------------------------------------------------------------------------------

_numbers = count(1)

CONE = ("what size is the cone?", "small")
BALL = ("what size is the ball?", "large")
MAT = ("what is the mat made of?", "cloth")

Looks = Sequence[tuple[str, str]]
"""The turns of an episode: what was asked, and what was seen."""


def monologue_settings() -> LoopSettings:
    return LoopSettings(strategy=MONOLOGUE.name, auto_advance=False)


def make_monologue_round(
    session: Session, project: Project | None = None, *, number: int = 1
) -> Round:
    """A round that is being judged, with nothing in it."""
    project = project or make_project(session)
    return make_round(session, project, number=number, settings=monologue_settings())


def trace_of(looks: Looks, answer: str = "no") -> MonologueTrace:
    asked = [question for question, _ in looks]
    return MonologueTrace(
        turns=tuple(
            Turn(
                asked=question,
                observed=seen,
                asked_tokens=(5, 6, 7),
                log_probability=-0.5,
                is_repeated=question in asked[:place],
            )
            for place, (question, seen) in enumerate(looks)
        ),
        outcome=Outcome.EXPLAINED,
        answer=answer,
        answer_tokens=(8,),
        rationale_tokens=(9, 10),
    )


def make_episodes(
    session: Session,
    round_: Round,
    texts: Mapping[str, Sequence[Looks]],
    *,
    item: Item | None = None,
    slots: int = 1,
) -> RoundItem:
    """An open item of a round, with a draw for each way that led to a text: the first one of a text
    is the most probable."""
    project = session.get_one(Project, round_.project_id)
    item = item or make_item(
        session, project, question="is the cone the same size as the ball?", answer="no"
    )
    traces = {text: [trace_of(looks) for looks in ways] for text, ways in texts.items()}
    return make_traced(session, round_, item, traces, slots=slots)


def make_traced(
    session: Session,
    round_: Round,
    item: Item,
    traces: Mapping[str, Sequence[Trace | None]],
    *,
    slots: int = 1,
) -> RoundItem:
    """An open item of a round, with a draw for each trace of a text: the first one of a text is the
    most probable."""
    project = session.get_one(Project, round_.project_id)
    round_item = make_round_item(
        session, round_, item, texts=(), slots=slots, state=RoundItemState.WAITING
    )
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    shard = RunShard(
        run_id=run.id, number=1, item_ids=[item.id], attempt=1, status=ShardStatus.RUNNING
    )
    session.add(shard)
    session.flush()
    settings = LoopSettings.model_validate(round_.settings)
    # Least probable first, so that the order of rows says nothing.
    drawn = [
        Drawn(
            item_id=item.id,
            prompt=", seeing that",
            temperature=0.3,
            number=next(_numbers),
            seed=1,
            text=text,
            log_probability=-1.0 - place,
            n_tokens=12,
            is_cut=False,
            trace=trace.model_dump(mode="json") if trace else None,
        )
        for text, ways in traces.items()
        for place, trace in reversed(list(enumerate(ways)))
    ]
    store_samples(
        session,
        run=run,
        shard_id=shard.id,
        attempt=1,
        item_ids=[item.id],
        drawings=[Drawing(settings.strategy, drawn)],
        settings=settings,
        seconds=1.0,
    )
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()
    session.refresh(round_item)
    return round_item


# --- Branches -------------------------------------------------------------------------------


def branched(
    looks: Looks = (),
    *,
    answer: str = "no",
    text: str = "both are small",
    outcome: Outcome = Outcome.EXPLAINED,
    said: str = "",
) -> Branched:
    """Returns a branch as a worker makes it. looks: all turns, the corrected one among them;
    said: the words that were not understood."""
    trace = trace_of(looks, answer).model_copy(update={"outcome": outcome, "said": said})
    return Branched(
        seed=7,
        trace=trace.model_dump(mode="json"),
        text=text,
        log_probability=-2.5,
        n_tokens=9,
        is_cut=False,
    )


def claim_branch(session: Session) -> tuple[int, int]:
    """Take the oldest branch that waits for a worker; returns its run and the attempt."""
    run_id = session.scalars(
        select(Run.id)
        .where(Run.job == Job.BRANCH, Run.status == RunStatus.QUEUED)
        .order_by(Run.id)
        .limit(1)
    ).one()
    attempt = claim_run(session, run_id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    return run_id, attempt


def make_branch(session: Session, made: Branched) -> None:
    """Do what a worker does with the oldest branch that waits."""
    run_id, attempt = claim_branch(session)
    branches.store_branch(session, run_id, attempt=attempt, made=made, adapter_id=None, seconds=0.5)
    session.flush()


# --- Evidence -------------------------------------------------------------------------------

TEXTS = ("it is red", "the ball is red", "there is a ball", "it is round")

Choose = Callable[[User, Sequence[int]], Sequence[int]]
"""Says what somebody picks of the candidates that they see, in the order in which they see them."""


def first_two(_user: User, shown: Sequence[int]) -> Sequence[int]:
    """The two candidates that were made first, wherever they stand."""
    return sorted(shown)[:2]


def make_judged_items(
    session: Session,
    round_: Round,
    people: Sequence[User],
    *,
    n_items: int,
    choose: Choose = first_two,
    purpose: Purpose = Purpose.TRAINING,
) -> list[RoundItem]:
    """Items of four candidates that each of these people has judged."""
    project = session.get_one(Project, round_.project_id)
    items = [
        make_round_item(
            session,
            round_,
            make_item(session, project),
            texts=TEXTS,
            slots=len(people),
            purpose=purpose,
        )
        for _ in range(n_items)
    ]
    for user in people:
        for _ in items:
            judgement = open_item(session, round_, user)
            picked = list(choose(user, judgement.shown_order))
            submit(session, judgement, picked=picked, none_fits=not picked)
    return items


def make_people(session: Session, n: int) -> list[User]:
    return [make_user(session) for _ in range(n)]


def gather_now(session: Session, round_: Round) -> None:
    """Ask for the evidence of a round, and do what a worker does then."""
    run = request_evidence(session, round_, actor=None)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=timedelta(minutes=1))
    assert attempt is not None
    session.refresh(run)
    gather_evidence(session, run.id, attempt=attempt)
    session.flush()
