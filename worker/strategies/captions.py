"""What is known of a picture before anything is asked about it: a caption that people gave, or the
things of a rendered scene."""

import random
from collections.abc import Mapping
from typing import Any

from app.kit.texts import collapse
from app.scenes.scene import Scene
from worker.demo.rows import list_things


def caption_of(facts: Mapping[str, Any], seed: int) -> str | None:
    """Returns what the facts of an item say of its picture: their `caption`, or each thing of a
    scene with its place, in an order that the seed decides; None where they say nothing."""
    said = facts.get("caption")
    if isinstance(said, str) and said.strip():
        return collapse(said)
    try:
        scene = Scene.from_dict(dict(facts))
    except ValueError:
        return None
    return list_things(scene, random.Random(seed))  # noqa: S311 - orders words, no secrets
