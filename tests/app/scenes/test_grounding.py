"""Which questions presume what a scene has."""

import random

import pytest

from app.scenes.grounding import OPEN, PRESUMING, answer_about, kind_of
from app.scenes.questions.draw import ask
from app.scenes.questions.queries import Kind
from app.scenes.scene import Obj, Scene, random_scene

SCENE = Scene(
    (
        Obj(shape="sphere", color="red", size="small", material="rubber", row=0, col=0),
        Obj(shape="cube", color="blue", size="large", material="metal", row=0, col=1),
        Obj(shape="cube", color="gray", size="large", material="metal", row=2, col=2),
    )
)


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        ("what color is the sphere?", "attribute by name", "red"),
        ("what color is the cube?", "attribute by name", None),
        ("what color is the cylinder?", "attribute by name", None),
        ("how many cylinders are there?", "count", "zero"),
        ("is there a green thing?", "existence", "no"),
        ("why is it so?", None, None),
        ("", None, None),
    ],
)
def test_a_question_has_an_answer_where_what_it_presumes_is_there(
    text: str, kind: str | None, answer: str | None
) -> None:
    assert answer_about(text, SCENE) == (kind, answer)


def test_every_question_about_a_scene_is_of_a_kind_and_has_its_answer() -> None:
    rng = random.Random(3)
    seen = set()
    for _ in range(400):
        scene = random_scene(rng)
        question = ask(scene, rng.choice(tuple(Kind)), rng)
        if question is None:
            continue
        assert answer_about(question.text, scene) == (kind_of(question.query), question.answer)
        seen.add(kind_of(question.query))
    assert seen == {*PRESUMING, *OPEN}
