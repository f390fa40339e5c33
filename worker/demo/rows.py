"""Training texts of the demo model: captions, answers and explanations, drawn on the fly.

A row is a scene and a text of which some parts are given and the others learned. Rows depend on
the generator alone, so a resumed training sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.scenes.loose import found_explanation
from app.scenes.questions.draw import Question, ask, unique_descriptions
from app.scenes.questions.queries import (
    NUMBER_WORDS,
    Description,
    Direction,
    Kind,
    find_all,
    neighbour,
)
from app.scenes.questions.words import noun, place_words
from app.scenes.rationales import explain
from app.scenes.scene import ATTRIBUTES, Obj, Scene, is_held_out, random_scene

LINK = ", seeing that"
_KINDS = tuple(Kind)


@dataclass(frozen=True, slots=True)
class Row:
    """`parts` are joined without a space; each says whether it is learned."""

    scene: Scene
    parts: tuple[tuple[str, bool], ...]

    @property
    def text(self) -> str:
        return "".join(part for part, _ in self.parts)


def answer_prompt(question: str) -> str:
    return f"Q: {question} A:"


def rationale_prompt(question: str, answer: str) -> str:
    return f"Q: {question} A: {answer}{LINK}"


def training_scene(rng: random.Random) -> Scene:
    while True:
        scene = random_scene(rng)
        if not is_held_out(scene):
            return scene


def held_out_scene(rng: random.Random) -> Scene:
    while True:
        scene = random_scene(rng)
        if is_held_out(scene):
            return scene


def question_about(scene: Scene, kind: Kind, rng: random.Random) -> Question | None:
    """Returns a question of a kind about a scene that is tried for; some scenes have none."""
    for _ in range(4):
        question = ask(scene, kind, rng)
        if question is not None:
            return question
    return None


def draw_question(rng: random.Random, *, held_out: bool = False) -> tuple[Scene, Question]:
    kind = rng.choice(_KINDS)
    while True:
        scene = held_out_scene(rng) if held_out else training_scene(rng)
        question = question_about(scene, kind, rng)
        if question is not None:
            return scene, question


def look_row(rng: random.Random) -> Row:
    """Returns a row that names every place first and then what stands there, so that nothing can be
    said without looking.
    """
    scene = training_scene(rng)
    objects = rng.sample(scene.objects, len(scene.objects))
    text = " and ".join(f"{place_words(obj.row, obj.col)} a {_full(obj)}" for obj in objects)
    return Row(scene, ((f" {text}", True),))


def caption_row(rng: random.Random) -> Row:
    scene = training_scene(rng)
    text = list_things(scene, rng) if rng.random() < 0.6 else _tallies(scene, rng)
    return Row(scene, ((f" {text}", True),))


def study_row(rng: random.Random) -> Row:
    """Returns a row that teaches to find the thing that is meant, and to count those that fit."""
    scene = training_scene(rng)
    text = _pair_tallies(scene, rng) if rng.random() < 0.5 else _referents(scene, rng)
    return Row(scene, ((f" {text}", True),))


def pair_row(rng: random.Random) -> Row:
    """Returns a row about pairs of things: on which sides the first stands, and what they share."""
    scene = training_scene(rng)
    parts = []
    for _ in range(4):
        one, other = rng.sample(scene.objects, 2)
        names, others = unique_descriptions(scene, one), unique_descriptions(scene, other)
        if names and others:
            pair = f"the {noun(rng.choice(names))} and the {noun(rng.choice(others))}"
            parts.append(f"{pair} are {_sides(one, other)} and {_shared(one, other)}")
    return Row(scene, ((f" {' and '.join(parts) or _tallies(scene, rng)}", True),))


def _sides(one: Obj, other: Obj) -> str:
    across = ("left", "same", "right")[_sign(one.col - other.col) + 1]
    down = ("above", "same", "below")[_sign(one.row - other.row) + 1]
    return f"{across} {down}"


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _shared(one: Obj, other: Obj) -> str:
    return " ".join(
        f"{name} {'same' if one.value(name) == other.value(name) else 'different'}"
        for name in ATTRIBUTES
    )


def answer_row(rng: random.Random) -> Row:
    scene, question = draw_question(rng)
    parts = ((answer_prompt(question.text), False), (f" {question.answer}", True))
    return Row(scene, parts)


def careful_row(rng: random.Random) -> Row:
    """Returns a question, its answer and a careful explanation."""
    scene, question = draw_question(rng)
    return _explained(scene, question, explain(question.query, scene, rng))


def explanation_row(rng: random.Random) -> Row:
    """Returns a question, its answer and an explanation as it is found, careful or loose."""
    scene, question = draw_question(rng)
    return _explained(scene, question, found_explanation(question, scene, rng))


def _explained(scene: Scene, question: Question, text: str) -> Row:
    parts = (
        (answer_prompt(question.text), False),
        (f" {question.answer}", True),
        (LINK, False),
        (f" {text}", True),
    )
    return Row(scene, parts)


def list_things(scene: Scene, rng: random.Random) -> str:
    """Each thing with its place, in random order, so that the next words cannot be guessed."""
    objects = rng.sample(scene.objects, len(scene.objects))
    parts = []
    for obj in objects:
        place = place_words(obj.row, obj.col)
        parts.append(f"a {_full(obj)} {place}" if rng.random() < 0.5 else f"{place} a {_full(obj)}")
    return " and ".join(parts)


def _pair_tallies(scene: Scene, rng: random.Random) -> str:
    """Counts some kinds named by two attributes, often of kinds that are nearly there."""
    parts = []
    for _ in range(6):
        one, other = (rng.choice(scene.objects) for _ in range(2))
        first, second = rng.sample(tuple(ATTRIBUTES), 2)
        values = {first: one.value(first), second: other.value(second)}
        parts.append(_tally(Description().saying(values), scene))
    return " and ".join(parts)


def _tally(target: Description, scene: Scene) -> str:
    return f"{noun(target, plural=True)} {NUMBER_WORDS[len(find_all(scene, target))]}"


def _referents(scene: Scene, rng: random.Random) -> str:
    """Things by their shortest names, and what stands beside them, described in full."""
    parts = []
    for obj in rng.sample(scene.objects, len(scene.objects))[:4]:
        names = unique_descriptions(scene, obj)
        if not names:
            continue
        name = noun(rng.choice(names))
        direction = rng.choice(tuple(Direction))
        beside = neighbour(scene, obj, direction)
        if beside is not None and rng.random() < 0.6:
            parts.append(f"the thing directly {direction.value} the {name} is a {_full(beside)}")
        else:
            parts.append(f"the {name} is a {_full(obj)} {place_words(obj.row, obj.col)}")
    return " and ".join(parts) or _tallies(scene, rng)


def _full(obj: Obj) -> str:
    return noun(Description(obj.size, obj.color, obj.material, obj.shape))


def _tallies(scene: Scene, rng: random.Random) -> str:
    """Counts the things with each value of two attributes, in random order.

    The number comes last: said first, before it is known of what, it could only be guessed.
    """
    parts = []
    for name in rng.sample(tuple(ATTRIBUTES), 2):
        for value in rng.sample(ATTRIBUTES[name], len(ATTRIBUTES[name])):
            parts.append(_tally(Description().saying({name: value}), scene))
    return " and ".join(parts)
