"""Questions about scenes that the demo model's recipe never drew, and pictures of them.

Everything is a function of the seed and of what it is for; training and held-out scenes never meet
(app/scenes/scene.py, is_held_out).
"""

import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.scenes.monologues import (
    SceneMonologue,
    SubQuery,
    WhereQuery,
    answer_sub_query,
    ideal_monologue,
    word_sub_query,
)
from app.scenes.questions.draw import Question, ask, unique_descriptions
from app.scenes.questions.queries import (
    AttributeQuery,
    CountComparisonQuery,
    CountQuery,
    ExistenceQuery,
    Kind,
    NeighbourQuery,
    Query,
    RelationQuery,
    SameAttributeQuery,
)
from app.scenes.render import render_png
from app.scenes.scene import Scene
from worker.demo.rows import held_out_scene, training_scene

DRAWN_AS: dict[str, tuple[Kind, type]] = {
    "attribute": (Kind.ATTRIBUTE, AttributeQuery),
    "count": (Kind.COUNT, CountQuery),
    "existence": (Kind.EXISTENCE, ExistenceQuery),
    "compare counts": (Kind.COMPARISON, CountComparisonQuery),
    "same attribute": (Kind.COMPARISON, SameAttributeQuery),
    "relation": (Kind.SPATIAL, RelationQuery),
    "neighbour": (Kind.SPATIAL, NeighbourQuery),
}
"""How the questions of each kind (plan.py) are drawn, and what they are."""

Shares = tuple[tuple[str, float], ...]

PLACES: Shares = (("where", 1.0),)
"""Looks that the demo model was never taught, and that are learned first."""

ALL_LOOKS: Shares = (
    *(("where", 0.15), ("row or column", 0.2), ("attribute", 0.2)),
    *(("count", 0.2), ("compare counts", 0.15), ("existence", 0.1)),
)


@dataclass(frozen=True)
class Asked:
    """A question about a scene, with its finer kind."""

    kind: str
    scene: Scene
    question: Question

    @property
    def query(self) -> Query:
        return self.question.query


def draw_questions(seed: str, n_by_kind: dict[str, int], *, held_out: bool = False) -> list[Asked]:
    """Returns so many questions of each kind, kinds in turn, each about a scene of its own."""
    rng = random.Random(seed)
    left = dict(n_by_kind)
    made: list[Asked] = []
    while any(left.values()):
        for kind in [kind for kind, n in left.items() if n > 0]:
            made.append(_draw(kind, rng, held_out=held_out))
            left[kind] -= 1
    return made


def _draw(kind: str, rng: random.Random, *, held_out: bool) -> Asked:
    drawn_as, wanted = DRAWN_AS[kind]
    while True:
        scene = held_out_scene(rng) if held_out else training_scene(rng)
        question = ask(scene, drawn_as, rng)
        if question is not None and isinstance(question.query, wanted):
            return Asked(kind, scene, question)


def with_monologues(seed: str, asked: list[Asked]) -> list[tuple[Asked, SceneMonologue]]:
    """Returns the questions with their ideal monologues."""
    rng = random.Random(seed)
    return [(one, ideal_monologue(one.query, one.scene, rng)) for one in asked]


def draw_looks(
    seed: str,
    n: int,
    *,
    shares: Shares = ALL_LOOKS,
    per_scene: int = 8,
    held_out: bool = False,
) -> list[tuple[Scene, SubQuery]]:
    """Returns `n` things to look at, `per_scene` in each scene."""
    rng = random.Random(seed)
    made: list[tuple[Scene, SubQuery]] = []
    while len(made) < n:
        scene = held_out_scene(rng) if held_out else training_scene(rng)
        if not any(unique_descriptions(scene, thing) for thing in scene.objects):
            continue  # all its things have a double, and no place of one can be asked for
        looks = _looks(scene, shares, rng)
        made += [(scene, next(looks)) for _ in range(min(per_scene, n - len(made)))]
    return made


def _looks(scene: Scene, shares: Shares, rng: random.Random) -> Iterator[SubQuery]:
    names, weights = zip(*shares, strict=True)
    while True:
        name = rng.choices(names, weights)[0]
        if name in ("where", "row or column"):
            found = unique_descriptions(scene, rng.choice(scene.objects))
            if found:
                line = None if name == "where" else rng.choice(("row", "column"))
                yield WhereQuery(rng.choice(found), line)
            continue
        kind, wanted = DRAWN_AS[name]
        question = ask(scene, kind, rng)
        if question is not None and isinstance(question.query, wanted):
            yield question.query


def look_text(scene: Scene, query: SubQuery) -> tuple[str, str]:
    """Returns a look's question, and what the scene shows."""
    observed = answer_sub_query(query, scene)
    assert observed is not None
    return word_sub_query(query), observed


def look_kind(query: SubQuery | None) -> str:
    """Returns the kind of a look, with how its thing is named; "none" for no question at all."""
    if isinstance(query, WhereQuery):
        return "row or column" if query.line else "where"
    if isinstance(query, AttributeQuery):
        return "attribute by place" if query.target.has_place() else "attribute by name"
    if isinstance(query, ExistenceQuery):
        return "existence"
    if isinstance(query, CountComparisonQuery):
        return "compare counts"
    return "count" if isinstance(query, CountQuery) else "none"


class Pictures:
    """Pictures of scenes in a folder, each drawn once, under a name that its content gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Scene, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, scene: Scene) -> Path:
        if scene not in self._known:
            name = hashlib.blake2b(repr(scene.to_dict()).encode(), digest_size=12).hexdigest()
            path = self._folder / f"{name}.png"
            if not path.exists():
                temporary = path.with_suffix(f".{os.getpid()}.tmp")
                temporary.write_bytes(render_png(scene))
                temporary.replace(path)
            self._known[scene] = path
        return self._known[scene]
