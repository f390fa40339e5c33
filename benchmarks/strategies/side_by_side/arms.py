"""What an arm of the comparison comes to: held-out answers, draws, and what a person would read."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.kit.storage import image_path
from app.kit.texts import collapse
from app.models import Item
from app.same_text import is_same_answer, text_key
from app.services.rounds.sampling import Drawn
from benchmarks.strategies.counting import right_of, shares
from benchmarks.strategies.side_by_side.bench import Bench, Learned
from benchmarks.support.cells import Config, Result
from worker.strategies.contract import Asked
from worker.strategies.costs import Counted


def measure(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; `folder` keeps models and pictures from cell to cell."""
    began = time.monotonic()
    bench = Bench(config, folder, threads)
    learned = bench.learn()
    result: Result = {
        "train_seconds": learned.seconds,
        "n_parameters": learned.n_parameters,
        "n_supervised": learned.n_supervised,
        "answered": _answered(bench, learned),
        "drawn": _drawn(bench, learned),
    }
    return result | {"cell_seconds": round(time.monotonic() - began, 1)}


def _answered(bench: Bench, learned: Learned) -> Result:
    """How often held-out questions are answered rightly, and so that the rationale fits."""
    items = bench.answered()
    stored = bench.items(items)
    asked = [Asked(item, image_path(image.sha256, image.media_type)) for item, image in stored]
    models = {role: Counted(model) for role, model in learned.models.items()}
    began = time.monotonic()
    said = bench.procedure.answer(models, asked, bench.settings).said
    seconds = time.monotonic() - began
    fits: dict[str, list[bool]] = defaultdict(list)
    for one, (item, _) in zip(items, stored, strict=True):
        made = said.get(item.id)
        is_right = made is not None and is_same_answer(made.answer, item.answer)
        fits[one.kind].append(made is not None and is_right and _fitting(item, [made.rationale])[0])
    answers = [said[item.id].answer if item.id in said else "" for item, _ in stored]
    return right_of(items, answers) | {
        "fits": shares(fits),
        "tokens_per_item": _said(models) / len(items),
        "seconds_per_item": seconds / len(items),
    }


def _drawn(bench: Bench, learned: Learned) -> Result:
    """How many draws fit, what they cost, and what a person would have to read and press."""
    stored = bench.items(bench.drawn())
    models = {role: Counted(model) for role, model in learned.models.items()}
    began = time.monotonic()
    drawn = bench.procedure.propose(models, stored, bench.settings, 1).drawn
    seconds = time.monotonic() - began
    by_item: dict[int, list[Drawn]] = defaultdict(list)
    for draw in drawn:
        by_item[draw.item_id].append(draw)
    judged = [
        _Judged(item, by_item[item.id], bench.settings.judging.max_shown) for item, _ in stored
    ]
    n_admitted = sum(one.n_admitted for one in judged)
    return {
        "n_draws": len(drawn),
        "n_fitting": sum(one.n_fitting for one in judged),
        "covered": [one.n_admitted > 0 for one in judged],
        "n_admitted": n_admitted,
        "n_tokens": _said(models),
        "seconds": seconds,
        "words_per_text": _mean([len(text.split()) for one in judged for text in one.shown]),
        # A key for each candidate that fits, and one to submit the item.
        "n_keys": n_admitted + sum(bool(one.shown) for one in judged),
        "n_candidates": sum(len(one.shown) for one in judged),
        "n_words": sum(len(text.split()) for one in judged for text in one.shown),
        "n_turns": sum(one.n_turns for one in judged),
    }


class _Judged:
    """The draws of an item as a person sees them: texts once each, so many at most, those that
    were drawn most often; and which of them the exact critic admits."""

    def __init__(self, item: Item, draws: Sequence[Drawn], most: int) -> None:
        ways: dict[str, list[Drawn]] = defaultdict(list)
        for draw in draws:
            if draw.text:
                ways[text_key(draw.text)].append(draw)
        by_draws = sorted(ways.values(), key=len, reverse=True)
        texts = [collapse(some[0].text) for some in by_draws]
        fits = _fitting(item, texts)
        self.shown = texts[:most]
        self.n_admitted = sum(fits[:most])
        self.n_fitting = sum(len(some) for some, ok in zip(by_draws, fits, strict=True) if ok)
        self.n_turns = sum(len((some[0].trace or {}).get("turns", ())) for some in by_draws[:most])


def _fitting(item: Item, texts: Sequence[str]) -> list[bool]:
    judged = ExactCritic().judge(
        CriticItem(item.question, item.answer, facts=item.facts), list(texts)
    )
    return [verdict.fits for verdict in judged]


def _said(models: Mapping[str, Counted]) -> int:
    """Returns the tokens that all models of an arm sampled, those of observers among them."""
    return sum(model.n_tokens for model in models.values())


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
