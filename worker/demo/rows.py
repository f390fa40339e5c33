"""What the demo model learns from: captions, answers and explanations, drawn on the fly.

A row is a scene and a text of which some parts are given and the others learned. Rows depend on
the generator alone, so a resumed training sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.scenes.loose import found_explanation
from app.scenes.questions import (
    NUMBER_WORDS,
    Description,
    Kind,
    Question,
    ask,
    find_all,
    noun,
    place_words,
)
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
    """Some scenes have no question of a kind; a few tries settle that."""
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
    """Every place first and then what stands there: nothing can be said without looking."""
    scene = training_scene(rng)
    objects = rng.sample(scene.objects, len(scene.objects))
    text = " and ".join(f"{place_words(obj.row, obj.col)} a {_full(obj)}" for obj in objects)
    return Row(scene, ((f" {text}", True),))


def caption_row(rng: random.Random) -> Row:
    scene = training_scene(rng)
    text = _things(scene, rng) if rng.random() < 0.6 else _tallies(scene, rng)
    return Row(scene, ((f" {text}", True),))


def answer_row(rng: random.Random) -> Row:
    scene, question = draw_question(rng)
    parts = ((answer_prompt(question.text), False), (f" {question.answer}", True))
    return Row(scene, parts)


def explanation_row(rng: random.Random) -> Row:
    scene, question = draw_question(rng)
    text = found_explanation(question, scene, rng)
    parts = (
        (answer_prompt(question.text), False),
        (f" {question.answer}", True),
        (LINK, False),
        (f" {text}", True),
    )
    return Row(scene, parts)


def _things(scene: Scene, rng: random.Random) -> str:
    """Each thing with its place, in random order, so that the next words cannot be guessed."""
    objects = rng.sample(scene.objects, len(scene.objects))
    parts = []
    for obj in objects:
        place = place_words(obj.row, obj.col)
        parts.append(f"a {_full(obj)} {place}" if rng.random() < 0.5 else f"{place} a {_full(obj)}")
    return " and ".join(parts)


def _full(obj: Obj) -> str:
    return noun(Description(obj.size, obj.color, obj.material, obj.shape))


def _tallies(scene: Scene, rng: random.Random) -> str:
    """How many there are of each value of two attributes, in random order."""
    parts = []
    for name in rng.sample(tuple(ATTRIBUTES), 2):
        for value in rng.sample(ATTRIBUTES[name], len(ATTRIBUTES[name])):
            target = Description().saying({name: value})
            number = len(find_all(scene, target))
            parts.append(f"{NUMBER_WORDS[number]} {noun(target, plural=number != 1)}")
    return " and ".join(parts)
