"""Scenes as values and as stored facts."""

import random
from dataclasses import replace

import pytest

from app.scenes.scene import Obj, Scene, is_held_out, random_scene


def a_cube(row: int = 0, col: int = 0) -> Obj:
    return Obj("cube", "red", "small", "metal", row, col)


def test_facts_bring_the_same_scene_back() -> None:
    rng = random.Random(1)
    for _ in range(50):
        scene = random_scene(rng)
        assert Scene.from_dict(scene.to_dict()) == scene


def test_same_seed_gives_the_same_scenes() -> None:
    first = [random_scene(random.Random(7)) for _ in range(3)]
    assert first == [random_scene(random.Random(7)) for _ in range(3)]


def test_two_things_cannot_stand_in_one_cell() -> None:
    with pytest.raises(ValueError, match="one per cell"):
        Scene((a_cube(), replace(a_cube(), color="blue")))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rows": 4}, "no 3 x 3 scene"),
        ({"objects": "many"}, "no list"),
        ({"objects": [7]}, "not a mapping"),
        ({"objects": [{"shape": "egg"}]}, "no valid"),
        ({"objects": [{**Scene((a_cube(),)).to_dict()["objects"][0], "col": 3}]}, "outside"),
        ({"objects": [{**Scene((a_cube(),)).to_dict()["objects"][0], "row": None}]}, "row and col"),
    ],
)
def test_wrong_facts_say_what_is_wrong(change: dict[str, object], says: str) -> None:
    facts = {**Scene((a_cube(),)).to_dict(), **change}
    with pytest.raises(ValueError, match=says):
        Scene.from_dict(facts)


def test_about_one_scene_in_eight_is_held_out_and_always_the_same_ones() -> None:
    rng = random.Random(3)
    scenes = [random_scene(rng) for _ in range(2000)]
    held_out = [is_held_out(scene) for scene in scenes]
    assert 0.09 < sum(held_out) / len(scenes) < 0.16
    assert held_out == [is_held_out(Scene.from_dict(scene.to_dict())) for scene in scenes]
