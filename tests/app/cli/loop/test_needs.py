"""What `illume loop` tells before it begins."""

from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.loop.needs import tell_needs
from app.lifecycle import Decision, RoundStatus, Split
from app.models import Item, Project
from app.round_settings import LoopSettings
from app.round_settings.changing import with_changes
from app.services.dataset.formats.episodes import EpisodeLine
from app.services.dataset.formats.problems import Place
from app.services.dataset.prior import import_prior
from app.strategies import MONOLOGUE, PERCEPTION, Strategy
from app.strategies.monologue import Turn
from tests.support.dataset_files import own_store
from tests.support.factories import make_item, make_project
from tests.support.rounds.trained import make_trained_round


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    with own_store(tmp_path):
        return create_demo_project(session, name="Demo", seed=0, sizes=Sizes(20, 2, 2))


def test_it_says_how_little_is_shown_and_what_teaches_to_look(
    session: Session, project: Project
) -> None:
    settings = LoopSettings(strategy="perception")
    [told] = tell_needs(session, project, settings)
    assert "shows the model 1 vector of a picture unasked" in told
    assert "questions, rationales and captions that name places" in told
    assert tell_needs(session, project, LoopSettings(strategy="direct")) == []
    mixed = LoopSettings(strategies=("direct:1", "perception:1"))
    assert tell_needs(session, project, mixed) == [told]


def test_the_demo_shows_all_places_unasked_and_learns_from_its_captions(
    session: Session, project: Project
) -> None:
    """Its questions are about all of the picture."""
    settings = with_changes(
        LoopSettings.model_validate(project.settings), {"strategy": "perception"}
    )
    assert (settings.perception.basic_tokens, settings.perception.lora) == (9, True)
    assert settings.perception.alignment == "pointed_captions"
    [told] = tell_needs(session, project, settings)
    assert "9 vectors of a picture unasked" in told


def test_it_says_of_how_many_held_out_items_the_critic_can_tell_the_fit(session: Session) -> None:
    bare = make_project(session)
    settings = LoopSettings(strategy="direct")
    assert tell_needs(session, bare, settings) == []
    make_item(session, bare, split=Split.VALIDATION, gold_rationales=())
    [told] = tell_needs(session, bare, settings)
    assert "Fit is not measured: the critic rouge:0.5 judges by a gold rationale" in told
    make_item(session, bare, split=Split.TEST)
    [told] = tell_needs(session, bare, settings)
    assert "those 1 of the 2 held-out items" in told


def bring_episodes(session: Session, project: Project, n: int) -> None:
    items = session.scalars(
        select(Item).where(Item.project_id == project.id, Item.split == Split.TRAIN)
    ).all()
    lines = [
        EpisodeLine(
            Place("prior.jsonl", number),
            items[number % len(items)].external_id,
            (Turn(asked=f"is it {number} ?", observed="no"),),
            items[number % len(items)].answer,
            "it is not",
        )
        for number in range(1, n + 1)
    ]
    import_prior(session, project, lines, actor=None)


def test_few_episodes_for_a_reasoner_that_never_saw_one_are_told(
    session: Session, project: Project
) -> None:
    settings = LoopSettings(strategy="monologue")
    [told] = tell_needs(session, project, settings)
    assert "the prior has 0 episodes" in told
    bring_episodes(session, project, 999)
    [told] = tell_needs(session, project, settings)
    assert "the prior has 999 episodes" in told
    mixed = LoopSettings(strategies=("perception:1", "monologue:1"))
    first, second = tell_needs(session, project, mixed)
    assert first == told
    assert "The strategy perception" in second
    bring_episodes(session, project, 1000)
    assert tell_needs(session, project, settings) == []


@pytest.mark.parametrize("strategy", [MONOLOGUE, PERCEPTION], ids=lambda one: one.name)
def test_nothing_is_told_of_a_strategy_that_has_learned(
    session: Session, project: Project, strategy: Strategy
) -> None:
    settings = LoopSettings.model_validate({"strategy": strategy.name})
    assert tell_needs(session, project, settings) != []
    learned = make_trained_round(session, project, number=1, strategy=strategy)
    learned.status, learned.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    session.flush()
    assert tell_needs(session, project, settings) == []
