"""Questions: balanced, right, and readable from their text alone."""

import random
from collections import Counter

import numpy as np
import pytest

from app.scenes.questions.draw import Question, ask
from app.scenes.questions.parser import parse_question
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    AttributeQuery,
    CountQuery,
    Description,
    Kind,
    NeighbourQuery,
    answer_query,
)
from app.scenes.questions.words import N_WORDINGS, word_query
from app.scenes.scene import ATTRIBUTES, Scene, random_scene
from app.scenes.worlds import NO_ANSWER, alternatives, answers


def draw(n: int, seed: int = 0) -> list[tuple[Scene, Question]]:
    rng = random.Random(seed)
    found = []
    kinds = list(Kind)
    while len(found) < n:
        scene = random_scene(rng)
        question = ask(scene, kinds[len(found) % len(kinds)], rng)
        if question is not None:
            found.append((scene, question))
    return found


def test_every_wording_is_read_back_to_what_was_asked() -> None:
    for _, question in draw(400):
        for wording in range(N_WORDINGS):
            text = word_query(question.query, wording)
            assert parse_question(text) == question.query, text


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("How many RED cubes are there ?", CountQuery(Description(color="red", shape="cube"))),
        ("How many red objects are visible?", CountQuery(Description(color="red"))),
        ("What colour is the ball?", AttributeQuery("color", Description(shape="sphere"))),
        (
            "what size is the block in the bottom left corner?",
            AttributeQuery("size", Description(shape="cube", row=2, col=0)),
        ),
        (
            "how many cubes in the top row are there?",
            CountQuery(Description(shape="cube", row=0)),
        ),
    ],
)
def test_questions_by_hand_are_read_too(text: str, query: object) -> None:
    assert parse_question(text) == query


@pytest.mark.parametrize("text", ["", "why?", "is the man happy?", "how many dogs are there?"])
def test_other_questions_are_not_read(text: str) -> None:
    assert parse_question(text) is None


def test_answers_are_balanced() -> None:
    by_kind: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
    for _, question in draw(2000, seed=4):
        by_kind[question.query.kind][question.answer] += 1
    for kind in (Kind.EXISTENCE, Kind.COMPARISON):
        yes, no = by_kind[kind]["yes"], by_kind[kind]["no"]
        assert 0.8 < yes / no < 1.25, (kind, yes, no)
    counts = by_kind[Kind.COUNT]
    assert max(counts.values()) < 0.4 * counts.total()
    assert len(counts) >= 5


def test_no_question_answers_itself() -> None:
    for scene, question in draw(300, seed=5):
        worlds = alternatives(question.query, scene)
        numbers = answers(question.query, worlds)
        assert len(np.unique(numbers[numbers != NO_ANSWER])) > 1, question.text


def test_answers_over_many_scenes_equal_the_answers_one_by_one() -> None:
    scenes = [scene for scene, _ in draw(40, seed=6)]
    for _, question in draw(60, seed=7):
        query = question.query
        for scene in scenes:
            number = int(answers(query, alternatives(query, scene, n_drawn=1))[0])
            assert _as_word(query, number) == answer_query(query, scene)


def _as_word(query: object, number: int) -> str | None:
    if number == NO_ANSWER:
        return None
    if isinstance(query, AttributeQuery | NeighbourQuery):
        return ATTRIBUTES[query.attribute][number]
    return NUMBER_WORDS[number] if isinstance(query, CountQuery) else ("no", "yes")[number]
