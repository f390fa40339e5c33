"""`kill -9` while several strategies draw for a shard: nothing is lost, and nothing is twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import Job, RoundStatus
from app.models import (
    AskedImage,
    AskedQuestion,
    Candidate,
    Item,
    Round,
    RoundCandidate,
    Run,
    RunShard,
    Sample,
)
from tests.support.models.families import build_llava
from tests.support.worker_processes import (
    Processes,
    holding,
    kill_model_worker,
    processes,
    somebody_waits_for,
    wait_for,
)
from tests.worker.test_kills import (
    A_WHOLE_ROUND,
    COST_OF_A_DEATH,
    N_TRAIN,
    begin,
    start_workers,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as started:
        yield started


def test_a_shard_of_several_strategies_is_drawn_again_alike(
    database: sessionmaker[Session], tmp_path: Path, running: Processes
) -> None:
    """All four draw before anything of a shard is stored, one of them asks about images as well."""
    model = tmp_path / "model"
    build_llava(model)
    mix = {
        "strategies": ["direct:1", "monologue:1", "self_questioning:1", "perception:1"],
        "self_questioning": {"n_questions": 3, "temperature": 1.5, "probe_questions": 1},
        "judging": {"judges": "people", "max_shown": 4},
    }

    def begin_mixed(name: str) -> int:
        (tmp_path / name).mkdir()
        return begin(database, model, tmp_path / name, **mix)

    def is_sampled(round_id: int) -> Callable[[], bool]:
        def sampled() -> bool:
            with database() as session:
                return session.get_one(Round, round_id).status is RoundStatus.JUDGING

        return sampled

    start_workers(running)
    whole_id = begin_mixed("undisturbed")
    wait_for(is_sampled(whole_id), seconds=2 * A_WHOLE_ROUND, describe=running.logs)
    with holding(database, "LOCK TABLE candidate IN SHARE MODE"):
        killed_id = begin_mixed("killed")
        wait_for(
            somebody_waits_for(database, "INSERT INTO candidate%"),
            seconds=90,
            describe=running.logs,
        )
        kill_model_worker(database)
        time.sleep(0.5)
    wait_for(is_sampled(killed_id), seconds=A_WHOLE_ROUND + COST_OF_A_DEATH, describe=running.logs)
    with database() as session:
        attempts = session.scalars(
            select(RunShard.attempt)
            .join(Run, Run.id == RunShard.run_id)
            .where(Run.round_id == killed_id, Run.job == Job.GENERATE)
        ).all()
        assert max(attempts) == 2, "it was drawn twice and kept once"
        drawn = drawn_in(session, killed_id)
        assert Counter(draw[1] for draw in drawn) == dict.fromkeys(
            ("direct", "monologue", "self_questioning", "perception"), N_TRAIN
        )
        assert drawn == drawn_in(session, whole_id)
        candidates = candidates_in(session, killed_id)
        assert candidates
        assert candidates == candidates_in(session, whole_id)
        asked = asked_in(session, killed_id)
        assert len(asked) == N_TRAIN
        assert asked == asked_in(session, whole_id)


def drawn_in(session: Session, round_id: int) -> list[tuple[object, ...]]:
    """All draws of a round, by what they have in any project."""
    return sorted(
        [
            tuple(row)
            for row in session.execute(
                select(
                    Item.external_id,
                    Sample.strategy,
                    Sample.temperature,
                    Sample.number,
                    Sample.seed,
                    Sample.log_probability,
                    Candidate.text,
                )
                .join(Item, Item.id == Sample.item_id)
                .join(Run, Run.id == Sample.run_id)
                .outerjoin(Candidate, Candidate.id == Sample.candidate_id)
                .where(Run.round_id == round_id)
            )
        ],
        key=str,
    )


def candidates_in(session: Session, round_id: int) -> list[tuple[object, ...]]:
    """The texts of a round, each with how often it was drawn."""
    return sorted(
        tuple(row)
        for row in session.execute(
            select(Item.external_id, Candidate.text, RoundCandidate.n_draws)
            .join(Candidate, Candidate.id == RoundCandidate.candidate_id)
            .join(Item, Item.id == Candidate.item_id)
            .where(RoundCandidate.round_id == round_id)
        )
    )


def asked_in(session: Session, round_id: int) -> list[tuple[object, ...]]:
    """What was asked about the images of a round, each image once."""
    asked = session.scalars(select(AskedImage).where(AskedImage.round_id == round_id)).all()
    return sorted(
        (
            one.image_sha256,
            one.description,
            one.n_drawn,
            one.n_empty,
            *map(
                tuple,
                session.execute(
                    select(AskedQuestion.text, AskedQuestion.n_draws)
                    .where(AskedQuestion.asked_image_id == one.id)
                    .order_by(AskedQuestion.text)
                ),
            ),
        )
        for one in asked
    )
