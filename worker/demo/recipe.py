"""Train the demo model from scratch: `python -m worker.demo.recipe --out DIR --seed 0`."""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from dataclasses import asdict
from pathlib import Path

from app.kit.processes.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("The recipe of the demo model")

import numpy
import PIL
import tokenizers
import torch
import transformers
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from worker.demo.architecture import build_model, build_processor
from worker.demo.card import write_card
from worker.demo.evaluate import DemoModel, as_table, evaluate, write_figures
from worker.demo.pixels import CellPixels
from worker.demo.quick import answer_accuracy
from worker.demo.tower import train_tower
from worker.demo.training import Progress, Recipe, train
from worker.ml.errors import explain

_LOG_EVERY = 50
_CHECK_EVERY = 600


def main() -> None:
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    console = Console()
    recipe = Recipe(seed=arguments.seed, tower_steps=arguments.tower_steps)
    torch.manual_seed(recipe.seed)
    processor = build_processor()
    model = build_model(processor.tokenizer)
    cells = CellPixels(processor)
    deadline = time.monotonic() + 60 * arguments.minutes
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("training", total=recipe.n_steps)

        def report(progress: Progress) -> None:
            bar.update(task, completed=progress.step, description=progress.phase)
            if progress.step % _LOG_EVERY == 0:
                left = (progress.n_steps - progress.step) * progress.seconds_per_step / 60
                console.log(
                    f"step {progress.step}/{progress.n_steps} {progress.phase}"
                    f" loss {progress.loss:.3f} {progress.seconds_per_step:.2f} s/step"
                    f" ETA {left:.0f} min"
                )
            if progress.step % _CHECK_EVERY == 0:
                figures = answer_accuracy(model, processor.tokenizer, cells, n_items=400)
                console.log(_in_words(figures))

        state_file = arguments.state or arguments.out / "state.pt"
        if not state_file.exists():
            share = train_tower(
                model, cells, seed=recipe.seed, n_steps=recipe.tower_steps,
                on_step=lambda step, _: bar.update(task, description=f"tower {step}"),
            )  # fmt: skip
            console.log(f"tower: {share:.3f} of patches read rightly")
        step = train(
            model, processor.tokenizer, cells, recipe,
            state_file=state_file,
            deadline=deadline,
            on_step=report,
        )  # fmt: skip
    save_checkpoint(arguments.out, model, processor)
    figures = answer_accuracy(model, processor.tokenizer, cells, n_items=arguments.items)
    console.log(_in_words(figures))
    _write_record(arguments.out, recipe, step, figures, model.num_parameters())
    # Once more as others will use it: loaded from the folder, on rendered pictures, by generation.
    seen = evaluate(DemoModel(arguments.out), n_items=arguments.items, seed=1)
    write_figures(arguments.out / "figures.json", seen)
    write_card(arguments.out)
    console.print(as_table(seen))


def _in_words(figures: dict[str, float]) -> str:
    return "answers right: " + ", ".join(f"{kind} {share:.3f}" for kind, share in figures.items())


def save_checkpoint(
    folder: Path, model: LlavaForConditionalGeneration, processor: LlavaProcessor
) -> None:
    """Writes all files with which transformers' auto classes load the model from the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    model.train(False)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def _write_record(
    folder: Path, recipe: Recipe, step: int, figures: dict[str, float], n_parameters: int
) -> None:
    record = {
        "recipe": asdict(recipe),
        "steps": step,
        "parameters": n_parameters,
        "answer_accuracy": figures,
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "tokenizers": tokenizers.__version__,
            "numpy": numpy.__version__,
            "pillow": PIL.__version__,
        },
    }
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    (folder / "recipe.json").write_text(text, encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--state", type=Path, help="file to resume from (default: OUT/state.pt)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    parser.add_argument(
        "--tower-steps",
        type=int,
        default=Recipe().tower_steps,
        help="steps of the vision tower; fewer make a worse model sooner",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--items", type=int, default=1000, help="held-out questions at the end")
    return parser.parse_args()


if __name__ == "__main__":
    run_program(main, name="recipe", explain=explain)
