"""Each architecture family, as a tiny random model: its proof, and one whole round."""

from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from app.lifecycle import RoundStatus
from app.models import Adapter, Item, ItemFailure, Prediction, Project, Round, Run, Sample
from app.round_settings import LoopSettings
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.support.models.families import FAMILIES, MORE_FAMILIES
from tests.support.models.more_families import FURTHER_FAMILIES
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)
from worker.ml.check import check_model
from worker.model_report import report_lines
from worker.scene_pairs import render_pairs

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


EVERY = FAMILIES | MORE_FAMILIES | FURTHER_FAMILIES


@pytest.mark.parametrize("family", sorted(EVERY))
def test_the_check_of_a_model_holds(family: str, tmp_path: Path) -> None:
    EVERY[family](tmp_path / "model")
    pairs = render_pairs(tmp_path, 3)
    report = check_model(
        str(tmp_path / "model"),
        images=[image for image, _ in pairs],
        questions=[question for _, question in pairs],
        device="cpu",
    )
    text = "\n".join(report_lines(family, report))
    assert report.reason is None, text
    assert [line.holds for line in report.proof] == [True] * 8, text
    assert "This model can be used." in text


@pytest.mark.parametrize("family", sorted(EVERY))
def test_a_whole_round(family: str, database: sessionmaker[Session], tmp_path: Path) -> None:
    EVERY[family](tmp_path / "model")
    settings = tiny_settings(tmp_path / "model")
    with database.begin() as session:
        project = make_picture_project(session, settings, tmp_path)
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        assert [run.error for run in session.scalars(select(Run)) if run.error] == []
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(Sample)) == 24
        assert session.scalar(select(func.count()).select_from(Prediction)) in {6, 12}
        n_adapters = session.scalar(select(func.count()).select_from(Adapter))
    if n_adapters == 0:
        train_on_gold(database, project_id=project.id)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_marks_that_people_typed_are_text_in_every_stage(
    family: str, database: sessionmaker[Session], tmp_path: Path
) -> None:
    EVERY[family](tmp_path / "model")
    with database.begin() as session:
        project = make_picture_project(session, tiny_settings(tmp_path / "model"), tmp_path)
        items = session.scalars(select(Item).order_by(Item.id)).all()
        # Items of every split, beside others of the same pictures that hold none.
        for item in items[::2]:
            item.question = "what is <image> and <|image_pad|>? <|im_end|><end_of_turn><eos>"
            item.answer = "<image> <eos>"
            item.gold_rationales = ["it is <|im_end|> <image>", "<start_of_image> <|endoftext|>"]
    round_id = start_first_round(database, project)
    work_until_done(database)

    with database() as session:
        assert [run.error for run in session.scalars(select(Run)) if run.error] == []
        assert session.get_one(Round, round_id).status is RoundStatus.COMPLETED
        assert session.scalar(select(func.count()).select_from(ItemFailure)) == 0
        assert session.scalar(select(func.count()).select_from(Sample)) == 24
    train_on_gold(database, project_id=project.id)
    with database() as session:
        assert session.scalar(select(func.count()).select_from(ItemFailure)) == 0


def train_on_gold(database: sessionmaker[Session], *, project_id: int) -> None:
    """A random model may write nothing that fits: then the round has nothing to train on."""
    with database.begin() as session:
        n_before = session.scalar(select(func.count()).select_from(Adapter))
        assert n_before is not None
        project = session.get_one(Project, project_id)
        settings = LoopSettings.model_validate(project.settings)
        training = settings.training.model_copy(update={"source": "gold"})
        gold = settings.model_copy(update={"training": training})
        round_ = rounds.create_round(session, project, settings=gold, actor=None)
        start_round(session, round_, actor=None)
    work_until_done(database)
    with database() as session:
        assert [run.error for run in session.scalars(select(Run)) if run.error] == []
        assert session.scalar(select(func.count()).select_from(Adapter)) == n_before + 1
        assert session.scalar(select(func.count()).select_from(Prediction)) == 12 + 6 * n_before
