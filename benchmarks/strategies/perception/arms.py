"""The arms of interactive perception, by the names that plan.py gives them."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from app.scenes.scene import N_CELLS
from benchmarks.strategies.counting import cost_of, right_of
from benchmarks.strategies.data import Asked
from benchmarks.strategies.models import LIMIT
from benchmarks.strategies.perception.bench import Bench, cell_of
from benchmarks.strategies.perception.plan import BY_PLACE
from benchmarks.support.cells import Config, Result
from worker.ml.inputs.encode import Row, collate
from worker.ml.inputs.frozen_tower import FEATURES, encoder_for_sampling
from worker.ml.inputs.perceiving import Request, features_of, grid_of, perceive, with_picture
from worker.ml.inputs.prompts import DEFAULT_STYLE, frame_of
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import parameters_by_part
from worker.ml.occlusion import hide, make_map
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import Encoded, asked_logits, encode_example
from worker.ml.types import ANSWER, Draw, Example, Part, Prompt

_AT_ONCE = 200


def measure_base(bench: Bench) -> Result:
    """Returns what the base answers of the whole picture, of another one, and of its mean."""
    attach_adapter(bench.shop.vlm, None)
    items = bench.test_items()
    others = [items[(place + 1) % len(items)] for place in range(len(items))]
    whole = _right(bench, items, "own")
    other = _right(bench, items, "own", shown=others)
    return {"right": whole, "other_picture": other, "mean": _right_of_means(bench, items)} | {
        "others": _right_of_others(bench)
    }


def measure_perception(bench: Bench) -> Result:
    """Returns what a trained perception answers, with its own request, without one and with
    another's; what hiding places does; and where its maps and its attention peak."""
    trained = bench.perception()
    attach_adapter(bench.shop.vlm, trained.folder)
    items = bench.test_items()
    result = cost_of(trained) | {
        "parameters": _n_parameters(bench),
        "right": _right(bench, items, "own"),
        "zero": _right(bench, items, "zero"),
        "swapped": _right(bench, items, "swapped"),
        "none": _right(bench, items, "none"),
        "others": _right_of_others(bench),
    }
    if bench.config.get("path", "patches") == "patches":
        result |= _hidden(bench, items) | _peaks(bench, items[: bench.scale.n_maps])
    return result


def measure_static(bench: Bench) -> Result:
    """Returns what a trained resampler answers."""
    trained = bench.static()
    attach_adapter(bench.shop.vlm, trained.folder)
    items = bench.test_items()
    return cost_of(trained) | {
        "parameters": _n_parameters(bench),
        "right": _right(bench, items, "own"),
        "others": _right_of_others(bench),
    }


def _n_parameters(bench: Bench) -> int:
    parts = parameters_by_part(bench.shop.vlm.model).values()
    return sum(one.numel() for parameters in parts for one in parameters)


def _right(
    bench: Bench, items: Sequence[Asked], request: Request, shown: Sequence[Asked] | None = None
) -> float:
    """The share of questions by place that are answered rightly; `shown`: whose pictures are."""
    said = _say(bench, items, request, shown or items)
    return sum(t == one.question.answer for t, one in zip(said, items, strict=True)) / len(items)


def _right_of_others(bench: Bench) -> Mapping[str, float]:
    items = bench.other_items()
    found: Mapping[str, float] = right_of(items, _say(bench, items, "own", items))["right"]
    return found


def _say(
    bench: Bench, items: Sequence[Asked], request: Request, shown: Sequence[Asked]
) -> list[str]:
    draws = [
        Draw(Prompt(bench.pictures.of(picture.scene), one.question.text, None, ""), 0.01, place)
        for place, (one, picture) in enumerate(zip(items, shown, strict=True))
    ]
    return [one.text for one in sample(bench.shop.vlm, draws, LIMIT, request=request)]


# --- What is shown ------------------------------------------------------------------------------


