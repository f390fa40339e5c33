"""The demo project's data: rendered scenes with questions, answers and gold rationales.

Written as a folder that the importer reads: `items.jsonl` and `images/`. The same arguments give
the same bytes. No scene here was ever shown to the demo model by its recipe.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

from app.scenes.questions.draw import Question, ask
from app.scenes.questions.queries import Kind
from app.scenes.rationales import gold_rationales
from app.scenes.render import render_png
from app.scenes.scene import Scene, is_held_out, random_scene

IMAGE_LICENCE: Final = (
    "The images are drawn by this project from random scenes; they show no person and no place. "
    "They are released under the project's own licence, Apache-2.0."
)
N_RATIONALES: Final = 3
_ITEMS_PER_IMAGE: Final = 2
_KINDS: Final = tuple(Kind)


def write_demo_dataset(
    folder: Path, *, seed: int, n_train: int, n_validation: int, n_test: int
) -> Path:
    """Write `items.jsonl` and `images/*.png` into `folder`; returns the path of the first.

    Two items share an image; no image, and no scene, is in two splits. Kinds of questions take
    turns, so every split has about as many of each.
    """
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"demo-dataset-{seed}")  # noqa: S311 - draws pictures, no secrets
    scenes = _new_scenes(rng)
    lines: list[str] = []
    for split, n_items in (("train", n_train), ("validation", n_validation), ("test", n_test)):
        for entry, picture in _split_items(split, n_items, scenes, rng):
            if picture is not None:
                (images / entry["image"]).write_bytes(picture)
            lines.append(json.dumps(entry, ensure_ascii=False, allow_nan=False))
    path = folder / "items.jsonl"
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def write_demo_pictures(folder: Path, *, seed: int, n_pictures: int, besides: Path) -> Path:
    """Write so many pictures into `folder` about which nothing is asked, with `metadata.jsonl`,
    which says the scene behind each, all of them to train on; returns the folder. No scene of
    theirs is one of the items in the file `besides`. The same arguments give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(f"demo-pictures-{seed}")  # noqa: S311 - draws pictures, no secrets
    lines = besides.read_text(encoding="utf-8").splitlines()
    taken = {Scene.from_dict(json.loads(line)["facts"]) for line in lines}
    scenes = (scene for scene in _new_scenes(rng) if scene not in taken)
    entries: list[dict[str, Any]] = []
    for number, scene in enumerate(islice(scenes, n_pictures), start=1):
        name = f"alone-{number:05d}.png"
        (folder / name).write_bytes(render_png(scene))
        entries.append({"file_name": name, "split": "train", "facts": scene.to_dict()})
    text = "".join(json.dumps(entry, allow_nan=False) + "\n" for entry in entries)
    (folder / "metadata.jsonl").write_text(text, encoding="utf-8")
    return folder


def _new_scenes(rng: random.Random) -> Iterator[Scene]:
    """Held-out scenes, each once."""
    seen: set[Scene] = set()
    while True:
        scene = random_scene(rng)
        if is_held_out(scene) and scene not in seen:
            seen.add(scene)
            yield scene


def _split_items(
    split: str, n_items: int, scenes: Iterator[Scene], rng: random.Random
) -> Iterator[tuple[dict[str, Any], bytes | None]]:
    """Items of a split; the picture comes with the first item that shows it."""
    n_done = n_images = 0
    while n_done < n_items:
        scene = next(scenes)
        asked = _questions(scene, n_done, min(_ITEMS_PER_IMAGE, n_items - n_done), rng)
        if asked is None:
            continue
        n_images += 1
        image = f"{split}-{n_images:05d}.png"
        for place, question in enumerate(asked):
            n_done += 1
            entry = {
                "id": f"{split}-{n_done:05d}",
                "image": image,
                "question": question.text,
                "answer": question.answer,
                "rationales": gold_rationales(question.query, scene, rng, N_RATIONALES),
                "split": split,
                "facts": scene.to_dict(),
            }
            yield entry, render_png(scene) if place == 0 else None


def _questions(
    scene: Scene, n_before: int, n_wanted: int, rng: random.Random
) -> list[Question] | None:
    """Questions of the kinds whose turn it is, with enough to say about each; None: no such."""
    found = []
    for turn in range(n_before, n_before + n_wanted):
        question = ask(scene, _KINDS[turn % len(_KINDS)], rng)
        if question is None or not _has_wordings(question, scene, rng):
            return None
        found.append(question)
    return found


def _has_wordings(question: Question, scene: Scene, rng: random.Random) -> bool:
    return len(gold_rationales(question.query, scene, rng, N_RATIONALES)) == N_RATIONALES
