"""Do patches that prototypes gather under one centre show the same?"""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch

from app.scenes.scene import COLS, ROWS, Scene
from benchmarks.strategies.models import Trained
from benchmarks.strategies.self_questioning.bench import Bench
from benchmarks.support.cells import Result
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.frozen_tower import make_features
from worker.ml.inputs.prompts import frame_of
from worker.ml.model.attached import attach_adapter
from worker.ml.model.modules.placing import modules_on
from worker.ml.model.modules.prototypes import likeness
from worker.strategies.self_questioning.wording import DESCRIBE

EMPTY = "empty"


@torch.no_grad()
def measure_purity(bench: Bench, trained: Trained) -> Result:
    """Returns the share of patches that show what most patches of their centre show, over held-out
    pictures, and the same where patches are given to centres of the same sizes at random. A patch
    of the demo model is a cell; what it shows is a shape, a colour, or nothing."""
    vlm = bench.shop.vlm
    attach_adapter(vlm, trained.folder)
    module: Any = modules_on(vlm.model)["prototypes"].module
    given: list[torch.Tensor] = []
    hook = module.register_forward_hook(lambda _, seen, __: given.append(seen[0]))
    context = frame_of(vlm, DESCRIBE).context
    scenes = bench.held_out()
    try:
        for scene in scenes:
            _, image = encoder_of(vlm).context(bench.pictures.of(scene), context)
            make_features(vlm, image)
    finally:
        hook.remove()
    rng = random.Random(f"purity-{bench.seed}")
    found: Counter[str] = Counter()
    for scene, seen in zip(scenes, given, strict=True):
        near = likeness(module.gather(seen), seen)[0]
        centres = near.argmax(0).tolist()[1:]  # the class token stands first, and for no cell
        for name in ("shape", "color", "object"):
            shown = _shown(scene, name)
            found[name] += _agreeing(centres, shown)
            found[f"{name} by chance"] += _agreeing(rng.sample(centres, len(centres)), shown)
    n = len(scenes) * len(ROWS) * len(COLS)
    return {name: round(n_pure / n, 4) for name, n_pure in sorted(found.items())}


def _shown(scene: Scene, name: str) -> list[str]:
    """What each cell shows, row by row."""
    things = {(thing.row, thing.col): thing for thing in scene.objects}
    cells = [things.get((row, col)) for row in range(len(ROWS)) for col in range(len(COLS))]
    if name == "object":
        return [EMPTY if thing is None else "thing" for thing in cells]
    return [EMPTY if thing is None else thing.value(name) for thing in cells]


def _agreeing(centres: Sequence[int], shown: Sequence[str]) -> int:
    by_centre: dict[int, Counter[str]] = {}
    for centre, one in zip(centres, shown, strict=True):
        by_centre.setdefault(centre, Counter())[one] += 1
    return sum(max(counts.values()) for counts in by_centre.values())
