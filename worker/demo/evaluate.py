"""Figures of a demo model: `python -m worker.demo.evaluate FOLDER --items 500`.

Answers are generated greedily; explanations are drawn for the right answer at the five usual
temperatures and judged by the exact critic; near-greedy ones also for the model's own answer.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from app.kit.processes.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("The evaluation of the demo model")

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from transformers import AutoModelForImageTextToText, AutoProcessor

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.scenes.questions.draw import Question
from app.scenes.questions.queries import Kind
from app.scenes.render import render_scene
from app.scenes.scene import Scene
from worker.demo.rows import answer_prompt, draw_question, rationale_prompt
from worker.ml.errors import ModelNotFoundError, explain

TEMPERATURES: Final = (0.01, 0.1, 0.3, 0.6, 0.9)
_BATCH: Final = 50
_MAX_NEW_TOKENS: Final = 32


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares are between 0 and 1."""

    n_items: int
    answer_accuracy: dict[str, float]
    near_greedy_fit: dict[str, float]
    right_draws: dict[str, float]
    right_draws_over_all: float
    items_with_a_right_draw: float
    distinct_right_texts: int
    distinct_right_openings: int


class DemoModel:
    """A checkpoint with its processor, for text in and text out."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "config.json").is_file():
            raise ModelNotFoundError(
                f"{folder} is no folder of a model: it has no config.json. The demo model is in "
                "worker/demo/checkpoint."
            )
        self.processor: Any = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        self.model: Any = AutoModelForImageTextToText.from_pretrained(
            folder, trust_remote_code=False
        )

    @torch.no_grad()
    def complete(
        self, scenes: list[Scene], prompts: list[str], temperature: float | None
    ) -> list[str]:
        """Returns continuations of the prompts; temperature None is greedy, else top-k of a tenth
        of the vocabulary.
        """
        inputs = self.processor(
            images=[render_scene(scene) for scene in scenes],
            text=[f"<image>\n{prompt}" for prompt in prompts],
            return_tensors="pt",
            padding=True,
        )
        how: dict[str, Any] = {"do_sample": False}
        if temperature is not None:
            top_k = len(self.processor.tokenizer) // 10
            how = {"do_sample": True, "temperature": temperature, "top_k": top_k}
        output = self.model.generate(**inputs, max_new_tokens=_MAX_NEW_TOKENS, **how)
        new = output[:, inputs["input_ids"].shape[1] :]
        texts: list[str] = self.processor.batch_decode(new, skip_special_tokens=True)
        return [text.strip() for text in texts]


Items = list[tuple[Scene, Question]]


def evaluate(model: DemoModel, *, n_items: int, seed: int, n_draws: int = 1) -> Figures:
    """Measures the model on held-out items of the recipe's own questions, with `n_draws` per item
    and temperature.
    """
    rng = random.Random(f"demo-evaluate-{seed}")  # noqa: S311 - draws questions, no secrets
    torch.manual_seed(seed)
    items = [draw_question(rng, held_out=True) for _ in range(n_items)]
    answers = _complete_all(model, items, lambda q: answer_prompt(q.text), None)
    right = [answer == q.answer for answer, (_, q) in zip(answers, items, strict=True)]
    own = _own_rationales(model, items, answers)
    drawn = {
        temperature: [
            text
            for _ in range(n_draws)
            for text in _complete_all(
                model, items, lambda q: rationale_prompt(q.text, q.answer), temperature
            )
        ]
        for temperature in TEMPERATURES
    }
    return _summarise(items, right, own, drawn, n_draws)


def _own_rationales(model: DemoModel, items: Items, answers: list[str]) -> list[bool]:
    """Near-greedy rationales for the model's own answers: do they fit? A wrong answer does not."""
    given = iter(answers)
    texts = _complete_all(model, items, lambda q: rationale_prompt(q.text, next(given)), None)
    return [
        _fits(scene, question, answer, text)
        for (scene, question), answer, text in zip(items, answers, texts, strict=True)
    ]


def _complete_all(
    model: DemoModel, items: Items, prompt: Callable[[Question], str], temperature: float | None
) -> list[str]:
    texts: list[str] = []
    name = "greedy" if temperature is None else f"temperature {temperature}"
    for start in track(range(0, len(items), _BATCH), description=name):
        part = items[start : start + _BATCH]
        prompts = [prompt(question) for _, question in part]
        texts += model.complete([scene for scene, _ in part], prompts, temperature)
    return texts


_CRITIC: Final = ExactCritic()


def _fits(scene: Scene, question: Question, answer: str, text: str) -> bool:
    item = CriticItem(question.text, answer, (), scene.to_dict())
    return _CRITIC.judge(item, [text])[0].fits


def _summarise(
    items: Items,
    right: list[bool],
    own: list[bool],
    drawn: dict[float, list[str]],
    n_draws: int,
) -> Figures:
    kinds = [question.query.kind for _, question in items]
    fits: dict[float, list[bool]] = {}
    right_texts: set[str] = set()
    covered: set[int] = set()
    for temperature, texts in drawn.items():
        flags = []
        for number, text in enumerate(texts):
            scene, question = items[number % len(items)]
            is_right = _fits(scene, question, question.answer, text)
            flags.append(is_right)
            if is_right:
                right_texts.add(text)
                covered.add(number % len(items))
        fits[temperature] = flags
    everything = [flag for flags in fits.values() for flag in flags]
    return Figures(
        n_items=len(items),
        answer_accuracy=_by_kind(kinds, right),
        near_greedy_fit=_by_kind(kinds, own),
        right_draws={str(t): _share(flags) for t, flags in fits.items()}
        | _by_kind(kinds * n_draws * len(drawn), everything),
        right_draws_over_all=_share(everything),
        items_with_a_right_draw=len(covered) / len(items),
        distinct_right_texts=len(right_texts),
        distinct_right_openings=len({" ".join(text.split()[:3]) for text in right_texts}),
    )


def _by_kind(kinds: list[Kind], flags: list[bool]) -> dict[str, float]:
    shares = {
        kind.value: _share([flag for one, flag in zip(kinds, flags, strict=True) if one == kind])
        for kind in Kind
    }
    return {**shares, "all": _share(flags)}


def _share(flags: list[bool]) -> float:
    return round(sum(flags) / max(1, len(flags)), 4)


def write_figures(path: Path, figures: Figures) -> None:
    text = json.dumps(asdict(figures), indent=2, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")


def as_table(figures: Figures) -> Table:
    table = Table(title=f"{figures.n_items} held-out items")
    for column in ("kind", "answers right", "near-greedy fit", "right draws"):
        table.add_column(column)
    for kind, accuracy in figures.answer_accuracy.items():
        fit, draws = figures.near_greedy_fit[kind], figures.right_draws[kind]
        table.add_row(kind, f"{accuracy:.3f}", f"{fit:.3f}", f"{draws:.3f}")
    for temperature in TEMPERATURES:
        share = figures.right_draws[str(temperature)]
        table.add_row(f"temperature {temperature}", "", "", f"{share:.3f}")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--draws", type=int, default=1, help="per item and temperature")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = DemoModel(arguments.folder)
    figures = evaluate(model, n_items=arguments.items, seed=arguments.seed, n_draws=arguments.draws)
    console = Console()
    console.print(as_table(figures))
    console.print(
        f"items with a right draw {figures.items_with_a_right_draw:.3f},"
        f" distinct right texts {figures.distinct_right_texts},"
        f" distinct openings {figures.distinct_right_openings}"
    )
    if arguments.json:
        write_figures(arguments.json, figures)


if __name__ == "__main__":
    run_program(main, name="evaluate", explain=explain)
