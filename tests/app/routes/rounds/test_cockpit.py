"""What a round's page says first: where the round stands, and what there is to do."""

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Decision, Job, Role, RoundStatus, RunStatus, Split
from app.models import Project, Round, Run, Score
from app.round_settings import JudgingSettings, LoopSettings
from tests.support.browsing import HTMX, one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_round_item,
    make_run,
    make_user,
)
from tests.support.judging import gather_now, make_judged_items, make_people


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session, name="Street scenes")


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session)
    make_membership(session, project, user, Role.ADMIN)
    return sign_in(client, session, user)


def step_of(admin: TestClient, round_: Round) -> str:
    return " ".join(text_of(admin.get(f"/rounds/{round_.id}"), "#next-step").split())


def test_what_to_do_stands_first_and_names_the_number_of_open_items(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project)
    for _ in range(2):
        make_round_item(session, round_, make_item(session, project))
    shown = page(admin.get(f"/rounds/{round_.id}"))
    first = shown.select_one("main h2")
    assert first is not None
    assert first.text == "People judge"
    assert "2 items wait for judgements" in step_of(admin, round_)
    assert one(admin.get(f"/rounds/{round_.id}"), "#next-step #close-round")


def test_a_round_with_nothing_left_to_judge_asks_to_be_closed(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(auto_advance=False))
    make_judged_items(session, round_, make_people(session, 2), n_items=1)
    assert step_of(admin, round_).startswith("Everything is judged Close judging")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (RoundStatus.DRAFT, "Not started yet"),
        (RoundStatus.GENERATING, "The model writes rationales"),
        (RoundStatus.CLOSING, "Judging is being closed"),
        (RoundStatus.TRAINING, "The model learns"),
        (RoundStatus.EVALUATING, "The model is measured"),
        (RoundStatus.CANCELLED, "Cancelled"),
    ],
)
def test_each_status_says_what_happens(
    admin: TestClient, session: Session, project: Project, status: RoundStatus, said: str
) -> None:
    assert said in step_of(admin, make_round(session, project, status=status))


def test_a_critic_is_waited_for(admin: TestClient, session: Session, project: Project) -> None:
    settings = LoopSettings(judging=JudgingSettings(judges="exact"))
    assert "A critic judges" in step_of(admin, make_round(session, project, settings=settings))


def decided(session: Session, project: Project, decision: Decision, number: int = 1) -> Round:
    round_ = make_round(session, project, number=number)
    round_.status, round_.decision = RoundStatus.COMPLETED, decision
    round_.decision_reason = "9 train items are still without a fitting rationale."
    session.flush()
    return round_


def test_a_decided_round_gives_the_reason_and_leads_on(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = decided(session, project, Decision.CONTINUE)
    assert "Continue 9 train items are still" in step_of(admin, round_)
    link = one(admin.get(f"/rounds/{round_.id}"), "#next-step a.btn--primary")
    assert link["href"] == f"/projects/{project.slug}/rounds/new"
    last = decided(session, project, Decision.NO_PROGRESS, number=2)
    link = one(admin.get(f"/rounds/{last.id}"), "#next-step a.btn--primary")
    assert link["href"] == f"/projects/{project.slug}/releases"
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#next-step a.btn--primary")


def test_a_failed_run_comes_first_and_its_card_is_unfolded(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, status=RoundStatus.TRAINING)
    done = make_run(session, project, Job.GENERATE, round_=round_)
    done.status, done.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()
    assert not one(admin.get(f"/rounds/{round_.id}"), "#work").has_attr("open")
    run = make_run(session, project, Job.TRAIN, round_=round_)
    run.status, run.finished_at, run.error = RunStatus.FAILED, func.now(), "Not enough memory."
    session.flush()
    assert step_of(admin, round_).startswith("A run has failed")
    assert one(admin.get(f"/rounds/{round_.id}"), "#work").has_attr("open")


# --- What is stored -------------------------------------------------------------------------


def test_what_is_stored_comes_along_once_it_has_changed(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(auto_advance=False))
    make_judged_items(session, round_, make_people(session, 2), n_items=3)
    url = f"/rounds/{round_.id}"
    polled = str(one(admin.get(url), "#round-status")["hx-get"])
    assert not page(admin.get(polled, headers=HTMX)).select("#round-findings")
    gather_now(session, round_)
    changed = admin.get(polled, headers=HTMX)
    assert one(changed, "#round-findings")["hx-swap-oob"] == "true"
    assert "Krippendorff" in text_of(changed, "#round-findings #agreement-words")
    now = str(one(changed, "#round-status")["hx-get"])
    assert not page(admin.get(now, headers=HTMX)).select("#round-findings")


def measure(session: Session, run: Run, value: float, *, width: float) -> None:
    session.add(
        Score(
            run_id=run.id, run_attempt=run.attempt, split=Split.TEST, name="fit", value=value,
            n=100, low=value - width, high=value + width,
        )
    )  # fmt: skip


@pytest.mark.parametrize(("width", "moved"), [(0.05, True), (0.15, False)])
def test_the_scores_begin_with_what_moved_beyond_its_interval(
    admin: TestClient, session: Session, project: Project, width: float, moved: bool
) -> None:
    round_ = make_round(session, project, status=RoundStatus.EVALUATING)
    for job, value in ((Job.BASELINE, 0.4), (Job.EVALUATE, 0.5)):
        run = make_run(session, project, job, round_=round_)
        run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
        run.parameters = {"base_model": "demo", "revision": None}
        measure(session, run, value, width=width)
    session.flush()
    shown = admin.get(f"/rounds/{round_.id}")
    words = " ".join(text_of(shown, "#moves").split())
    if moved:
        assert "Rationale fits test 40.0 % 50.0 % +10.0 points" in words
    else:
        assert "Nothing moved beyond its interval" in words
    assert one(shown, "#all-scores table[data-split=test]")
