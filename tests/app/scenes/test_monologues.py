"""Monologues about scenes: what they look at is there, and leads to the answer and a rationale."""

import random
from collections import Counter

import pytest

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.scenes.monologues import (
    ideal_monologue,
    is_useful,
    observe,
    read_sub_query,
    useful_queries,
    useless_monologue,
    word_sub_query,
)
from app.scenes.questions.draw import Question, ask
from app.scenes.questions.queries import Kind
from app.scenes.scene import Scene, random_scene


def questions(n: int) -> list[tuple[Scene, Question]]:
    rng = random.Random(3)
    found: list[tuple[Scene, Question]] = []
    while len(found) < n:
        scene = random_scene(rng)
        question = ask(scene, tuple(Kind)[len(found) % len(Kind)], rng)
        if question is not None:
            found.append((scene, question))
    return found


def test_ideal_monologues_look_at_what_is_there_and_justify_the_answer() -> None:
    rng, critic = random.Random(4), ExactCritic()
    kinds = Counter[str]()
    for scene, question in questions(150):
        made = ideal_monologue(question.query, scene, rng)
        assert made.answer == question.answer
        assert 1 <= len(made.looks) <= 2
        for look in made.looks:
            assert observe(scene, look.asked) == look.observed
            assert is_useful(question.query, scene, look.asked)
        item = CriticItem(question.text, question.answer, facts=scene.to_dict())
        [verdict] = critic.judge(item, [made.rationale])
        assert verdict.fits, made
        kinds[type(question.query).__name__] += 1
    assert len(kinds) == 7


def test_useless_monologues_look_elsewhere_truly_and_come_to_the_same_answer() -> None:
    rng = random.Random(5)
    for scene, question in questions(60):
        made = useless_monologue(question.query, scene, rng)
        assert made.answer == question.answer
        assert made.looks
        for look in made.looks:
            assert observe(scene, look.asked) == look.observed
            assert not is_useful(question.query, scene, look.asked)


def test_every_question_of_a_look_is_read_back() -> None:
    for scene, question in questions(80):
        for query in useful_queries(question.query, scene):
            assert read_sub_query(word_sub_query(query)) == query


@pytest.mark.parametrize("asked", ["", "where?", "what is love?", "where is the dog?"])
def test_what_is_no_question_about_scenes_is_seen_as_nothing(asked: str) -> None:
    [(scene, question)] = questions(1)
    assert observe(scene, asked) is None
    assert not is_useful(question.query, scene, asked)
