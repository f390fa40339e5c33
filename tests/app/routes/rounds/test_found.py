"""The strategies of a mixed round, as its page shows them."""

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Decision, Job, Role, RoundStatus
from app.models import Project, Round, RoundModel, Run
from app.round_settings import LoopSettings
from app.run_results import MixedStrategy, RoundFigures
from app.services.rounds.rounds import find_sitting_out, settings_of
from app.web.pages.runs.runs import run_label
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import make_membership, make_project, make_round, make_user
from tests.support.rounds.mixed import (
    judge_direct,
    make_found_round,
    make_mixed_round,
    put_under_floor,
)


@pytest.fixture
def round_(session: Session) -> Round:
    return make_found_round(session)


@pytest.fixture
def admin(client: TestClient, session: Session, round_: Round) -> TestClient:
    user = make_user(session, name="Ada")
    project = session.get_one(Project, round_.project_id)
    make_membership(session, project, user, role=Role.ADMIN)
    return sign_in(client, session, user)


def test_the_page_tells_what_each_found_with_intervals_and_a_drawing(
    admin: TestClient, round_: Round
) -> None:
    response = admin.get(f"/rounds/{round_.id}")
    section = one(response, "#strategies")
    assert [row.th.get_text() for row in section.select("#strategies-found tbody tr")] == [
        "direct",
        "monologue",
    ]
    assert "50%" in text_of(response, "#strategies-found").replace(" ", "").replace("\u202f", "")
    assert len(section.select("svg.chart")) == 2
    assert "not measured in this round" in text_of(response, "#strategies-answers")
    assert page(response).select("nav a[href='#strategies']")


def test_who_sits_out_is_told_with_what_to_do(
    admin: TestClient, session: Session, round_: Round
) -> None:
    put_under_floor(session, round_)
    told = text_of(admin.get(f"/rounds/{round_.id}"), "#strategies")
    assert "monologue answers 40.0" in told
    assert "it sits out the next round" in told
    assert "restart its training from the base" in told

    project = session.get_one(Project, round_.project_id)
    second = make_mixed_round(session, project, number=2)
    assert find_sitting_out(session, second, settings_of(second)) == {"monologue"}
    session.add(RoundModel(round_id=second.id, strategy="direct", role="model"))
    session.add(
        RoundModel(round_id=second.id, strategy="monologue", role="reasoner", sits_out=True)
    )
    session.flush()
    told = text_of(admin.get(f"/rounds/{second.id}"), "#strategies")
    assert "monologue sits out this round" in told
    assert "measured when judging is over" in told


def test_where_all_are_under_the_floor_nobody_sits_out(session: Session, round_: Round) -> None:
    low = [MixedStrategy(strategy=name, validation_accuracy=0.1, floor=0.8)
           for name in ("direct", "monologue")]  # fmt: skip
    round_.figures = RoundFigures(strategies=tuple(low)).dump()
    round_.status, round_.decision = RoundStatus.COMPLETED, Decision.UNDER_FLOOR
    session.flush()
    second = make_mixed_round(session, session.get_one(Project, round_.project_id), number=2)
    assert find_sitting_out(session, second, settings_of(second)) == frozenset()


def test_a_round_of_one_strategy_has_no_such_section(client: TestClient, session: Session) -> None:
    project = make_project(session)
    admin = make_user(session, name="Ada")
    make_membership(session, project, admin, role=Role.ADMIN)
    round_ = make_round(session, project)
    response = sign_in(client, session, admin).get(f"/rounds/{round_.id}")
    assert page(response).select("#strategies") == []


def test_a_round_of_one_strategy_tells_what_an_admitted_rationale_costs(
    client: TestClient, session: Session
) -> None:
    round_ = make_round(session, make_project(session), settings=LoopSettings(auto_advance=False))
    admin = make_user(session, name="Ada")
    project = session.get_one(Project, round_.project_id)
    make_membership(session, project, admin, role=Role.ADMIN)
    sign_in(client, session, admin)
    assert page(client.get(f"/rounds/{round_.id}")).select("#strategies-cost") == []
    judge_direct(session, round_, monologue={})
    shown = client.get(f"/rounds/{round_.id}")
    assert page(shown).select("#strategies") == []
    row = one(shown, "#yield #strategies-cost tbody tr")
    assert row.th.get_text() == "direct"
    cells = [" ".join(cell.get_text(" ").split()) for cell in row.select("td")]
    assert [cell.split()[0] for cell in cells] == ["18.0", "0.50", "0.03"]
    assert all(" to " in cell for cell in cells)
    assert "Tokens are those of all roles" in text_of(shown, "#yield")


def test_runs_are_told_apart_by_their_strategy() -> None:
    run = Run(job=Job.TRAIN, strategy="direct", role="model")
    assert run_label(run, is_mixed=True) == f"{run_label(run)}: direct"
    assert "direct" not in run_label(run)
