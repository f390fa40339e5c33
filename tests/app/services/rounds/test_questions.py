"""Questions that a model asked about images: stored once, decided on by the critic, made items."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.lifecycle import Job, QuestionState, RoundStatus, RunStatus, Split
from app.models import AskedImage, AskedQuestion, Item, Project, Round, Run, RunShard
from app.queries.rounds import questions as queries
from app.run_results import KindTally
from app.scenes.scene import Obj, Scene
from app.services.judging.questions.tally import count_questions
from app.services.rounds.questions import (
    Inquiry,
    ProposedQuestion,
    decide_by_critic,
    measure_grounding,
    store_inquiries,
)
from tests.support.factories import make_item, make_project, make_round, make_round_item, make_run

RED_BALL = Scene((Obj(shape="sphere", color="red", size="small", material="rubber", row=0, col=0),))
BLUE_CUBE = Scene((Obj(shape="cube", color="blue", size="large", material="metal", row=2, col=1),))


class Asked:
    """A round of two images, one with a red ball and one with a blue cube, whose shard is held."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.project: Project = make_project(session)
        self.round: Round = make_round(session, self.project, status=RoundStatus.GENERATING)
        self.run: Run = make_run(
            session, self.project, Job.GENERATE, round_=self.round, status=RunStatus.RUNNING
        )
        self.items: list[Item] = [
            make_item(session, self.project, facts=scene.to_dict())
            for scene in (RED_BALL, BLUE_CUBE)
        ]
        for item in self.items:
            make_round_item(session, self.round, item)
        self.shard = RunShard(run_id=self.run.id, number=1, item_ids=[i.id for i in self.items])
        session.add(self.shard)
        session.flush()

    def store(self, item: int, texts: Sequence[str], **counts: int) -> None:
        inquiry = Inquiry(
            image_sha256=self.items[item].image_sha256,
            description="a thing",
            questions=[ProposedQuestion(text, 2, 7, -1.5) for text in texts],
            **{"n_drawn": 2 * len(texts), **counts},
        )
        store_inquiries(
            self.session,
            run=self.run,
            shard_id=self.shard.id,
            attempt=self.shard.attempt,
            inquiries=[inquiry],
            adapter_id=None,
            temperature=0.7,
        )

    def questions(self) -> dict[str, AskedQuestion]:
        self.session.expire_all()
        return {one.text: one for one in self.session.scalars(select(AskedQuestion))}


@pytest.fixture
def asked(session: Session) -> Asked:
    return Asked(session)


def test_what_the_critic_can_answer_becomes_an_item_of_the_image(asked: Asked) -> None:
    asked.store(0, ["what color is the sphere?", "what color is the cube?", "why so?"])
    asked.store(1, ["how many cubes are there?"], n_known=1, n_empty=2, n_over=3)
    decide_by_critic(asked.session, asked.round, "exact")
    found = asked.questions()
    fates = {text: (one.state, one.kind, one.is_grounded) for text, one in found.items()}
    assert fates == {
        "what color is the sphere?": (QuestionState.KEPT, "attribute by name", True),
        "what color is the cube?": (QuestionState.DROPPED, "attribute by name", False),
        "why so?": (QuestionState.DROPPED, None, False),
        "how many cubes are there?": (QuestionState.KEPT, "count", True),
    }
    item = asked.session.get_one(Item, found["what color is the sphere?"].item_id)
    assert (item.question, item.answer) == ("what color is the sphere?", "red")
    assert (item.image_sha256, item.split) == (asked.items[0].image_sha256, Split.TRAIN)
    assert item.facts == RED_BALL.to_dict()
    assert found["what color is the cube?"].is_grounded_elsewhere
    tally = count_questions(asked.session, asked.round)
    assert tally is not None
    assert (tally.n_images, tally.n_drawn, tally.n_proposed) == (2, 8, 4)
    assert (tally.n_known, tally.n_empty, tally.n_over) == (1, 2, 3)
    assert (tally.n_kept, tally.n_dropped, tally.kept_share) == (2, 2, 0.5)
    assert tally.kinds == {
        "attribute by name": KindTally(asked=2, grounded=1, elsewhere=1),
        "count": KindTally(asked=1, grounded=1, elsewhere=1),
    }


