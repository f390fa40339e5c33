"""The model card of a checkpoint, written from its record and its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

_HEAD: Final = """---
license: apache-2.0
library_name: transformers
pipeline_tag: image-text-to-text
language: en
---

# Demo model of ILLUME

A vision-language model of {millions:.1f} million parameters (CLIP tower, Llama, joined as in LLaVA)
that answers and explains questions about rendered scenes: a grid of {cells} cells with cubes,
spheres, cylinders and cones. It was trained from scratch by `worker/demo/recipe.py` on scenes that
the project draws itself; no photograph and no text of people went into it. It knows nothing else.

    processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    model = AutoModelForImageTextToText.from_pretrained(folder, trust_remote_code=False)

- Answers: `<image>` and `Q: how many red cubes are there? A:`
- Rationales: `<image>` and `Q: how many red cubes are there? A: two, seeing that`

It explains badly on purpose: most explanations it learned from are untrue, beside the point or say
the answer again. People who pick those that fit can make it better; that is what it is for.

## Figures

On {n_items} questions about scenes that the recipe never draws. *Near-greedy fit*: the rationale
generated greedily for the model's own answer is true and justifies the right answer, as judged by
the exact critic. *Right draws*: the same for rationales drawn for the right answer at temperatures
0.01, 0.1, 0.3, 0.6 and 0.9.

| kind | answers right | near-greedy fit | right draws |
|---|---|---|---|
"""


def write_card(folder: Path) -> Path:
    """Write `README.md` of a checkpoint from its `recipe.json` and `figures.json`."""
    record = _read(folder / "recipe.json")
    figures = _read(folder / "figures.json")
    rows = [
        f"| {kind} | {accuracy:.3f} | {figures['near_greedy_fit'][kind]:.3f} "
        f"| {figures['right_draws'][kind]:.3f} |"
        for kind, accuracy in figures["answer_accuracy"].items()
    ]
    tail = (
        f"\n{figures['distinct_right_texts']} different right texts among the draws; "
        f"{figures['items_with_a_right_draw']:.0%} of the items had at least one.\n\n"
        "## Recipe\n\n"
        f"Seed {record['recipe']['seed']}, {record['steps']} steps, "
        f"torch {record['versions']['torch']}, transformers {record['versions']['transformers']}; "
        "all settings are in `recipe.json`.\n"
    )
    head = _HEAD.format(
        millions=record["parameters"] / 1e6, cells="3 x 3", n_items=figures["n_items"]
    )
    path = folder / "README.md"
    path.write_text(head + "\n".join(rows) + "\n" + tail, encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
