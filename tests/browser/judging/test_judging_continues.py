"""*Continue from here* in a real browser, played on by a real model worker with the demo model."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from app.kit.db import session_scope
from app.lifecycle import Job, RoundStatus, RunStatus
from app.models import Branch, Project, Round, RoundModel, Run, WrittenRationale
from app.round_settings import LoopSettings
from app.strategies.monologue import MONOLOGUE, MonologueTrace
from tests.browser.conftest import NewContext, Site, stored_picture
from tests.browser.judging.test_judging import answer_id, expect_next
from tests.support.factories import make_item, make_round
from tests.support.judging import BALL, CONE, make_episodes
from tests.support.worker_processes import Processes, processes
from worker.host.models import DEMO_CHECKPOINT

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(300)]

TEXT = "seeing that the cone is small and the ball is large"
A_WORKER_STARTS = 90_000
"""Milliseconds; with one that runs, a branch takes seconds."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Processes]:
    with processes(tmp_path) as started:
        yield started


@pytest.fixture
def lin(site: Site, new_context: NewContext) -> Page:
    """Somebody before an item that a monologue was played of, with the demo model."""
    settings = LoopSettings.model_validate(
        {
            "strategy": MONOLOGUE.name,
            "base_model": str(DEMO_CHECKPOINT),
            "monologue": {"instruct": False},
            "judging": {"judges": "people"},
        }
    )
    with session_scope() as session:
        project = session.get_one(Project, site.project_id)
        session.get_one(Round, site.round_id).status = RoundStatus.CANCELLED
        session.flush()
        round_ = make_round(session, project, number=2, settings=settings)
        for role in MONOLOGUE.roles:
            session.add(RoundModel(round_id=round_.id, strategy=MONOLOGUE.name, role=role))
        for number in range(2):
            item = make_item(
                session,
                project,
                image=stored_picture(session, number),
                question="is the cone the same size as the ball?",
                answer="no",
            )
            make_episodes(session, round_, {TEXT: [(CONE, BALL)]}, item=item)
        site = Site(site.web, round_.id, site.project_id)
    page = new_context().new_page()
    page.goto(site.link("Lin"))
    page.goto(site.judge_url())
    page.keyboard.press("g")
    return page


def correct_and_continue(page: Page, says: str) -> None:
    """Corrects the first look of the first rationale and continues from it, by keyboard alone."""
    page.keyboard.press("t")
    page.keyboard.press("1")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type(says)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")


def test_a_worker_plays_on_from_what_was_corrected(lin: Page, running: Processes) -> None:
    first = answer_id(lin)
    correct_and_continue(lin, "large")
    branch = lin.locator(".branch:visible")
    expect(branch).to_contain_text("No model worker is running")
    running.start("worker", "--queues", "gpu")  # it finds what waits for it
    title = branch.get_by_text("The model's way from there")
    expect(title).to_be_visible(timeout=A_WORKER_STARTS)
    shown = branch.inner_text()
    assert_is_what_was_made("large", shown)

    lin.keyboard.press("Shift+Tab")
    lin.keyboard.press("Control+A")
    lin.keyboard.type("the ball is large")  # other words, another way: the worker runs now
    expect(branch).to_have_count(0)
    lin.keyboard.press("Tab")
    lin.keyboard.press("Enter")
    expect(title).to_be_visible(timeout=30_000)
    assert_is_what_was_made("the ball is large", branch.inner_text())

    lin.keyboard.press("Shift+Tab")
    lin.keyboard.press("Control+A")
    lin.keyboard.type("large")  # the first words bring the first way back, and no worker is asked
    lin.keyboard.press("Tab")
    lin.keyboard.press("Enter")
    expect(title).to_be_visible()
    assert branch.inner_text() == shown
    lin.keyboard.press("Escape")
    lin.keyboard.press("n")
    lin.keyboard.press("Enter")
    expect_next(lin, first)
    with session_scope() as session:
        assert session.scalars(select(WrittenRationale)).all() == []
        runs = session.scalars(select(Run).where(Run.job == Job.BRANCH)).all()
        assert [run.status for run in runs] == [RunStatus.SUCCEEDED] * 2


def assert_is_what_was_made(correction: str, shown: str) -> None:
    """The page shows the branch of these words, and what it was corrected from is in it."""
    with session_scope() as session:
        branch = session.scalars(select(Branch).where(Branch.correction == correction)).one()
        trace = MonologueTrace.model_validate(branch.trace)
        assert [(turn.asked, turn.observed) for turn in trace.turns[:1]] == [(CONE[0], correction)]
        assert branch.n_tokens
        for turn in trace.turns[1:]:
            assert turn.asked in shown
            assert turn.observed in shown
        said = [text for text in (trace.answer, branch.text, trace.said) if text]
        assert all(text in shown for text in said or ["It said nothing then"])
