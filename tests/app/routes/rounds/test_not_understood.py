"""What of a round's monologues could not be understood, as its page shows it."""

import pytest
from sqlalchemy import func, text
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Job, Role, RoundStatus, RunStatus, ShardStatus
from app.models import Item, Project, Round, RunShard, Sample
from app.queries.rounds.figures import list_not_understood
from app.round_settings import LoopSettings
from app.run_results import EpisodeTally
from app.strategies.monologue import MonologueTrace, Outcome
from tests.support.browsing import one, page, sign_in, text_of
from tests.support.factories import (
    make_item,
    make_membership,
    make_project,
    make_round,
    make_run,
    make_user,
)


@pytest.fixture
def project(session: Session) -> Project:
    return make_project(session)


@pytest.fixture
def item(session: Session, project: Project) -> Item:
    return make_item(session, project, question="how many <b>cones</b> are there?")


@pytest.fixture
def round_(session: Session, project: Project) -> Round:
    return make_round(session, project, settings=LoopSettings(strategy="monologue"))


@pytest.fixture
def admin(client: TestClient, session: Session, project: Project) -> TestClient:
    user = make_user(session, name="Ada")
    make_membership(session, project, user, role=Role.ADMIN)
    return sign_in(client, session, user)


def draw(session: Session, round_: Round, item: Item, said: list[str]) -> None:
    """A shard of draws that nobody could understand, and one that came to a rationale."""
    project = session.get_one(Project, round_.project_id)
    run = make_run(session, project, Job.GENERATE, round_=round_, status=RunStatus.RUNNING)
    tally = EpisodeTally(explained=1, not_understood=len(said)).dump()
    shard = RunShard(
        run_id=run.id, number=1, item_ids=[item.id], attempt=1, status=ShardStatus.DONE, tally=tally
    )
    session.add(shard)
    session.flush()
    traces = [MonologueTrace(turns=(), outcome=Outcome.NOT_UNDERSTOOD, said=one) for one in said]
    traces.append(MonologueTrace(turns=(), outcome=Outcome.EXPLAINED, answer="two"))
    for number, trace in enumerate(traces):
        session.add(
            Sample(
                run_id=run.id, shard_id=shard.id, shard_attempt=1, item_id=item.id,
                strategy="monologue", prompt=", seeing that", temperature=0.3, number=number,
                seed=number, trace=trace.model_dump(mode="json"),
            )
        )  # fmt: skip
        session.flush()  # in this order
    run.status, run.finished_at = RunStatus.SUCCEEDED, func.now()
    session.flush()


def test_the_newest_are_shown_with_their_items_and_as_they_were_said(
    admin: TestClient, session: Session, round_: Round, item: Item
) -> None:
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#not-understood")
    long = "look: " + "what " * 60
    draw(session, round_, item, ["oldest", *[f"cone {n}" for n in range(7)], "", long, "<i>x"])
    shown = admin.get(f"/rounds/{round_.id}")
    fold = one(shown, "details#not-understood")
    assert not fold.has_attr("open")
    assert "What could not be understood 11" in text_of(shown, "#not-understood > summary")
    assert "The newest 10 are shown." in text_of(shown, "#not-understood")
    said = [entry.select_one("q, p").get_text() for entry in fold.select("li")]
    assert said[0] == "<i>x"
    assert said[1] == long[:160]
    assert said[2] == "It said nothing."
    assert said[3:] == [f"cone {n}" for n in reversed(range(7))]
    assert fold.select("li")[1].select_one("details p").get_text() == long
    links = {(link["href"], link.get_text()) for link in fold.select("li a")}
    assert links == {(f"/items/{item.id}", "how many <b>cones</b> are there?")}


@pytest.mark.parametrize(
    ("status", "is_shown"),
    [
        (RoundStatus.GENERATING, False),
        (RoundStatus.JUDGING, False),
        (RoundStatus.TRAINING, True),
        (RoundStatus.EVALUATING, True),
    ],
)
def test_a_round_that_is_judged_blind_shows_none_before_judging_is_over(
    admin: TestClient,
    session: Session,
    project: Project,
    item: Item,
    status: RoundStatus,
    is_shown: bool,
) -> None:
    """Which items a strategy failed at could tell whose the texts of these are."""
    settings = LoopSettings(strategies=("direct:1", "monologue:1"))
    round_ = make_round(session, project, status=status, settings=settings)
    draw(session, round_, item, ["cone cone"])
    shown = admin.get(f"/rounds/{round_.id}")
    assert "1 not understood" in text_of(shown, "#episodes")
    assert ("cone cone" in shown.text) is is_shown


def test_other_rounds_and_other_ends_are_left_out(
    session: Session, project: Project, round_: Round, item: Item
) -> None:
    other = make_round(session, project, number=2, status=RoundStatus.CANCELLED)
    draw(session, other, item, ["of another round"])
    draw(session, round_, item, ["one", "two"])
    draw(session, round_, item, ["three"])  # of a run that was started again
    found = list_not_understood(session, round_.id, limit=2)
    assert [draw.said for draw in found] == ["three", "two"]


def test_the_newest_of_many_draws_are_found_by_an_index(session: Session) -> None:
    session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = session.execute(
        text(
            "EXPLAIN SELECT id FROM sample WHERE run_id = 1 AND trace ->> 'outcome' = "
            "'not_understood' ORDER BY id DESC LIMIT 10"
        )
    )
    assert "ix_sample_not_understood" in " ".join(plan.scalars())
