"""A box that a person drew on the judging page moves where the model looks in the next round."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import Tag
from fastapi import FastAPI
from httpx2 import Response
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from starlette.testclient import TestClient

from app.lifecycle import Job, Role, RoundStatus
from app.models import Adapter, Item, Project, Round, Run, TrainingBox, TurnMark
from app.round_settings import LoopSettings
from app.run_results import TrainingResult
from app.services.rounds import rounds
from app.services.rounds.starting import start_round
from tests.conftest import forget_attempts
from tests.support.browsing import filled_in, page, sign_in, text_of
from tests.support.factories import make_membership, make_user
from tests.support.rounds_in_process import (
    make_picture_project,
    start_first_round,
    tiny_settings,
    work_until_done,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EDGES = {"left": "67", "top": "67", "right": "100", "bottom": "100"}
BOXED, OTHER = "what color is the cube?", "what color is the ball?"


def settings(judges: str, *, epochs: int) -> LoopSettings:
    """A few steps on two rows, without a first stage, so that nothing but a box leads."""
    return tiny_settings(
        Path("demo"),
        strategy="perception",
        perception={"alignment": "none", "pointing_weight": 2.0},
        judging={"judges": judges, "max_shown": 4, "overlap": 1},
        training={"epochs": epochs, "batch_size": 4, "learning_rate": 3e-3, "replay_ratio": 0},
        evaluation={"critic": "rouge:0.01", "meteor": False, "blank_image": "never"},
        rest_after=100,
        stop={"accuracy_floor": 0.0, "round_limit": 5},
    )


@dataclass
class Looked:
    """What came of a project whose looks people had judged: where the model looked at the item in
    the round after, in the words of the page, and what the training read."""

    words: str
    notes: str
    n_boxes: int
    result: TrainingResult
    adapter: Adapter


def play(database: sessionmaker[Session], app: FastAPI, folder: Path, *, draws: bool) -> Looked:
    """Play three rounds: the second one is judged on its pages, and the third one is looked at."""
    project = make_project(database, folder)
    start_first_round(database, project)
    work_until_done(database)
    with TestClient(app, follow_redirects=False) as client:
        with database() as session:
            noor = make_user(session, name=f"Noor {draws}")
            kept = session.get_one(Project, project.id)
            make_membership(session, kept, noor, role=Role.ADMIN)
            sign_in(client, session, noor)
        second = begin_round(database, project.id)
        judge_all(client, second, draws=draws)
        work_until_done(database)
        notes = client.get(f"/rounds/{second}").text
        third = begin_round(database, project.id)
        words = find_words(client, third)
    with database() as session:
        assert session.get_one(Round, second).status is RoundStatus.COMPLETED
        run = session.scalars(select(Run).where(Run.round_id == second, Run.job == Job.TRAIN)).one()
        boxes = session.scalars(select(TrainingBox).where(TrainingBox.run_id == run.id)).all()
        questions = {session.get_one(Item, one.item_id).question for one in boxes}
        assert questions <= {BOXED}
        adapter = session.scalars(select(Adapter).where(Adapter.run_id == run.id)).one()
        return Looked(words, notes, len(boxes), TrainingResult.read(run.result), adapter)


def make_project(database: sessionmaker[Session], folder: Path) -> Project:
    folder.mkdir()
    with database.begin() as session:
        project = make_picture_project(session, settings("rouge:0.01", epochs=1), folder, n_train=2)
        for item in session.scalars(select(Item).where(Item.project_id == project.id)):
            item.question = BOXED if item.external_id == "picture-0" else OTHER
        return project


def begin_round(database: sessionmaker[Session], project_id: int) -> int:
    with database.begin() as session:
        project = session.get_one(Project, project_id)
        round_ = rounds.create_round(
            session, project, settings=settings("people", epochs=12), actor=None
        )
        start_round(session, round_, actor=None)
        round_id = round_.id
    work_until_done(database)
    return round_id


def open_next(client: TestClient, round_id: int) -> tuple[Response, Tag | None]:
    shown = client.get(f"/rounds/{round_id}/judge", follow_redirects=True)
    return shown, page(shown).select_one("form#answer")


def judge_all(client: TestClient, round_id: int, *, draws: bool) -> None:
    """Pick a rationale of each item; of one the look is wrong, and in the one project with a box
    where it should have been; of the other one it is partly right."""
    shown, form = open_next(client, round_id)
    while form is not None:
        is_boxed = text_of(shown, "#question") == BOXED
        (left, *_) = form.select("[data-edge=left]")
        look = str(left["name"]).removeprefix("box-").removesuffix("-left")
        data = filled_in(form)
        data["picked"] = [str(box["value"]) for box in form.select("input[name=picked]")][:1]
        data[f"mark-{look}-place"] = ["wrong" if is_boxed else "partly"]
        if draws and is_boxed:
            data |= {f"box-{look}-{edge}": [value] for edge, value in EDGES.items()}
        answer = client.post(str(form["action"]), data=data)
        assert answer.status_code == 303, answer.text
        shown, form = open_next(client, round_id)


def find_words(client: TestClient, round_id: int) -> str:
    """Where the attention of the item's look is, as its page says."""
    shown, form = open_next(client, round_id)
    while form is not None:
        if text_of(shown, "#question") == BOXED:
            return form.select(".layer--attention .layer__words")[0].get_text()
        data = filled_in(form) | {"none_fits": ["true"]}
        client.post(str(form["action"]), data=data)
        shown, form = open_next(client, round_id)
    raise AssertionError("the item is not in the round")


def test_the_model_looks_where_a_person_drew(
    database: sessionmaker[Session], app: FastAPI, tmp_path: Path, services: object
) -> None:
    forget_attempts(services)
    led = play(database, app, tmp_path / "led", draws=True)
    control = play(database, app, tmp_path / "control", draws=False)
    assert "is on the bottom right" in led.words
    assert "is on the bottom right" not in control.words
    assert (led.n_boxes, control.n_boxes) == (1, 0)
    assert (led.result.n_boxes, control.result.n_boxes) == (1, 0)
    assert (led.adapter.meta.get("n_boxes"), control.adapter.meta.get("n_boxes")) == (1, None)
    assert "attention led to 1 box that people drew" in led.notes
    assert "attention led to" not in control.notes
    assert {name for step in led.result.curve for name in step.losses} >= {"pointing"}
    assert "pointing" not in {name for step in control.result.curve for name in step.losses}
    with database() as session:
        values = list(session.scalars(select(TurnMark.value).order_by(TurnMark.value)))
    assert values == ["partly", "partly", "wrong", "wrong"], "the same was marked in both"
