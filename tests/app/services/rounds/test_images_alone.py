"""Rounds that ask about images without questions: how they start, end and go on."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.errors import InvalidInput
from app.lifecycle import Decision, Job, QuestionState, RoundStatus, RunStatus, ShardStatus, Split
from app.models import AskedQuestion, Item, Project, ProjectImage, Round, Run, RunShard
from app.queries.rounds.questions import list_known_questions
from app.queries.runs.runs import claim_run, claim_shard
from app.round_settings import LoopSettings
from app.run_results import ClosingResult, RoundFigures, SamplingResult
from app.scenes.scene import Obj, Scene
from app.services.rounds import rounds
from app.services.rounds.closing import close_round
from app.services.rounds.critic_judging import judge_round
from app.services.rounds.moving_on import finish_round_run
from app.services.rounds.questions import (
    Inquiry,
    ProposedQuestion,
    decide_by_critic,
    store_inquiries,
)
from app.services.rounds.sampling import store_samples
from app.services.rounds.starting import start_round
from app.services.runs.runs import fail_run, retry_run
from tests.support.factories import make_image, make_item, make_project

SCENE = Scene((Obj(shape="sphere", color="red", size="small", material="rubber", row=0, col=0),))
SOON = timedelta(minutes=1)


def ask_settings(**changes: Any) -> LoopSettings:
    values = {
        "strategy": "self_questioning",
        "judging": {"judges": "exact", "overlap": 1},
        "sampling": {"items_per_shard": 2},
        "auto_advance": True,
        "auto_continue": True,
    }
    return LoopSettings.model_validate(values | changes)


def add_alone(
    session: Session,
    project: Project,
    n: int = 1,
    split: Split = Split.TRAIN,
    facts: Mapping[str, Any] | None = None,
) -> list[str]:
    digests = []
    for number in range(n):
        image = make_image(session)
        session.add(
            ProjectImage(
                project_id=project.id,
                image_sha256=image.sha256,
                split=split,
                image_name=f"{split}-{number}.png",
                facts=dict(facts) if facts else None,
            )
        )
        digests.append(image.sha256)
    session.flush()
    return digests


def start(session: Session, project: Project, settings: LoopSettings) -> Round:
    round_ = rounds.create_round(session, project, settings=settings, actor=None)
    start_round(session, round_, actor=None)
    session.flush()
    return round_


def run_of(session: Session, round_: Round, job: Job) -> Run:
    statement = select(Run).where(Run.round_id == round_.id, Run.job == job)
    return session.scalars(statement.order_by(Run.id.desc()).limit(1)).one()


def shards_of(session: Session, run: Run) -> list[RunShard]:
    return list(session.scalars(select(RunShard).where(RunShard.run_id == run.id)))


def ask(session: Session, round_: Round, texts: list[str], settings: LoopSettings) -> None:
    """Do the sampling of a round as a worker would: the same questions about each of its images."""
    run = run_of(session, round_, Job.GENERATE)
    run.status = RunStatus.RUNNING
    session.flush()
    while shard := claim_shard(session, run.id, worker_id=None, stale_after=SOON):
        inquiries = [
            Inquiry(
                image,
                "a thing",
                [ProposedQuestion(text, 1, 7, -1.0) for text in texts],
                n_drawn=len(texts),
            )
            for image in shard.images
        ]
        store_inquiries(
            session,
            run=run,
            shard_id=shard.id,
            attempt=shard.attempt,
            inquiries=inquiries,
            adapter_id=None,
            temperature=0.7,
        )
        store_samples(
            session,
            run=run,
            shard_id=shard.id,
            attempt=shard.attempt,
            item_ids=shard.item_ids,
            drawings=[],
            settings=settings,
            seconds=1.0,
        )
    finish_round_run(session, run.id, attempt=run.attempt, result=SamplingResult())


def judge_and_close(session: Session, round_: Round) -> None:
    """Judge a round by the exact critic, and close it."""
    run = run_of(session, round_, Job.JUDGE)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=SOON)
    assert attempt is not None
    figures = judge_round(session, round_)
    decide_by_critic(session, round_, "exact")
    finish_round_run(session, run.id, attempt=attempt, result=figures)
    close(session, round_)


def close(session: Session, round_: Round) -> None:
    run = run_of(session, round_, Job.CLOSE)
    attempt = claim_run(session, run.id, worker_id=None, stale_after=SOON)
    assert attempt is not None
    close_round(session, run.id, attempt=attempt)
    session.flush()
    session.expire_all()


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, settings=ask_settings())


def test_a_project_of_images_alone_starts_and_only_train_images_are_asked(
    session: Session, project: Project
) -> None:
    train = add_alone(session, project, 5)
    add_alone(session, project, 2, Split.TEST)
    withdrawn = add_alone(session, project, 1)
    session.get_one(ProjectImage, (project.id, withdrawn[0])).withdrawn_at = project.created_at
    round_ = start(session, project, ask_settings())
    assert round_.status is RoundStatus.GENERATING
    shards = shards_of(session, run_of(session, round_, Job.GENERATE))
    assert [shard.item_ids for shard in shards] == [[], [], []]
    assert sorted(image for shard in shards for image in shard.images) == sorted(train)


def test_a_round_asks_about_as_many_images_as_it_takes_items(
    session: Session, project: Project
) -> None:
    add_alone(session, project, 5)
    make_item(session, project, facts=SCENE.to_dict())
    round_ = start(session, project, ask_settings(max_items=3))
    shards = shards_of(session, run_of(session, round_, Job.GENERATE))
    assert sum(len(shard.images) for shard in shards) == 3
    assert sum(len(shard.item_ids) for shard in shards) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"strategy": "direct"}, "Choose the strategy self_questioning"),
        ({"strategy": "monologue"}, "Choose the strategy self_questioning"),
        ({"self_questioning": {"ask_untaught": False}}, "has not learned to ask yet"),
    ],
)
def test_where_nothing_can_be_asked_it_says_what_to_do(
    session: Session, project: Project, changes: dict[str, Any], says: str
) -> None:
    add_alone(session, project)
    with pytest.raises(InvalidInput, match=says):
        start(session, project, ask_settings(**changes))


def test_an_untaught_model_is_taught_before_it_asks(session: Session, project: Project) -> None:
    add_alone(session, project, 2)
    make_item(session, project, facts=SCENE.to_dict())
    settings = ask_settings(self_questioning={"ask_untaught": False})
    shards = shards_of(session, run_of(session, start(session, project, settings), Job.GENERATE))
    assert [shard.images for shard in shards] == [[]]


def test_kept_questions_become_items_and_the_next_round_samples_them(
    session: Session, project: Project
) -> None:
    images = add_alone(session, project, 3, facts=SCENE.to_dict())
    settings = ask_settings()
    round_ = start(session, project, settings)
    ask(session, round_, ["what color is the sphere?", "why so?"], settings)
    judge_and_close(session, round_)
    assert round_.status is RoundStatus.COMPLETED
    assert round_.decision is Decision.CONTINUE
    assert "3 questions that the model asked were kept" in (round_.decision_reason or "")
    items = session.scalars(select(Item).where(Item.project_id == project.id)).all()
    assert {(item.question, item.answer, item.split) for item in items} == {
        ("what color is the sphere?", "red", Split.TRAIN)
    }
    assert sorted(item.image_sha256 for item in items) == sorted(images)
    following = session.scalars(select(Round).where(Round.number == 2)).one()
    assert following.status is RoundStatus.GENERATING
    shards = shards_of(session, run_of(session, following, Job.GENERATE))
    sampled = sorted(item_id for shard in shards for item_id in shard.item_ids)
    assert sampled == sorted(item.id for item in items)
    assert not any(shard.images for shard in shards)


def test_where_nothing_is_kept_it_ends_and_says_why(session: Session, project: Project) -> None:
    add_alone(session, project, facts=SCENE.to_dict())
    settings = ask_settings()
    round_ = start(session, project, settings)
    ask(session, round_, ["why so?"], settings)
    judge_and_close(session, round_)
    assert round_.decision is Decision.NO_PROGRESS
    assert "The 1 question that the model asked was not kept" in (round_.decision_reason or "")
    figures = RoundFigures.read(round_.figures)
    assert figures.n_items == 0
    assert figures.n_alone == 1
    assert len(session.scalars(select(Round)).all()) == 1


def test_questions_that_nobody_decided_on_wait_and_do_not_end_the_project(
    session: Session, project: Project
) -> None:
    add_alone(session, project)  # no facts: the critic cannot tell
    settings = ask_settings(self_questioning={"max_per_image": 1})
    round_ = start(session, project, settings)
    ask(session, round_, ["is it red?"], settings)
    judge_and_close(session, round_)
    states = session.scalars(select(AskedQuestion.state)).all()
    assert states == [QuestionState.PROPOSED]
    assert (round_.status, round_.decision) == (RoundStatus.COMPLETED, Decision.CONTINUE)
    assert "1 wait for people" in (round_.decision_reason or "")
    # Nothing is left to sample or to ask: the next round waits for people.
    assert len(session.scalars(select(Round)).all()) == 1


def test_a_retry_asks_about_the_images_that_are_not_done(
    session: Session, project: Project
) -> None:
    add_alone(session, project, 3)
    round_ = start(session, project, ask_settings())
    run = run_of(session, round_, Job.GENERATE)
    run.status = RunStatus.RUNNING
    session.flush()
    done, waiting = shards_of(session, run)
    done.status = ShardStatus.DONE
    session.flush()
    fail_run(session, run.id, attempt=run.attempt, error="no memory")
    session.flush()
    again = retry_run(session, run, actor=None)
    assert [shard.images for shard in shards_of(session, again)] == [waiting.images]


def test_an_image_at_its_limit_is_asked_no_more(session: Session, project: Project) -> None:
    add_alone(session, project)
    settings = ask_settings(self_questioning={"max_per_image": 1}, auto_continue=False)
    round_ = start(session, project, settings)
    ask(session, round_, ["is it red?"], settings)
    judge_and_close(session, round_)
    with pytest.raises(InvalidInput, match="as many questions wait for a decision as it may have"):
        start(session, project, settings)


def test_a_dropped_question_leaves_room_for_another_round(
    session: Session, project: Project
) -> None:
    [image] = add_alone(session, project, facts=SCENE.to_dict())
    settings = ask_settings(self_questioning={"max_per_image": 1}, auto_continue=False)
    first = start(session, project, settings)
    ask(session, first, ["why so?"], settings)
    judge_and_close(session, first)
    assert session.scalars(select(AskedQuestion.state)).all() == [QuestionState.DROPPED]
    second = start(session, project, settings)
    [shard] = shards_of(session, run_of(session, second, Job.GENERATE))
    assert shard.images == [image]
    known = list_known_questions(session, project.id, [image])[image]
    assert (known.standing, known.former) == ([], ["why so?"])
    ask(session, second, ["how many spheres are there?"], settings)
    judge_and_close(session, second)
    assert session.scalars(select(Item.question)).all() == ["how many spheres are there?"]


def test_result_of_closing_is_plain(session: Session, project: Project) -> None:
    add_alone(session, project, facts=SCENE.to_dict())
    settings = ask_settings(auto_continue=False)
    round_ = start(session, project, settings)
    ask(session, round_, ["how many spheres are there?"], settings)
    judge_and_close(session, round_)
    result = ClosingResult.read(run_of(session, round_, Job.CLOSE).result)
    assert (result.n_rationales, result.n_items) == (0, 0)