def test_deciding_twice_changes_nothing_and_other_critics_cannot_say(asked: Asked) -> None:
    asked.store(0, ["what color is the sphere?"])
    decide_by_critic(asked.session, asked.round, "rouge:0.5")
    assert asked.questions()["what color is the sphere?"].state is QuestionState.PROPOSED
    for _ in range(2):
        decide_by_critic(asked.session, asked.round, "exact")
    made = asked.session.scalars(select(Item).where(Item.external_id.startswith("asked-"))).all()
    assert len(made) == 1


def test_a_question_is_there_once_over_all_rounds_of_its_image(asked: Asked) -> None:
    asked.store(0, ["what color is the sphere?"])
    asked.run = make_run(asked.session, asked.project, Job.BASELINE, round_=asked.round)
    asked.store(0, ["What colour is a sphere?", "is it red?"])
    assert set(asked.questions()) == {"what color is the sphere?", "is it red?"}
    image = asked.items[0].image_sha256
    known = queries.list_known_questions(asked.session, asked.project.id, [image])
    assert known[image].standing == [
        "what color is the ball?", "what color is the sphere?", "is it red?",
    ]  # fmt: skip


def test_images_without_facts_wait_for_people(asked: Asked) -> None:
    asked.items[0].facts = None
    asked.session.flush()
    asked.store(0, ["what color is the sphere?"])
    decide_by_critic(asked.session, asked.round, "exact")
    assert asked.questions()["what color is the sphere?"].state is QuestionState.PROPOSED
    tally = count_questions(asked.session, asked.round)
    assert tally is not None
    assert tally.kept_share is None


def test_each_image_is_asked_about_by_one_shard_and_held_out_ones_by_none(asked: Asked) -> None:
    first, second = asked.items
    twin = make_item(asked.session, asked.project, question="is it big?")
    twin.image_sha256 = first.image_sha256
    asked.session.flush()
    make_round_item(asked.session, asked.round, twin)
    one = queries.list_images_to_ask(asked.session, asked.round.id, [first.id])
    assert [image.sha256 for image in one] == [first.image_sha256]
    other = queries.list_images_to_ask(asked.session, asked.round.id, [twin.id, second.id])
    assert [image.sha256 for image in other] == [second.image_sha256]


def test_a_stale_worker_cannot_write_and_nothing_held_out_is_asked_about(asked: Asked) -> None:
    stale = asked.shard.attempt
    asked.shard.attempt = stale + 1
    asked.session.flush()
    with pytest.raises(IntegrityError), asked.session.begin_nested():
        store_inquiries(
            asked.session,
            run=asked.run,
            shard_id=asked.shard.id,
            attempt=stale,
            inquiries=[Inquiry(asked.items[0].image_sha256, "", ())],
            adapter_id=None,
            temperature=0.7,
        )
    held_out = make_item(asked.session, asked.project, split=Split.TEST)
    asked.items.append(held_out)
    with pytest.raises(IntegrityError), asked.session.begin_nested():
        asked.store(2, ["is it red?"])


def test_a_round_that_asked_nothing_has_no_figures_of_it(asked: Asked) -> None:
    assert count_questions(asked.session, asked.round) is None
    asked.store(0, ["is it red?"])
    assert queries.list_descriptions(
        asked.session, asked.project.id, [asked.items[0].image_sha256]
    ) == {asked.items[0].image_sha256: "a thing"}
    assert asked.session.scalars(select(AskedImage.round_id)).all() == [asked.round.id]


def test_whether_a_question_has_an_answer_is_measured_and_decides_nothing(asked: Asked) -> None:
    asked.store(0, ["what color is the sphere?", "what color is the cube?"])
    for _ in range(2):
        measure_grounding(asked.session, asked.round)
    found = asked.questions()
    assert {text: (one.state, one.is_grounded) for text, one in found.items()} == {
        "what color is the sphere?": (QuestionState.PROPOSED, True),
        "what color is the cube?": (QuestionState.PROPOSED, False),
    }
    tally = count_questions(asked.session, asked.round)
    assert tally is not None
    assert (tally.n_by_people, tally.n_waiting) == (0, 2)
    assert tally.kinds == {"attribute by name": KindTally(asked=2, grounded=1, elsewhere=1)}


def test_facts_that_are_no_scene_are_left_alone(asked: Asked) -> None:
    asked.items[0].facts = {"caption": "a red ball"}
    asked.store(0, ["what color is the sphere?"])
    measure_grounding(asked.session, asked.round)
    decide_by_critic(asked.session, asked.round, "exact")
    found = asked.questions()["what color is the sphere?"]
    assert (found.state, found.kind, found.is_grounded) == (QuestionState.PROPOSED, None, None)
