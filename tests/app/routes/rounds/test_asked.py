"""The section of a round's page about the questions that the model asked in it."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.lifecycle import Decision, Job, RoundStatus, RunStatus, Split
from app.models import ProjectImage, Round, RoundEvidence, Run
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.scenes.grounding import OPEN
from app.scenes.scene import Obj, Scene
from app.services.judging.questions import handing_out
from app.services.judging.questions.tally import count_questions
from app.services.quality.evidence import gather_evidence
from app.services.rounds.questions import decide_by_critic
from app.web.pages.judging.question_figures import PRESUME_NOTHING
from tests.support.browsing import page, sign_in, text_of
from tests.support.factories import make_image, make_project, make_round, make_user
from tests.support.judging import gather_now
from tests.support.rounds.asked_questions import AskedRound, choose, open_image, submit

SOFA, SPHERE = "what color is the sofa?", "what color is the sphere?"


@pytest.fixture
def admin(client: TestClient, session: Session) -> TestClient:
    return sign_in(client, session, make_user(session, is_admin=True))


def section(client: TestClient, round_: Round) -> str:
    return text_of(client.get(f"/rounds/{round_.id}"), "#questions")


def test_a_round_that_asked_nothing_has_no_such_section(
    admin: TestClient, session: Session
) -> None:
    round_ = make_round(session, make_project(session))
    session.commit()
    assert not page(admin.get(f"/rounds/{round_.id}")).select("#questions")


def test_it_tells_what_people_kept_and_leads_to_what_waits(
    admin: TestClient, session: Session
) -> None:
    asked = AskedRound(session, n_images=2)
    for place in range(2):
        asked.ask(place)
    session.commit()
    said = section(admin, asked.round)
    assert "Not counted yet" in said
    gather_now(session, asked.round)
    session.commit()
    said = section(admin, asked.round)
    assert "about 2 images, 10 times in all" in said
    assert "Nobody has decided on them yet" in said
    review = open_image(session, asked.project, asked.add_member())
    held = handing_out.hold(session, review)
    handing_out.heartbeat(
        session, held, active_ms=20_000, now=review.leased_at + timedelta(minutes=1)
    )
    submit(session, review, choose(session, review, keep=[SOFA]))
    session.commit()
    said = section(admin, asked.round)
    assert "Undecided 4" in said
    assert "People have decided on 1 image since." in said
    gather_now(session, asked.round)
    # The clock of the database stands still within a test.
    session.execute(update(RoundEvidence).values(at=func.clock_timestamp()))
    session.commit()
    said = section(admin, asked.round)
    assert "decided on" not in said
    assert "Undecided 2" in said
    assert "Decided by people" in said
    assert "Time per kept question 20 s" in said
    assert "images: 1" in said
    links = page(admin.get(f"/rounds/{asked.round.id}")).select("#questions a")
    assert [str(link["href"]) for link in links] == [f"/projects/{asked.project.slug}/questions"]


def test_an_admin_has_them_counted_and_nothing_else_is_told_of_a_round_without_verdicts(
    admin: TestClient, session: Session
) -> None:
    asked = AskedRound(session)
    asked.ask()
    session.commit()
    admin.post(f"/rounds/{asked.round.id}/evidence")
    assert "They are being counted" in section(admin, asked.round)
    session.expire_all()
    run = session.scalars(select(Run).where(Run.job == Job.ASSESS)).one()
    run.status, run.attempt = RunStatus.RUNNING, 1
    session.flush()
    gather_evidence(session, run.id, attempt=1)
    session.commit()
    assert "Undecided 2" in section(admin, asked.round)
    shown = page(admin.get(f"/rounds/{asked.round.id}"))
    sections = {str(part["id"]) for part in shown.select("#round-findings > section[id]")}
    assert "questions" in sections
    assert not sections & {"agreement", "policies", "anchors", "doubts", "yield"}


def test_what_a_round_kept_at_its_end_is_shown_where_nothing_was_counted_since(
    admin: TestClient, session: Session
) -> None:
    asked = AskedRound(session)
    asked.ask()
    tally = count_questions(session, asked.round)
    asked.round.figures = RoundFigures(questions=tally).dump()
    asked.round.status, asked.round.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    session.commit()
    said = section(admin, asked.round)
    assert "Counted when the round ended" in said
    assert "Undecided 2" in said


def test_where_a_critic_decides_it_says_so_with_the_control_beside_it(
    admin: TestClient, session: Session, red_and_blue: tuple[dict[str, object], dict[str, object]]
) -> None:
    settings = LoopSettings.model_validate({"judging": {"judges": "exact"}})
    asked = AskedRound(session, n_images=2, settings=settings)
    for place, facts in enumerate(red_and_blue):
        asked.items[place].facts = facts
        asked.ask(place, ((SPHERE, None), ("how many cubes are there?", None)))
    session.flush()
    session.commit()
    assert not page(admin.get(f"/rounds/{asked.round.id}")).select("#questions a")
    decide_by_critic(session, asked.round, "exact")
    asked.round.status = RoundStatus.CANCELLED
    gather_now(session, asked.round)
    session.commit()
    said = section(admin, asked.round)
    assert "Decided by a critic" in said
    assert "50.0 % have an answer in their image and 50.0 % in another one" in said
    assert "how many (presumes nothing) 2 100.0 % 100.0 %" in said


@pytest.fixture
def red_and_blue() -> tuple[dict[str, object], dict[str, object]]:
    def scene(shape: str, color: str) -> dict[str, object]:
        thing = Obj(shape=shape, color=color, size="small", material="rubber", row=0, col=0)
        return Scene((thing,)).to_dict()

    return scene("sphere", "red"), scene("cube", "blue")


def test_the_kinds_that_presume_nothing_are_those_of_the_critic() -> None:
    assert frozenset(OPEN) == PRESUME_NOTHING


def test_the_next_step_says_that_questions_wait_and_that_images_have_none(
    admin: TestClient, session: Session
) -> None:
    settings = LoopSettings(strategy="self_questioning")
    asked = AskedRound(session, settings=settings)
    asked.project.settings = settings.model_dump(mode="json")
    alone = make_image(session)
    session.add(
        ProjectImage(
            project_id=asked.project.id,
            image_sha256=alone.sha256,
            split=Split.TRAIN,
            image_name="alone.png",
        )
    )
    session.commit()
    url = f"/projects/{asked.project.slug}/questions"
    assert not page(admin.get(f"/rounds/{asked.round.id}")).select("#decide-questions")
    asked.ask()
    session.commit()
    shown = admin.get(f"/rounds/{asked.round.id}")
    assert "Questions of the model about 1 image wait" in text_of(shown, "#next-step")
    assert [str(link["href"]) for link in page(shown).select("#decide-questions")] == [url]
    asked.round.status, asked.round.decision = RoundStatus.COMPLETED, Decision.CONTINUE
    session.commit()
    said = text_of(admin.get(f"/rounds/{asked.round.id}"), "#next-step")
    assert "1 train image has no question yet; the next round asks about it" in said
    assert "Questions of the model about 1 image wait" in said
    of_project = admin.get(f"/projects/{asked.project.slug}")
    assert "Start the next round" in of_project.text
    assert "rounds let the model ask about it" in of_project.text
    # Nothing is left to sample or to ask: only what people keep leads on.
    session.delete(session.get_one(ProjectImage, (asked.project.id, alone.sha256)))
    asked.round.figures = RoundFigures(n_items=1, n_covered=1).dump()
    session.commit()
    step = text_of(admin.get(f"/projects/{asked.project.slug}"), "#next-title")
    assert step == "The model asked questions"
    asked.project.archived_at = datetime.now(UTC)
    session.commit()
    assert not page(admin.get(f"/rounds/{asked.round.id}")).select("#decide-questions")
