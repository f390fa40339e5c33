"""A branch on a tiny random model: made by the stage as the player plays it, once, no Celery."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import image_path
from app.lifecycle import Job, RunStatus
from app.models import Branch, Image, Item, Judgement, Project, Round, RoundModel, Run
from app.opinions import Opinion
from app.round_settings import LoopSettings
from app.same_text import is_same_answer
from app.services.judging import branches, judgements
from app.services.judging.ways import find_ways
from app.strategies.monologue import MONOLOGUE, MonologueTrace
from tests.support.factories import make_item, make_round, make_user
from tests.support.judging import locked, make_episodes, open_item, submit
from tests.support.models.families import build_llava, build_paligemma
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.host.execute import execute
from worker.host.heart import Heart
from worker.ml.model.loading import load_vlm
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.strategies.monologue.episodes import Player, Sizes, Wanted

pytestmark = pytest.mark.slow

ASKED = "is it bright ?"
TOKENS = (5, 6, 7)
"""What make_episodes says that was sampled for a question: no tokenizer makes these of its text."""


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture
def settings(tiny_model: Path) -> LoopSettings:
    return tiny_settings(
        tiny_model, strategy="monologue", judging={"judges": "people", "max_shown": 4}
    )


def ask(
    database: sessionmaker[Session], settings: LoopSettings, folder: Path, n_people: int = 1
) -> None:
    """People correct the first of two looks alike, and go on from it."""
    with database.begin() as session:
        project = make_picture_project(session, settings, folder)
        round_ = make_round(session, project, settings=settings)
        for role in MONOLOGUE.roles:
            session.add(RoundModel(round_id=round_.id, strategy=MONOLOGUE.name, role=role))
        item = session.scalars(select(Item).order_by(Item.id).limit(1)).one()
        ask_of(session, round_, item, n_people)


def ask_of(session: Session, round_: Round, item: Item, n_people: int = 1) -> None:
    looks = [(ASKED, "no"), ("is it round ?", "no")]
    make_episodes(session, round_, {"it is so": [looks]}, item=item, slots=n_people)
    for _ in range(n_people):
        judgement = open_item(session, round_, make_user(session))
        ((way,),) = find_ways(session, round_, judgement).values()
        corrected = Opinion(corrections={way.sample_id: {1: "very bright"}})
        judgements.save_draft(session, locked(session, judgement), corrected, version=0)
        branches.ask_for_branch(session, locked(session, judgement), draw=way.sample_id, turn=1)


def make(database: sessionmaker[Session]) -> Sequence[Branch]:
    work_until_done(database)
    with database() as session:
        runs = session.scalars(select(Run).where(Run.job == Job.BRANCH)).all()
        assert {(run.status, run.error) for run in runs} == {(RunStatus.SUCCEEDED, None)}
        return session.scalars(select(Branch).order_by(Branch.id)).all()


@pytest.mark.parametrize("n_bases", [1, 2])
def test_a_branch_is_what_the_player_would_have_played(
    n_bases: int, database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path
) -> None:
    if n_bases == 2:
        build_paligemma(tmp_path / "observer")
        own = settings.monologue.model_copy(update={"observer_model": str(tmp_path / "observer")})
        settings = settings.model_copy(update={"monologue": own})
    ask(database, settings, tmp_path)
    (branch,) = make(database)
    trace = MonologueTrace.model_validate(branch.trace)
    assert (trace.turns[0].asked_tokens, trace.turns[0].observed) == (TOKENS, "very bright")
    assert branch.n_tokens
    assert branch.seconds
    with database() as session:
        item, image = session.execute(
            select(Item, Image)
            .join(Image, Image.sha256 == Item.image_sha256)
            .where(Item.id == branch.item_id)
        ).one()
    vlm = load_vlm(settings.base_model, device="cpu")

    def reasoner(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        """Asks first what the draw asked, in its tokens; all else the model says."""
        if not draws[0].prompt.said:
            return [Sampled(f"look: {ASKED}", 4, -0.5, is_cut=False, tokens=TOKENS)]
        return sample_readable(vlm, draws, config)

    seer = vlm
    if settings.monologue.observer_model is not None:
        seer = load_vlm(settings.monologue.observer_model, device="cpu")
    models = {"reasoner": reasoner, "observer": partial(sample_readable, seer)}
    player = Player(models, Sizes(6, 1.0, settings.monologue))
    picture = image_path(image.sha256, image.media_type)
    player.seen[picture, ASKED] = Sampled("very bright", None, None, None)
    [played] = player.play(
        [
            Wanted(
                image=picture,
                question=item.question,
                opener=", seeing that",
                temperature=0.3,
                seed=branch.seed or 0,
                is_right=partial(is_same_answer, expected=item.answer),
            )
        ]
    )
    assert played.trace == trace
    assert branch.text == (played.rationale.text if played.rationale else "")


def test_two_people_who_see_the_same_get_the_same_each_once(
    database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path
) -> None:
    ask(database, settings, tmp_path, n_people=2)
    first, second = make(database)
    assert first.judgement_id != second.judgement_id
    for name in ("seed", "trace", "text", "n_tokens", "log_probability", "is_cut"):
        assert getattr(first, name) == getattr(second, name)


def test_nothing_is_sampled_for_somebody_who_has_gone_on(
    database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path
) -> None:
    nowhere = settings.model_copy(update={"base_model": str(tmp_path / "no model")})
    ask(database, nowhere, tmp_path)
    with database.begin() as session:
        judgement = session.scalars(select(Judgement)).one()
        submit(session, judgement, none_fits=True, corrections=judgement.corrections)
    work_until_done(database)
    with database() as session:
        (branch,) = session.scalars(select(Branch))
        assert branch.trace is None
        assert session.get_one(Run, branch.run_id).status is RunStatus.CANCELLED


def test_a_worker_that_samples_a_round_makes_branches_between_two_shards(
    database: sessionmaker[Session], settings: LoopSettings, tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    with database.begin() as session:
        image = session.scalars(select(Image).limit(1)).one()
        item = make_item(session, session.get_one(Project, project.id), image=image)
        ask_of(session, session.get_one(Round, round_id), item)
        sampling = session.scalars(
            select(Run.id).where(Run.job == Job.GENERATE, Run.status == RunStatus.QUEUED)
        ).one()
    heart = Heart(["gpu"], "cpu")
    heart.beat()
    execute(sampling, heart)
    with database() as session:
        (branch,) = session.scalars(select(Branch))
        assert branch.made_at is not None
        run = session.get_one(Run, sampling)
        assert run.status is RunStatus.SUCCEEDED
        assert run.finished_at is not None
        assert branch.made_at < run.finished_at
