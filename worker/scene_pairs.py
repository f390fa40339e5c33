"""Pictures and questions that every installation has, to try a model with."""

import json
from pathlib import Path

from app.scenes.dataset import write_demo_dataset


def render_pairs(folder: Path, n_pairs: int) -> list[tuple[Path, str]]:
    """Renders demo scenes into `folder`; returns that many of them, all different, with a question
    each. The same call gives the same pictures."""
    items = write_demo_dataset(folder, seed=0, n_train=2 * n_pairs, n_validation=0, n_test=0)
    pairs: dict[Path, str] = {}
    for line in items.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        pairs.setdefault(folder / "images" / entry["image"], entry["question"])
    return list(pairs.items())[:n_pairs]
