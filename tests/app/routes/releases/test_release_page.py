"""The page of one release: what it holds, and how far that can be trusted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.evidence import AgreementFigures, Figure, PositionEffect, PositionFigures
from app.lifecycle import EvidenceKind, Job, Role, RunStatus
from app.measures import Undefined
from app.models import Project, Round, RoundEvidence
from app.services.releases.releases import create_release
from tests.support.browsing import page, sign_in, text_of
from tests.support.dataset_files import own_store
from tests.support.factories import make_membership, make_run, make_user
from tests.support.released_project import make_released_project


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


@pytest.fixture
def project(session: Session, tmp_path: Path) -> Project:
    return make_released_project(session, tmp_path)[0]


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def measure(session: Session, project: Project) -> None:
    """Store of the first round what a run that gathers evidence would."""
    round_ = session.query(Round).filter_by(project_id=project.id, number=1).one()
    run = make_run(session, project, Job.ASSESS, round_=round_)
    run.status, run.finished_at = RunStatus.SUCCEEDED, round_.created_at
    for kind, figures in (
        (
            EvidenceKind.AGREEMENT,
            AgreementFigures(
                alpha=Figure(value=0.61, low=0.5, high=0.7, n=9),
                masi=Figure(undefined=Undefined.NO_OVERLAP),
            ),
        ),
        (
            EvidenceKind.POSITIONS,
            PositionFigures(
                n=9, p=0.4, p_together=0.4,
                effect=PositionEffect(position=3, seen=0.32, expected=0.3),
            ),
        ),
    ):  # fmt: skip
        session.add(
            RoundEvidence(
                round_id=round_.id, kind=kind, figures=figures.dump(), run_id=run.id,
                run_attempt=run.attempt,
            )
        )  # fmt: skip
    session.flush()


def test_it_tells_of_each_round_how_far_it_can_be_trusted(
    admin: TestClient, session: Session, project: Project
) -> None:
    measure(session, project)
    release = create_release(session, project, actor=None)
    shown = admin.get(f"/releases/{release.id}")
    first, *_ = page(shown).select("#trust tbody tr")
    cells = [" ".join(cell.get_text(" ").split()) for cell in first.select("th, td")]
    assert cells == ["1", "majority", "0.610 0.500 to 0.700 better than chance", "–", "–"]
    said = " ".join(text_of(shown, "section:has(#trust)").split())
    assert "No sign that positions matter: at position 3" in said
    facts = " ".join(text_of(shown, "dl.facts").split())
    assert "Guidelines version 1" in facts


def test_what_was_not_measured_is_a_dash(
    admin: TestClient, session: Session, project: Project
) -> None:
    release = create_release(session, project, actor=None)
    cells = page(admin.get(f"/releases/{release.id}")).select("#trust tbody td")
    assert [cell.get_text().strip() for cell in cells][1:4] == ["–", "–", "–"]
