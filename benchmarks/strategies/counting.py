"""Shares of what was right, by kind of question, as the cells of a benchmark keep them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from app.same_text import is_same_answer
from benchmarks.strategies.data import Asked
from benchmarks.strategies.models import Trained
from benchmarks.support.cells import Result


def right_of(items: Sequence[Asked], answers: Sequence[str]) -> Result:
    right: dict[str, list[bool]] = defaultdict(list)
    for asked, answer in zip(items, answers, strict=True):
        right[asked.kind].append(is_same_answer(answer, asked.question.answer))
    return {"right": shares(right), "n": {kind: len(found) for kind, found in right.items()}}


def shares(found: Mapping[str, Sequence[bool]]) -> dict[str, float]:
    return {kind: round(sum(some) / len(some), 4) for kind, some in sorted(found.items()) if some}


def cost_of(trained: Trained) -> dict[str, Any]:
    return {"train_seconds": trained.seconds, "n_supervised": trained.n_supervised}