def _encoded(bench: Bench, asked: Asked) -> Encoded:
    vlm = bench.shop.vlm
    picture, question = bench.pictures.of(asked.scene), asked.question
    encoder = encoder_for_sampling(vlm, picture, frame_of(vlm, question.text).context)
    example = Example(picture, question.text, (Part(question.answer, ANSWER),))
    return encode_example(vlm, encoder, example, 0, DEFAULT_STYLE)[0]


@torch.no_grad()
def _share_right(bench: Bench, encoded: Sequence[Encoded], rows: Sequence[Row]) -> float:
    """The share of rows whose answer is, token by token, the most probable."""
    vlm, n_right = bench.shop.vlm, 0
    vlm.model.eval()
    for start in range(0, len(rows), _AT_ONCE):
        some = encoded[start : start + _AT_ONCE]
        shown = perceive(vlm, rows[start : start + _AT_ONCE]).rows
        places = [(row, at) for row, one in enumerate(some) for at, _ in one.targets]
        best = asked_logits(vlm, vlm.model, collate(vlm, shown, pad="right"), places).argmax(-1)
        said = iter(best.tolist())
        for one in some:
            wanted = [token for _, token in one.targets]
            n_right += [next(said) for _ in wanted] == wanted
    return n_right / len(rows)


def _right_of_means(bench: Bench, items: Sequence[Asked]) -> float:
    """What the base answers where the mean of the picture stands in all places."""
    encoded, rows = [_encoded(bench, one) for one in items], []
    for one in encoded:
        features = features_of(bench.shop.vlm, one.row)
        means = {name: t.mean(0, keepdim=True).expand_as(t) for name, t in features.items()}
        rows.append(with_picture(bench.shop.vlm, one.row, means))
    return _share_right(bench, encoded, rows)


def _hidden(bench: Bench, items: Sequence[Asked]) -> Result:
    """What is answered where the asked place is hidden, and where another one with a thing is."""
    rng = random.Random(f"hidden-{bench.seed}")
    encoded = [_encoded(bench, one) for one in items]
    asked: list[Row] = []
    other: list[Row] = []
    for one, item in zip(encoded, items, strict=True):
        features = features_of(bench.shop.vlm, one.row)
        grid = grid_of(bench.shop.vlm, one.row, len(features[FEATURES]))
        things = [thing.cell for thing in item.scene.objects if thing.cell != cell_of(item)]
        for rows, cell in ((asked, cell_of(item)), (other, rng.choice(things))):
            rows.append(with_picture(bench.shop.vlm, one.row, hide(features, grid, cell)))
    return {
        "asked_hidden": _share_right(bench, encoded, asked),
        "other_hidden": _share_right(bench, encoded, other),
    }


def _peaks(bench: Bench, items: Sequence[Asked]) -> Result:
    """How often map and attention peak on the asked place where the answer is right, and what a map
    takes."""
    said = _say(bench, items, "own", items)
    right = [one for one, text in zip(items, said, strict=True) if text == one.question.answer]
    by_map = by_attention = 0
    seconds = 0.0
    for one in right:
        picture, question = bench.pictures.of(one.scene), one.question
        found = make_map(bench.shop.vlm, picture, question.text, question.answer)
        by_map += _peak(found.occlusion) == cell_of(one)
        by_attention += found.attention is not None and _peak(found.attention) == cell_of(one)
        seconds += found.seconds
    n = max(1, len(right))
    return {
        "n_maps": len(right),
        "map_peak": by_map / n,
        "attention_peak": by_attention / n,
        "chance_peak": 1 / N_CELLS,
        "map_seconds": seconds / n,
    }


def _peak(numbers: Sequence[float]) -> int:
    return max(range(len(numbers)), key=numbers.__getitem__)


ARMS: Mapping[str, Callable[[Bench], Result]] = {
    "base": measure_base,
    "perception": measure_perception,
    "static": measure_static,
}


def measure(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; `folder` keeps models and pictures from cell to cell."""
    began = time.monotonic()
    result = ARMS[config["arm"]](Bench(config, folder, threads))
    return {"kind": BY_PLACE} | result | {"cell_seconds": round(time.monotonic() - began, 1)}
