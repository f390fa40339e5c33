"""A prior made from scenes: monologues by a program that knows what each picture shows.

A share of them asks of other things than the answer needs, as a poor teacher would: only then is
there something to be learned from what people mark.
"""

import json
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from app.kit.texts import unit_hash
from app.models import Item, Project
from app.queries.dataset.prior import list_items_with_facts
from app.scenes.monologues import SceneMonologue, ideal_monologue, useless_monologue
from app.scenes.questions.parser import parse_question
from app.scenes.scene import Scene
from app.services.dataset import prior

USELESS_SHARE: Final = 0.25
"""Of the episodes, those with questions that do not help."""


def add_scene_prior(
    session: Session,
    project: Project,
    *,
    seed: int,
    n_episodes: int | None = None,
    useless_share: float = USELESS_SHARE,
) -> int:
    """Make the prior of a project of scenes, one episode per train item, and import it as anybody's
    would be; returns how many there are. n_episodes: at most so many.

    Where no item is about a scene, nothing is made.
    """
    lines = make_episodes(
        list_items_with_facts(session, project.id),
        seed=seed,
        n_episodes=n_episodes,
        useless_share=useless_share,
    )
    if not lines:
        return 0
    with tempfile.TemporaryDirectory(prefix="illume-prior-") as folder:
        path = Path(folder) / "episodes.jsonl"
        path.write_text(
            "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
        )
        prior.import_prior(session, project, prior.read_prior(path), actor=None)
    return len(lines)


def make_episodes(
    items: Sequence[Item], *, seed: int, n_episodes: int | None, useless_share: float
) -> list[dict[str, Any]]:
    """Returns episodes as the lines of a file have them; items that are no scenes are left out.

    Which items are chosen, and which of them teach badly, depends on the seed and their ids alone.
    """
    ordered = sorted(items, key=lambda item: unit_hash("prior", seed, item.external_id))
    scenes = [(item, found) for item in ordered if (found := _read(item)) is not None]
    chosen = scenes[:n_episodes]
    n_useless = round(useless_share * len(chosen))
    lines = []
    for place, (item, (query, scene)) in enumerate(chosen):
        rng = random.Random(f"prior-{seed}-{item.external_id}")  # noqa: S311 - draws texts
        write = useless_monologue if place < n_useless else ideal_monologue
        lines.append(_line(item, write(query, scene, rng)))
    return lines


def _read(item: Item) -> tuple[Any, Scene] | None:
    """The question and scene of an item; None where it is not about one, or presumes what it does
    not have."""
    query = parse_question(item.question)
    try:
        scene = Scene.from_dict(item.facts or {})
        if query is None or ideal_monologue(query, scene, random.Random(0)).answer != item.answer:  # noqa: S311
            return None
    except ValueError:
        return None
    return query, scene


def _line(item: Item, monologue: SceneMonologue) -> dict[str, Any]:
    return {
        "item": item.external_id,
        "turns": [{"asked": look.asked, "observed": look.observed} for look in monologue.looks],
        "answer": monologue.answer,
        "rationale": monologue.rationale,
    }
