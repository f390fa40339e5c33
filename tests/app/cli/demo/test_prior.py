"""The prior that is made of scenes: who teaches well, who badly, and what an import says of it."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.demo.prior import add_scene_prior
from app.lifecycle import Split
from app.models import Item, PriorEpisode, Project
from app.queries.dataset.prior import count_prior
from app.scenes.monologues import is_useful
from app.scenes.questions.parser import parse_question
from app.scenes.scene import Scene
from tests.support.dataset_files import own_store
from tests.support.factories import make_item, make_project


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    with own_store(tmp_path):
        return create_demo_project(session, name="Demo", seed=0, sizes=Sizes(40, 4, 4))


def episodes(session: Session, project: Project) -> list[tuple[Item, PriorEpisode]]:
    rows = session.execute(
        select(Item, PriorEpisode)
        .join(PriorEpisode, PriorEpisode.item_id == Item.id)
        .where(PriorEpisode.project_id == project.id, PriorEpisode.removed_at.is_(None))
        .order_by(PriorEpisode.id)
    )
    return [(item, episode) for item, episode in rows]


def asks_what_helps(item: Item, episode: PriorEpisode) -> bool:
    query = parse_question(item.question)
    assert query is not None
    scene = Scene.from_dict(item.facts or {})
    return all(is_useful(query, scene, turn["asked"]) for turn in episode.turns)


def test_a_quarter_of_the_episodes_asks_what_does_not_help(
    session: Session, project: Project
) -> None:
    assert add_scene_prior(session, project, seed=0) == 40
    found = episodes(session, project)
    assert len({item.id for item, _ in found}) == 40
    assert all(item.split is Split.TRAIN for item, _ in found)
    assert [asks_what_helps(*pair) for pair in found].count(False) == 10
    assert all(episode.turns and episode.rationale for _, episode in found)


def test_the_same_seed_makes_the_same_prior_and_another_chooses_others(
    session: Session, project: Project
) -> None:
    def made(seed: int) -> list[tuple[int, str]]:
        assert add_scene_prior(session, project, seed=seed, n_episodes=8, useless_share=0.0) == 8
        return [(item.id, episode.content_key) for item, episode in episodes(session, project)]

    first = made(1)
    assert made(1) == first
    assert made(2) != first
    assert all(asks_what_helps(*pair) for pair in episodes(session, project))


def test_a_project_that_is_not_about_scenes_gets_none(session: Session) -> None:
    project = make_project(session)
    make_item(session, project, facts={"rows": 1})
    make_item(session, project)
    assert add_scene_prior(session, project, seed=0) == 0
    assert count_prior(session, project.id).n_episodes == 0
