"""Monologues whose observer stands on a base model of its own: two random tiny families in one
round, each role with its own adapter, pin and proof."""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.errors import AppError
from app.lifecycle import Job, RoundStatus
from app.models import (
    Adapter,
    Event,
    Item,
    Project,
    ProjectBase,
    Round,
    RoundModel,
    Run,
    Sample,
)
from app.reward_results import ReinforcementResult
from app.round_settings import LoopSettings
from app.services.rounds import bases, rounds, tryouts
from app.services.rounds.starting import start_round
from app.services.rounds.tryouts import TryoutResult, Wish
from tests.support.models.families import build_llava, build_paligemma
from tests.support.rounds_in_process import (
    start_first_round,
    tiny_settings,
    work_until_done,
)
from tests.worker.stages.test_base import blind, error_of
from tests.worker.stages.test_monologue_round import (
    TRAINING,
    adapters_of,
    assert_same_episodes,
    make_project,
)
from worker.host import models as host
from worker.host.models import forget_vlm
from worker.ml.model.loading import folder_digest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ASKING = {"epochs": 40, "batch_size": 4, "rank": 8, "alpha": 16, "learning_rate": 0.01}
"""A training after which a random reasoner asks."""
REWARDS = {"items_per_step": 2, "draws_per_item": 2, "max_items": 4, "epochs": 2}


