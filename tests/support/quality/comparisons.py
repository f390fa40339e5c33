"""Rounds that made an adapter, and what two adapters drew to be compared, for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.lifecycle import Job, Purpose, RunStatus, ShardStatus, Split
from app.models import (
    Adapter,
    Comparison,
    ComparisonCandidate,
    Project,
    Round,
    RoundItem,
    RoundModel,
    Run,
    RunShard,
    User,
)
from app.run_results import SamplingResult
from app.services.judging import opening
from app.services.quality.comparisons import request_comparison
from app.services.rounds.compared import Sides, store_compared
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.rounds import settings_of
from app.services.rounds.sampling import Drawn
from tests.support.factories import make_item, make_membership, make_run
from tests.support.judging import first_two, submit
from tests.support.quality.anchors import anchored_settings, make_first_round

OLD = ("the old one sees a ball", "it is red", "both say this")
NEW = ("the new one sees a red ball", "so it is red", "both say this")


def make_compared_round(
    session: Session, people: Sequence[User], *, n_test: int = 6, **judging: object
) -> Round:
    """A completed first round of a project with test items, which made an adapter of the base."""
    round_ = make_first_round(
        session, people, n_items=3, settings=anchored_settings(0, overlap=2, **judging)
    )
    project = session.get_one(Project, round_.project_id)
    for user in people:
        make_membership(session, project, user)
    for _ in range(n_test):
        make_item(session, project, split=Split.TEST)
    make_adapter(session, round_)
    return round_


def make_adapter(
    session: Session, round_: Round, *, strategy: str = "direct", role: str = "model"
) -> None:
    """Let a round have made an adapter of the base, for a role of a strategy."""
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.TRAIN, round_=round_)
    adapter = Adapter(
        project_id=project.id,
        run_id=run.id,
        run_attempt=run.attempt,
        base_model="demo",
        base_revision="1",
        digest=f"{run.id:064x}",
    )
    session.add(adapter)
    session.flush()
    run.status, run.finished_at = RunStatus.SUCCEEDED, round_.created_at
    session.add(
        RoundModel(round_id=round_.id, strategy=strategy, role=role, new_adapter_id=adapter.id)
    )
    session.flush()


def make_mixed(session: Session, round_: Round) -> None:
    """Let a compared round be one of three strategies, the last of which made no adapter."""
    mix = ["direct:1", "monologue:1", "perception:1"]
    round_.settings = {**round_.settings, "strategies": mix}
    for role in ("reasoner", "observer"):
        make_adapter(session, round_, strategy="monologue", role=role)
    session.add(RoundModel(round_id=round_.id, strategy="perception", role="model"))
    session.flush()


@dataclass(frozen=True)
class Drew:
    """What both adapters draw for every item."""

    old: Sequence[str] = OLD
    new: Sequence[str] = NEW


def _drawn(item_id: int, texts: Sequence[str]) -> list[Drawn]:
    return [
        Drawn(
            item_id=item_id,
            prompt=", seeing that",
            temperature=0.3,
            number=number,
            seed=number,
            text=text,
            log_probability=-1.0,
            n_tokens=3,
        )
        for number, text in enumerate(texts)
    ]


def sample_comparison(
    session: Session, comparison: Comparison, drew: Mapping[int, Drew] | None = None
) -> None:
    """Do what a worker does with the run of a comparison. drew: by item, where it is not usual."""
    assert comparison.run_id is not None
    run = session.get_one(Run, comparison.run_id)
    round_ = session.get_one(Round, comparison.round_id)
    run.status, run.attempt = RunStatus.RUNNING, 1
    shards = session.scalars(select(RunShard).where(RunShard.run_id == run.id)).all()
    for shard in shards:
        shard.status, shard.attempt = ShardStatus.RUNNING, 1
    session.flush()
    for shard in shards:
        sides = {item_id: (drew or {}).get(item_id, Drew()) for item_id in shard.item_ids}
        store_compared(
            session,
            run=run,
            shard_id=shard.id,
            attempt=1,
            sides=Sides(
                [one for item_id, own in sides.items() for one in _drawn(item_id, own.old)],
                [one for item_id, own in sides.items() for one in _drawn(item_id, own.new)],
            ),
            settings=settings_of(round_),
            seconds=0.1,
        )
    finish_round_run(session, run.id, attempt=1, result=SamplingResult())
    session.flush()


def make_sampled(
    session: Session, round_: Round, *, n_items: int = 4, drew: Mapping[int, Drew] | None = None
) -> Comparison:
    """A comparison of a round whose texts are sampled."""
    comparison = request_comparison(session, round_, n_items=n_items, actor=None)
    sample_comparison(session, comparison, drew)
    return comparison


def new_ids(session: Session, comparison: Comparison) -> set[int]:
    """The candidates that the new adapter alone drew."""
    return set(
        session.scalars(
            select(ComparisonCandidate.candidate_id).where(
                ComparisonCandidate.comparison_id == comparison.id,
                ComparisonCandidate.n_old == 0,
            )
        )
    )


def judge_for_the_new(
    session: Session, round_: Round, people: Sequence[User], comparison: Comparison
) -> None:
    """Let people judge all of a round; of what is compared they pick what the new adapter drew."""
    new = new_ids(session, comparison)
    for user in people:
        while (judgement := opening.open_next_item(session, round_, user)) is not None:
            place = session.get_one(RoundItem, judgement.round_item_id)
            if place.purpose is Purpose.COMPARISON:
                picked = [id_ for id_ in judgement.shown_order if id_ in new]
            else:
                picked = list(first_two(user, judgement.shown_order))
            submit(session, judgement, picked=picked, none_fits=not picked)
