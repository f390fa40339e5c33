"""What `illume loop --strategy perception` tells before it begins."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.cli.demo.demo import Sizes, create_demo_project
from app.cli.loop.needs import tell_needs
from app.lifecycle import Split
from app.models import Project
from app.round_settings import LoopSettings
from app.round_settings.changing import with_changes
from tests.support.dataset_files import own_store
from tests.support.factories import make_item, make_project


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
