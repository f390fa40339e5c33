"""Rounds of monologues on a tiny random model: two adapters, turns that are kept, no Celery."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder, image_path
from app.lifecycle import Job, RoundStatus, RunStatus, Split
from app.models import Adapter, Item, Project, Round, RoundModel, Run, Sample
from app.queries.rounds.training_items import list_items
from app.round_settings import LoopSettings
from app.same_text import is_same_answer
from app.services.dataset.formats.episodes import EpisodeLine
from app.services.dataset.formats.problems import Place
from app.services.dataset.prior import import_prior
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from app.strategies.monologue import MonologueTrace, Outcome, Turn
from tests.support.models.families import build_llava, build_paligemma
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, SampleConfig, Sampled
from worker.strategies.contract import Sampler
from worker.strategies.monologue.episodes import Player, Sizes, Wanted

pytestmark = pytest.mark.slow

TRAINING = {"epochs": 1, "batch_size": 4, "rank": 2, "alpha": 4}


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def make_project(
    database: sessionmaker[Session],
    model: Path,
    folder: Path,
    source: str,
    training: Mapping[str, object] = TRAINING,
    **changes: object,
) -> Project:
    training = {**training, "source": source}
    settings = tiny_settings(model, strategy="monologue", training=training, **changes)
    with database.begin() as session:
        project = make_picture_project(session, settings, folder)
        items = session.scalars(
            select(Item).where(Item.project_id == project.id, Item.split == Split.TRAIN)
        )
        lines = [
            EpisodeLine(
                Place("prior.jsonl", number),
                item.external_id,
                (Turn(asked="is it bright ?", observed="no"),),
                item.answer,
                f"it is all {item.answer}",
            )
            for number, item in enumerate(items, start=1)
        ]
        import_prior(session, project, lines, actor=None)
    return project


def adapters_of(session: Session, round_id: int) -> dict[str, Adapter | None]:
    models = session.scalars(select(RoundModel).where(RoundModel.round_id == round_id))
    return {
        one.role: session.get(Adapter, one.new_adapter_id) if one.new_adapter_id else None
        for one in models
    }


def test_a_round_on_the_prior_and_one_that_samples_from_it(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    project = make_project(database, tiny_model, tmp_path, "prior")
    first_id = start_first_round(database, project)
    work_until_done(database)
    with database.begin() as session:
        assert {run.error for run in session.scalars(select(Run))} == {None}
        adapters = adapters_of(session, first_id)
        reasoner, observer = adapters["reasoner"], adapters["observer"]
        assert reasoner is not None
        assert observer is not None
        assert (adapter_folder(reasoner.digest) / "modules.json").exists(), "its output layer"
        assert not (adapter_folder(observer.digest) / "modules.json").exists()
        settings = tiny_settings(tiny_model, strategy="monologue", training=TRAINING)
        again = session.get_one(Project, project.id)
        second = rounds.create_round(session, again, settings=settings, actor=None)
        start_round(session, second, actor=None)
        second_id = second.id
    work_until_done(database)
    with database() as session:
        assert session.get_one(Round, second_id).status is RoundStatus.COMPLETED
        samples = session.scalars(select(Sample).order_by(Sample.id)).all()
        assert len(samples) == 24  # 6 items, 2 temperatures, 2 draws
        for sample in samples:
            trace = MonologueTrace.model_validate(sample.trace)
            assert sample.adapter_id == reasoner.id
            assert sample.n_tokens
            if trace.outcome is not Outcome.EXPLAINED:
                assert sample.candidate_id is None
            if trace.answer is not None and trace.answer_tokens is not None:
                assert trace.outcome in {Outcome.EXPLAINED, Outcome.WRONG_ANSWER}
        assert_same_episodes(session, samples, settings, reasoner, observer)


def assert_same_episodes(
    session: Session,
    samples: Sequence[Sample],
    settings: LoopSettings,
    *adapters: Adapter,
    observer_model: Path | None = None,
) -> None:
    """Both adapters, read anew beside each other, play the very same episodes. observer_model:
    where the observer stands on a base of its own."""
    vlm = load_vlm(settings.base_model, device="cpu")
    seer = vlm if observer_model is None else load_vlm(str(observer_model), device="cpu")

    def model(vlm: Vlm, adapter: Adapter) -> Sampler:
        def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
            attach_adapter(vlm, adapter_folder(adapter.digest))
            return sample_readable(vlm, draws, config)

        return draw

    models = {"reasoner": model(vlm, adapters[0]), "observer": model(seer, adapters[1])}
    player = Player(models, Sizes(6, 1.0, settings.monologue))
    known = list_items(session, [sample.item_id for sample in samples])
    items = {item.id: (item, image) for item, image in known}
    wanted = [
        Wanted(
            image=image_path(image.sha256, image.media_type),
            question=item.question,
            opener=sample.prompt,
            temperature=sample.temperature,
            seed=sample.seed,
            is_right=partial(is_same_answer, expected=item.answer),
        )
        for sample in samples
        for item, image in [items[sample.item_id]]
    ]
    for sample, episode in zip(samples, player.play(wanted), strict=True):
        found = MonologueTrace.model_validate(sample.trace)
        assert [turn.asked_tokens for turn in episode.trace.turns] == [
            turn.asked_tokens for turn in found.turns
        ]
        assert episode.trace.answer_tokens == found.answer_tokens


def test_a_role_that_has_nothing_to_learn_stays_what_it_was(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    """Gold rationales came without a look: they teach the observer alone."""
    project = make_project(database, tiny_model, tmp_path, "gold")
    round_id = start_first_round(database, project)
    work_until_done(database)
    with database() as session:
        runs = session.scalars(select(Run).where(Run.job == Job.TRAIN)).all()
        assert {run.role: run.status for run in runs} == {
            "reasoner": RunStatus.SUCCEEDED,
            "observer": RunStatus.SUCCEEDED,
        }
        adapters = adapters_of(session, round_id)
        assert adapters["reasoner"] is None
        assert adapters["observer"] is not None
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED


def test_a_base_that_cannot_be_asked_without_a_picture_is_refused_before_it_is_asked(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    build_paligemma(tmp_path / "model")
    settings = tiny_settings(tmp_path / "model", strategy="monologue")
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    start_first_round(database, project)
    with pytest.raises(Exception, match="cannot be asked by the strategy monologue"):
        work_until_done(database)
    with database() as session:
        run = session.scalars(select(Run).where(Run.job == Job.GENERATE)).one()
        assert run.status is RunStatus.FAILED
        assert "takes no prompt without a picture" in (run.error or "")
        assert session.scalars(select(Sample)).all() == []
