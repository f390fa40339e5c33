"""The exact critic on looks: which questions help, and which observations are true."""

import random
from dataclasses import replace

from app.critics.looks import LookVerdict, judge_looks
from app.scenes.monologues import ideal_monologue, useless_monologue
from app.scenes.questions.draw import Question, ask
from app.scenes.questions.queries import Kind, SameAttributeQuery
from app.scenes.scene import Scene, random_scene
from app.strategies.monologue import Turn

BOTH = LookVerdict(is_useful=True, is_true=True)


def comparison() -> tuple[Scene, Question, list[Turn], list[Turn]]:
    """A question whether two things are alike in something, with looks that help and others."""
    rng = random.Random(5)
    while True:
        scene = random_scene(rng)
        question = ask(scene, Kind.COMPARISON, rng)
        if question is not None and isinstance(question.query, SameAttributeQuery):
            break
    good, poor = (
        [Turn(asked=look.asked, observed=look.observed) for look in make.looks]
        for make in (
            ideal_monologue(question.query, scene, rng),
            useless_monologue(question.query, scene, rng),
        )
    )
    return scene, question, good, poor


def test_what_the_answer_needs_is_useful_and_what_the_scene_shows_is_true() -> None:
    scene, question, good, poor = comparison()
    facts = scene.to_dict()
    assert judge_looks(question.text, facts, good) == [BOTH, BOTH]
    assert (
        judge_looks(question.text, facts, poor) == [LookVerdict(is_useful=False, is_true=True)] * 2
    )
    wrong = [good[0].model_copy(update={"observed": "nothing"}), good[1]]
    assert judge_looks(question.text, facts, wrong) == [replace(BOTH, is_true=False), BOTH]


def test_a_question_that_was_asked_before_helps_no_more() -> None:
    scene, question, good, _ = comparison()
    again = good[0].model_copy(update={"is_repeated": True})
    verdicts = judge_looks(question.text, scene.to_dict(), [good[0], again])
    assert verdicts == [BOTH, replace(BOTH, is_useful=False)]


def test_of_what_the_scene_cannot_answer_no_observation_is_true_or_untrue() -> None:
    scene, question, _, _ = comparison()
    looks = [Turn(asked="what is the weather like?", observed="fine")]
    verdicts = judge_looks(question.text, scene.to_dict(), looks)
    assert verdicts == [LookVerdict(is_useful=False, is_true=None)]


def test_items_that_are_not_about_a_scene_are_not_judged() -> None:
    scene, question, good, _ = comparison()
    assert judge_looks(question.text, None, good) == []
    assert judge_looks(question.text, {"caption": "a street"}, good) == []
    assert judge_looks("why is the man smiling?", scene.to_dict(), good) == []
    empty = Scene(()).to_dict()
    assert judge_looks(question.text, empty, good) == []
