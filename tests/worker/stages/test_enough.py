"""A project may say how many distinct texts of an item are enough."""

from collections import defaultdict
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from app.models import Candidate, Item, Sample
from app.round_settings import LoopSettings
from app.same_text import text_key
from tests.support.models.families import build_llava
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    build_llava(folder)
    return folder


def drawn_texts(
    database: sessionmaker[Session], model: Path, folder: Path, *, enough: int | None
) -> dict[str, list[tuple[int, float, str | None]]]:
    """Per item: number, temperature and text of every draw, in the order in which it was made."""
    folder.mkdir()
    settings = tiny_settings(model).model_dump()
    settings["sampling"] |= {"enough_distinct": enough, "n_samples": 4}
    with database.begin() as session:
        project = make_picture_project(session, LoopSettings.model_validate(settings), folder)
    start_first_round(database, project)
    work_until_done(database)
    drawn = defaultdict(list)
    with database() as session:
        rows = session.execute(
            select(Item.external_id, Sample.number, Sample.temperature, Candidate.text)
            .join(Item, Item.id == Sample.item_id)
            .outerjoin(Candidate, Candidate.id == Sample.candidate_id)
            .where(Item.project_id == project.id)
            .order_by(Sample.number, Sample.temperature)
        )
        for external_id, *draw in rows:
            drawn[external_id].append(tuple(draw))
    return drawn


@pytest.mark.slow
def test_an_item_with_enough_distinct_texts_is_drawn_no_further(
    database: sessionmaker[Session], tiny_model: Path, tmp_path: Path
) -> None:
    everything = drawn_texts(database, tiny_model, tmp_path / "all", enough=None)
    some = drawn_texts(database, tiny_model, tmp_path / "some", enough=3)
    assert everything.keys() == some.keys()
    assert sum(map(len, some.values())) < sum(map(len, everything.values()))
    for external_id, draws in some.items():
        whole = everything[external_id]
        assert draws == whole[: len(draws)], "the same draws, only fewer"
        passes = [{text_key(t) for n, _, t in whole if n <= last and t} for last in range(1, 5)]
        n_passes = next((n for n, texts in enumerate(passes, start=1) if len(texts) >= 3), 4)
        assert {number for number, _, _ in draws} == set(range(1, n_passes + 1))
