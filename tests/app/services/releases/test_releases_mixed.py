"""Rounds of several strategies in a release: who drew each text, and the models of each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Project, ReleaseRow, Round, RoundModel, Run, Sample
from app.services.releases.releases import create_release
from tests.support.dataset_files import own_store
from tests.support.released_project import make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    """The first round was one of direct and monologue; each text was drawn by both of them."""
    project, *_ = make_released_project(session, tmp_path)
    round_ = session.scalars(
        select(Round).where(Round.project_id == project.id, Round.number == 1)
    ).one()
    round_.settings = {**round_.settings, "strategies": ["direct:3", "monologue:1"]}
    for row in session.scalars(
        select(Sample).join(Run, Run.id == Sample.run_id).where(Run.round_id == round_.id)
    ).all():
        values = {
            column.key: getattr(row, column.key)
            for column in Sample.__table__.columns
            if column.key != "id"
        }
        session.add(Sample(**{**values, "strategy": "monologue", "seed": row.seed + 1}))
    one = session.scalars(select(RoundModel).where(RoundModel.round_id == round_.id)).one()
    one.role = "model"
    session.add(RoundModel(round_id=round_.id, strategy="monologue", role="reasoner"))
    session.flush()
    return project


def test_every_draw_says_whose_it_is(session: Session, project: Project) -> None:
    release = create_release(session, project, actor=None)
    payloads = session.scalars(
        select(ReleaseRow.payload).where(ReleaseRow.release_id == release.id)
    ).all()
    of_both = [
        payload
        for payload in payloads
        if {draw["strategy"] for draw in payload.get("draws", ())} == {"direct", "monologue"}
    ]
    assert of_both
    for payload in of_both:
        assert payload["n_draws"] == len(payload["draws"])
        assert payload["first_draw"] == payload["draws"][0]


def test_the_card_tells_the_shares_the_adapters_of_each_and_that_it_was_judged_blind(
    session: Session, project: Project
) -> None:
    release = create_release(session, project, actor=None)
    rounds = {entry["number"]: entry for entry in release.card["rounds"]}
    assert rounds[1]["strategies"] == {"direct": 0.75, "monologue": 0.25}
    assert rounds[1]["judged_blind"] is True
    assert set(rounds[1]["roles"]) == {"direct/model", "monologue/reasoner"}
    assert "strategies" not in rounds[2]
    assert "judged_blind" not in rounds[2]
