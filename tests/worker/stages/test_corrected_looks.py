"""What an observer learns of a look that a person corrected, through a real training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapter_folder, image_path
from app.lifecycle import Job, RunStatus, Split
from app.models import (
    Adapter,
    CorrectedObservation,
    Image,
    Item,
    Project,
    RoundModel,
    Run,
    Sample,
    TurnMark,
)
from app.run_results import TrainingResult
from app.strategies.monologue import MONOLOGUE, OBSERVER, REASONER
from tests.support.factories import make_round, make_user
from tests.support.judging import make_episodes, open_item, submit
from tests.support.models.examples import encode_all
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    close_now,
    make_picture_project,
    tiny_settings,
    work_until,
)
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import load_vlm
from worker.ml.training.readable import sample_readable
from worker.ml.types import DROPPED, Draw, Example, Prompt, SampleConfig, Sampled
from worker.stages.inputs import load_inputs
from worker.stages.train import load_training

pytestmark = pytest.mark.slow

SIZE, COLOR = "what size is the cube ?", "what colour is the cube ?"
LOOKS = [(SIZE, "large"), (COLOR, "red")]
TEXT = "the cube is red"


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


@dataclass
class Trained:
    run_id: int
    result: TrainingResult
    adapter: Adapter
    image: Path


def train(
    database: sessionmaker[Session],
    model: Path,
    folder: Path,
    *,
    role: str = OBSERVER,
    unwanted_weight: float = 0.0,
    **says: Any,
) -> Trained:
    """Let one person accept a rationale that came of two looks and say something of these, and
    train both roles on it; what became of one of them."""
    settings = tiny_settings(
        model,
        strategy="monologue",
        monologue={"with_corrections": True, "unwanted_weight": unwanted_weight},
        judging={"judges": "people", "overlap": 1},
        training={"epochs": 40, "batch_size": 2, "rank": 8, "alpha": 16, "learning_rate": 0.02},
    )
    folder.mkdir()
    with database.begin() as session:
        project = make_picture_project(session, settings, folder, n_train=1)
        # Nothing but the last epoch is chosen.
        held_out = select(Item).where(Item.project_id == project.id, Item.split != Split.TRAIN)
        for item in session.scalars(held_out):
            item.excluded_at = project.created_at
        judge(session, project, settings, **says)
    work_until(database, Job.EVALUATE)
    with database() as session:
        item = session.scalars(
            select(Item).where(Item.project_id == project.id, Item.split == Split.TRAIN)
        ).one()
        run = session.scalars(
            select(Run).where(Run.project_id == project.id, Run.job == Job.TRAIN, Run.role == role)
        ).one()
        assert (run.status, run.error) == (RunStatus.SUCCEEDED, None)
        adapter = session.scalars(select(Adapter).where(Adapter.run_id == run.id)).one()
        image = session.get_one(Image, item.image_sha256)
        path = image_path(image.sha256, image.media_type)
        return Trained(run.id, TrainingResult.read(run.result), adapter, path)


def judge(session: Session, project: Project, settings: Any, **says: Any) -> None:
    round_ = make_round(session, project, settings=settings)
    for role in MONOLOGUE.roles:
        session.add(RoundModel(round_id=round_.id, strategy=MONOLOGUE.name, role=role))
    item = session.scalars(
        select(Item).where(Item.project_id == project.id, Item.split == Split.TRAIN)
    ).one()
    make_episodes(session, round_, {TEXT: [LOOKS]}, item=item)
    judgement = open_item(session, round_, make_user(session))
    draw = session.scalars(
        select(Sample.id).where(Sample.candidate_id == judgement.shown_order[0])
    ).one()
    said = {name: {draw: turns} for name, turns in says.items()}
    submit(session, judgement, picked=judgement.shown_order, **said)
    close_now(session, round_)


def see(model: Path, trained: Trained) -> dict[str, str]:
    """What the trained observer answers to both questions."""
    vlm = load_vlm(str(model), device="cpu")
    attach_adapter(vlm, adapter_folder(trained.adapter.digest))
    draws = [Draw(Prompt(trained.image, asked, None, ""), 0.0, 7) for asked, _ in LOOKS]
    seen = sample_readable(vlm, draws, SampleConfig(max_new_tokens=4, top_k_share=1.0))
    return {
        asked: one.text.strip()
        for (asked, _), one in zip(LOOKS, seen, strict=True)
        if isinstance(one, Sampled)
    }


def examples_of(database: sessionmaker[Session], run_id: int) -> list[Example]:
    with database() as session:
        return load_training(session, load_inputs(session, run_id)).rows


def learned(model: Path, examples: list[Example]) -> list[str]:
    """The tokens that are supervised, as text, by example; the end token left out."""
    vlm = load_vlm(str(model), device="cpu")
    return [
        vlm.tokenizer.decode(
            [token for piece in sequence.pieces for _, token in piece.targets(0)],
            skip_special_tokens=True,
        ).strip()
        for sequence in encode_all(vlm, examples)
    ]


def test_the_observer_learns_what_a_person_saw_and_not_what_was_observed(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    corrected = train(database, tiny_model, tmp_path / "corrected", corrections={1: "small"})
    accepted = train(database, tiny_model, tmp_path / "accepted", marks={1: {"observation": "yes"}})
    assert learned(tiny_model, examples_of(database, corrected.run_id)) == ["small", "red"]
    assert learned(tiny_model, examples_of(database, accepted.run_id)) == ["large", "red"]
    assert see(tiny_model, corrected) == {SIZE: "small", COLOR: "red"}
    assert see(tiny_model, accepted) == {SIZE: "large", COLOR: "red"}
    counted = (corrected.result.n_untaught_looks, corrected.result.n_corrected_looks)
    assert counted == (1, 1)
    assert corrected.adapter.meta["n_corrected_looks"] == 1
    assert "n_untaught_looks" not in accepted.adapter.meta
    assert accepted.result.n_untaught_looks == 0


@pytest.mark.parametrize(
    ("role", "marked", "dropped"),
    [(OBSERVER, "observation", "large"), (REASONER, "question", f"look: {SIZE}")],
)
def test_what_people_did_not_want_becomes_less_probable_where_the_settings_say_so(
    database: sessionmaker[Session],
    tiny_model: Path,
    tmp_path: Path,
    role: str,
    marked: str,
    dropped: str,
) -> None:
    trained = train(
        database,
        tiny_model,
        tmp_path / "unwanted",
        role=role,
        unwanted_weight=1.0,
        marks={1: {marked: "no"}},
    )
    examples = examples_of(database, trained.run_id)
    parts = [part.text for one in examples for part in one.parts if part.loss == DROPPED]
    assert parts == [dropped]
    assert trained.result.n_dropped == 1
    counted = (trained.result.n_untaught_looks, trained.result.n_useless_questions)
    assert counted == ((1, 0) if role == OBSERVER else (0, 1))
    losses = [step.losses[DROPPED] for step in trained.result.curve]
    assert losses[0] == pytest.approx(0.5, abs=0.1)
    assert losses[-1] < 0.45, "half at first, and less as it becomes less probable"


def test_a_look_that_was_marked_is_not_learned_and_a_retry_reads_the_same(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    marked = train(
        database,
        tiny_model,
        tmp_path / "marked",
        marks={1: {"observation": "no"}},
        corrections={2: "blue"},
    )
    first = examples_of(database, marked.run_id)
    assert learned(tiny_model, first) == ["blue"]
    with database.begin() as session:
        run = session.get_one(Run, marked.run_id)
        retry = Run(
            project_id=run.project_id,
            round_id=run.round_id,
            job=Job.TRAIN,
            strategy=run.strategy,
            role=run.role,
            parameters=run.parameters,
            retry_of_id=run.id,
        )
        session.add(retry)
        # Nobody says so any more; the correction stays, since the manifest names it.
        session.execute(delete(TurnMark))
        session.flush()
        retry_id = retry.id
        reasoner = session.scalars(
            select(Run.id).where(Run.round_id == run.round_id, Run.role == REASONER)
        ).one()
    assert examples_of(database, retry_id) == first
    [sequence] = examples_of(database, reasoner)
    read = [part.text for part in sequence.parts if part.loss is None]
    assert read[:2] == [" see: large.", " see: red."], "the reasoner keeps what it read"
    with database() as session:
        assert session.scalars(select(CorrectedObservation.text)).one() == "blue"
