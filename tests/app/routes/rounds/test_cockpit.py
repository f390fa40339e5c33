"""What a round's page says first: where the round stands, and what there is to do."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import (
    Decision,
    Job,
    JudgementStatus,
    Purpose,
    Role,
    RoundItemState,
    RoundStatus,
    RunStatus,
    Split,
)
from app.models import Judgement, Project, Round, Run, Score
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
from tests.support.judging import gather_now, make_judged_items, make_people, open_item, submit


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


def test_another_round_can_be_started_although_the_loop_has_ended(
    admin: TestClient, session: Session, project: Project
) -> None:
    """Settings may have changed since, or data come in."""
    last = decided(session, project, Decision.ROUND_LIMIT)
    make_item(session, project)
    session.flush()
    for address in (f"/projects/{project.slug}", f"/rounds/{last.id}"):
        link = one(admin.get(address), "#go-on")["href"]
        assert link == f"/projects/{project.slug}/rounds/new"
    asked = admin.get(str(link))
    assert "Start round 2?" in asked.text
    started = admin.post(str(one(asked, "main form[method=post]")["action"]))
    assert started.status_code == 303
    assert session.scalars(select(Round.number).order_by(Round.number)).all() == [1, 2]
    for address in (f"/projects/{project.slug}", f"/rounds/{last.id}"):
        assert not page(admin.get(address)).select("#go-on")


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


def test_before_a_round_is_measured_the_base_model_is_told_in_one_line(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(auto_advance=False))
    run = make_run(session, project, Job.BASELINE, round_=round_)
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    run.parameters = {"base_model": "demo", "revision": None}
    measure(session, run, 0.4, width=0.05)
    session.flush()
    shown = admin.get(f"/rounds/{round_.id}")
    assert " ".join(text_of(shown, "#moves").split()) == "Base model, test: Rationale fits 40.0 % ."
    assert "open" not in one(shown, "#all-scores").attrs


# --- How much judging is left ---------------------------------------------------------------


def test_hours_and_end_are_told_while_people_judge(
    admin: TestClient, session: Session, project: Project
) -> None:
    round_ = make_round(session, project, settings=LoopSettings(auto_advance=False))
    for _ in range(6):
        make_round_item(session, round_, make_item(session, project), slots=2)
    url = f"/rounds/{round_.id}"
    assert "12 judgements. How long they take" in text_of(admin.get(url), "#forecast")
    judge_for(session, round_, 3, ms=20_000)
    make_checked(session, round_, ms=300_000)
    shown = " ".join(text_of(admin.get(url), "#forecast").split())
    # Nine are left, of 20 seconds each; what does not count is not in it.
    assert "3 min (3 min to 3 min) of people, for 9 judgements of 20.0 s each" in shown
    assert "judging is over in" in shown
    assert "With one person" in shown
    round_.status = RoundStatus.CLOSING
    session.flush()
    assert not page(admin.get(url)).select("#forecast")


def judge_for(session: Session, round_: Round, n: int, *, ms: int) -> None:
    """Let somebody judge so many items, with so much time on each."""
    user = make_user(session)
    for _ in range(n):
        judgement = open_item(session, round_, user)
        submit(session, judgement, active_ms=ms, none_fits=True)
        judgement.active_ms = ms
    session.flush()


def make_checked(session: Session, round_: Round, *, ms: int) -> None:
    """A check item that somebody who judged nothing else took long for."""
    item = make_item(session, session.get_one(Project, round_.project_id))
    place = make_round_item(
        session, round_, item, purpose=Purpose.CHECK, state=RoundItemState.STANDING
    )
    session.add(
        Judgement(
            round_item_id=place.id, round_id=round_.id, user_id=make_user(session).id, slot=1,
            max_slots=1, status=JudgementStatus.SUBMITTED, shown_order=[], none_fits=True,
            submitted_at=func.now(), active_ms=ms,
        )
    )  # fmt: skip
    session.flush()