@pytest.fixture(scope="module")
def reasoner_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@pytest.fixture(scope="module")
def observer_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a family that takes no prompt without a picture: it could never be the reasoner."""
    folder = tmp_path_factory.mktemp("paligemma")
    build_paligemma(folder)
    return folder


def two_bases(observer: Path) -> Mapping[str, object]:
    return {"observer_model": str(observer)}


def next_round(database: sessionmaker[Session], project: Project, settings: LoopSettings) -> int:
    with database.begin() as session:
        again = session.get_one(Project, project.id)
        round_ = rounds.create_round(session, again, settings=settings, actor=None)
        start_round(session, round_, actor=None)
        return round_.id


def test_each_role_is_asked_and_trained_on_its_own_base(
    database: sessionmaker[Session], reasoner_model: Path, observer_model: Path, tmp_path: Path
) -> None:
    """A round on the prior, one that samples from both adapters, and one of rewards."""
    both = two_bases(observer_model)
    project = make_project(database, reasoner_model, tmp_path, "prior", ASKING, monologue=both)
    names = {"reasoner": str(reasoner_model), "observer": str(observer_model)}
    digests = {role: folder_digest(Path(name)) for role, name in names.items()}
    first = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert session.get_one(Round, first).status is RoundStatus.COMPLETED
        made = adapters_of(session, first)
        assert {role: one and one.base_model for role, one in made.items()} == names
        assert {role: one and one.base_revision for role, one in made.items()} == digests
        assert {role: one and one.meta["base_model"] for role, one in made.items()} == names
        pins = {base.base_model: base.digest for base in session.scalars(select(ProjectBase))}
        assert pins == {names[role]: digests[role] for role in names}
        reasoner, observer = made["reasoner"], made["observer"]
        assert reasoner is not None
        assert observer is not None

    settings = tiny_settings(
        reasoner_model,
        strategy="monologue",
        training=ASKING,
        monologue=both,
        reinforcement=REWARDS,
    )
    second = next_round(database, project, settings)
    work_until_done(database)
    with database() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        assert session.get_one(Round, second).status is RoundStatus.COMPLETED
        parents = session.scalars(select(RoundModel).where(RoundModel.round_id == second)).all()
        assert {one.role: one.parent_adapter_id for one in parents} == {
            "reasoner": reasoner.id,
            "observer": observer.id,
        }
        samples = session.scalars(select(Sample).order_by(Sample.id)).all()
        assert len(samples) == 24
        assert {sample.adapter_id for sample in samples} == {reasoner.id}
        assert any((sample.trace or {})["turns"] for sample in samples), "nothing was asked"
        assert_same_episodes(
            session, samples, settings, reasoner, observer, observer_model=observer_model
        )
        rewarded = session.scalars(select(Run).where(Run.job == Job.REINFORCE).order_by(Run.id))
        results = {run.role: ReinforcementResult.read(run.result) for run in rewarded}
        assert {role: result.n_draws for role, result in results.items()} == {
            "reasoner": 8,
            "observer": 8,
        }
        after = adapters_of(session, second)
        assert {role: one and one.base_model for role, one in after.items()} == names
    assert {key[0] for key in host._held} == set(names.values()), "both are held for the next round"

    wish = Wish(opener=", seeing that", temperature=0.3, sides=(tryouts.BASE, 2))
    with database.begin() as session:
        item = session.get_one(Item, samples[0].item_id)
        again = session.get_one(Project, project.id)
        tryouts.request_tryout(session, again, wish, item=item, actor=None)
    work_until_done(database)
    with database() as session:
        run = session.scalars(select(Run).where(Run.job == Job.TRY)).one()
        tried = TryoutResult.read(run.result).tried
        assert [(one.error, len(one.adapters)) for one in tried] == [(None, 0), (None, 2)]


def test_a_round_on_one_base_holds_one(
    database: sessionmaker[Session], reasoner_model: Path, tmp_path: Path
) -> None:
    project = make_project(database, reasoner_model, tmp_path, "prior")
    start_first_round(database, project)
    work_until_done(database)
    assert [key[0] for key in host._held] == [str(reasoner_model)]


def nowhere(_build: Callable[[Path], None], model: Path) -> None:
    shutil.rmtree(model, ignore_errors=True)


def unseeing(build: Callable[[Path], None], model: Path) -> None:
    build(model)
    blind(model)


def whole(build: Callable[[Path], None], model: Path) -> None:
    build(model)


@pytest.mark.parametrize(
    ("reasoner", "observer", "refusal"),
    [
        ((build_llava, whole), (build_llava, nowhere), "There is no folder"),
        ((build_llava, whole), (build_llava, unseeing), "does not see the pictures"),
        (
            (build_paligemma, whole),
            (build_llava, whole),
            "cannot be asked by the strategy monologue as its reasoner: ",
        ),
    ],
)
@pytest.mark.parametrize("source", ["admitted", "prior"])
def test_a_base_that_cannot_play_its_role_is_refused_before_anything_is_done(
    database: sessionmaker[Session],
    tmp_path: Path,
    reasoner: Sequence[Callable[..., None]],
    observer: Sequence[Callable[..., None]],
    refusal: str,
    source: str,
) -> None:
    for (build, make), name in ((reasoner, "reasoner"), (observer, "observer")):
        make(build, tmp_path / name)
    project = make_project(
        database,
        tmp_path / "reasoner",
        tmp_path,
        source,
        monologue=two_bases(tmp_path / "observer"),
    )
    round_id = start_first_round(database, project)
    for _ in range(3):  # whatever of the round can be done is done
        with suppress(Exception):
            work_until_done(database)
    assert refusal in error_of(database, round_id, Job.TRAIN if source == "prior" else Job.GENERATE)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Sample)) == 0
        assert session.scalar(select(func.count()).select_from(Adapter)) == 0


def test_an_adapter_of_the_other_base_is_refused(
    database: sessionmaker[Session], reasoner_model: Path, observer_model: Path, tmp_path: Path
) -> None:
    both = two_bases(observer_model)
    project = make_project(database, reasoner_model, tmp_path, "prior", monologue=both)
    first = start_first_round(database, project)
    work_until_done(database)
    settings = tiny_settings(
        reasoner_model, strategy="monologue", training=TRAINING, monologue=both
    )
    with database.begin() as session:
        reasoner = adapters_of(session, first)["reasoner"]
        assert reasoner is not None
        again = session.get_one(Project, project.id)
        second = rounds.create_round(session, again, settings=settings, actor=None)
        start_round(session, second, actor=None)
        model = session.get_one(RoundModel, (second.id, "monologue", "observer"))
        model.parent_adapter_id = reasoner.id
        second_id = second.id
    with pytest.raises(AppError):
        work_until_done(database)
    told = f"was trained on {reasoner_model}, and the observer of this round stands on "
    assert told + str(observer_model) in error_of(database, second_id)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(Sample)) == 0


def test_another_observer_begins_anew_and_the_reasoner_goes_on(
    database: sessionmaker[Session], reasoner_model: Path, observer_model: Path, tmp_path: Path
) -> None:
    project = make_project(database, reasoner_model, tmp_path, "prior")
    first = start_first_round(database, project)
    work_until_done(database)
    settings = tiny_settings(
        reasoner_model,
        strategy="monologue",
        training=TRAINING,
        monologue=two_bases(observer_model),
    )
    with database.begin() as session:
        made = adapters_of(session, first)
        again = session.get_one(Project, project.id)
        second = rounds.create_round(session, again, settings=settings, actor=None)
        models = session.scalars(select(RoundModel).where(RoundModel.round_id == second.id))
        assert {one.role: one.parent_adapter_id for one in models} == {
            "reasoner": made["reasoner"] and made["reasoner"].id,
            "observer": None,
        }


def test_the_files_of_the_observer_change_and_its_adapter_alone_is_left_behind(
    database: sessionmaker[Session], reasoner_model: Path, tmp_path: Path
) -> None:
    observer = tmp_path / "observer"
    build_llava(observer, seed=1)
    both = two_bases(observer)
    project = make_project(database, reasoner_model, tmp_path, "prior", monologue=both)
    first = start_first_round(database, project)
    work_until_done(database)
    shutil.rmtree(observer)
    build_llava(observer, seed=2)
    forget_vlm()
    settings = tiny_settings(
        reasoner_model, strategy="monologue", training=TRAINING, monologue=both
    )
    second = next_round(database, project, settings)
    with pytest.raises(bases.BaseChanged, match=f"The base model {observer} was changed"):
        work_until_done(database)
    with database.begin() as session:
        round_ = session.get_one(Round, second)
        assert bases.has_found_another(session, round_)
        bases.go_on_with_changed_base(session, round_, actor=None)
        made = adapters_of(session, first)
        models = session.scalars(select(RoundModel).where(RoundModel.round_id == second))
        assert {one.role: one.parent_adapter_id for one in models} == {
            "reasoner": made["reasoner"] and made["reasoner"].id,
            "observer": None,
        }
        event = session.scalars(select(Event).where(Event.tag == "base:changed")).one()
        assert event.details["base_model"] == str(observer)
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, second).status is RoundStatus.COMPLETED
        baselines = session.scalars(select(Run).where(Run.job == Job.BASELINE)).all()
        assert [run.round_id for run in baselines] == [first], "the measured base is as it was"
