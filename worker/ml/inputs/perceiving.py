"""Shows a model of each picture what it asks for, where its adapter holds a perception.

Rows come with the features of their pictures and go with those that the perception mixes of them
(model/modules/perception.py); whatever batches, samples or learns from rows stays as it is. The
request is read in a first pass over the basic perception, the context and the learned tokens behind
it, up to the middle layer and no further. What was asked is a matter of the context: all draws of a
question, and all that is learned of it, share one request.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isqrt
from typing import Any, Literal

import torch

from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import Row, Tensors, collate
from worker.ml.inputs.frozen_tower import AS_LIST, FEATURES, make_features, with_features
from worker.ml.model.loading import Vlm
from worker.ml.model.memory import rows_of_pass
from worker.ml.model.modules.perception import Grid, Perception
from worker.ml.model.modules.placing import find_row, modules_on
from worker.ml.types import PROJECTOR, WORDS, ModuleSettings

DETACHED = "requests_are_detached"  # in vlm.memo: whether no gradient goes through the first pass
_SUMMARIES = ("perceiver_config", "qformer_config")
"""What the configuration of a model has whose own queries read a picture; their number may be a
square, and yet none of them stands for a place."""

Path = Literal["patches", "pooled"]
"""What a request looks at: the places of a picture, or one mean of it."""

Request = Literal["own", "zero", "swapped", "none"]
"""What is shown for: what the model asks, nothing that it asks (zeros in the place of its state),
what it asks in the next row, or the basic perception alone."""


@dataclass(frozen=True, eq=False)
class Looked:
    """Where a request looked. attention: (evidence, places), sums to 1 over the places; None where
    no place was looked at."""

    grid: Grid
    attention: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class Perceived:
    """Rows as the model is shown them, and where it looked for each; None for a row that nothing
    was changed of."""

    rows: list[Row]
    looked: list[Looked | None]


@dataclass(eq=False)
class _Seen:
    """A picture with a context: its features by name, (tokens, width), and the numbers of the rows
    that are about it."""

    row: Row
    features: Mapping[str, torch.Tensor]
    grid: Grid
    numbers: list[int] = field(default_factory=list)


def find_perception(model: Any) -> Perception | None:
    """Returns the perception that is on the model, None where none is."""
    for one in modules_on(model).values():
        if isinstance(one.module, Perception):
            return one.module
    return None


def perception_modules(
    *, requests: int = 4, evidence: int = 1, basic: int = 1, path: Path = "patches"
) -> dict[str, ModuleSettings]:
    """Returns what an adapter holds of a perception, by name: the tokens of its request, and what
    mixes the features. evidence, basic: distinct vectors that the model is shown of a picture."""
    options = {"requests": requests, "evidence": evidence, "basic": basic, "path": path}
    names = [_request_name(number) for number in range(requests)]
    return {
        "perception": ModuleSettings("perception", PROJECTOR, options),
        "request": ModuleSettings("rows", WORDS, {"names": names}),
    }


def _request_name(number: int) -> str:
    return f"request_{number + 1}"


def perceive(vlm: Vlm, rows: Sequence[Row], request: Request = "own") -> Perceived:
    """Returns the rows as a model is shown them. Rows without a picture stay as they are, and so do
    all of them where no perception is on. Differentiable. Raises ModelUnusableError for a picture
    whose tokens are no grid."""
    module = find_perception(vlm.model)
    made: list[Row] = list(rows)
    looked: list[Looked | None] = [None] * len(rows)
    if module is None:
        return Perceived(made, looked)
    for alike in _alike(_see(vlm, rows)):
        features = torch.stack([one.features[FEATURES] for one in alike]).to(vlm.device)
        grid = alike[0].grid
        asked = _ask(vlm, module, alike, features, request)
        shown = module.show(features, asked, grid)
        for name in alike[0].features:
            given = torch.stack([one.features[name] for one in alike]).to(vlm.device)
            for one, mixed in zip(alike, shown.of(given), strict=True):
                one.features = {**one.features, name: mixed}
        for place, one in enumerate(alike):
            image = _with(vlm, one.row, one.features)
            at = shown.attention[place] if shown.attention is not None else None
            for number in one.numbers:
                made[number] = replace(rows[number], image=image)
                looked[number] = Looked(grid, at)
    return Perceived(made, looked)


def _see(vlm: Vlm, rows: Sequence[Row]) -> list[_Seen]:
    """The pictures with their contexts, each once."""
    found: dict[tuple[int, int], _Seen] = {}
    for number, row in enumerate(rows):
        if not row.image:
            continue
        key = id(row.text), id(row.image)
        if key not in found:
            features = features_of(vlm, row)
            found[key] = _Seen(row, features, grid_of(vlm, row, len(features[FEATURES])))
        found[key].numbers.append(number)
    return list(found.values())


def features_of(vlm: Vlm, row: Row) -> Tensors:
    """Returns the features of a row's picture by name, (tokens, width) each, whether the row has
    them or its pixels. Raises ModelUnusableError where it has several pictures."""
    known = {name: tensor for name, tensor in row.image.items() if name.startswith(FEATURES)}
    if not known:
        known = make_features(vlm, row.image)
    if any(tensor.ndim == 3 and len(tensor) != 1 for tensor in known.values()):
        raise _no_grid(vlm, "the model is shown several pieces of each picture")
    return {name: tensor[0] if tensor.ndim == 3 else tensor for name, tensor in known.items()}


def grid_of(vlm: Vlm, row: Row, n_tokens: int) -> Grid:
    """Returns where the tokens of a row's picture stand. Raises ModelUnusableError where they are
    no grid, and where they are a summary of the picture."""
    if any(getattr(vlm.model.config, name, None) is not None for name in _SUMMARIES):
        raise _no_grid(vlm, "its tokens of a picture are a summary of it and stand for no places")
    if (sizes := row.image.get("image_grid_thw")) is not None:
        merged = int(getattr(vlm.model.config.vision_config, "spatial_merge_size", 1))
        _, rows, columns = sizes[0].tolist()
        grid = Grid(0, rows // merged, columns // merged)
        if grid.n_tokens == n_tokens:
            return grid
    for n_before in (0, 1):
        side = isqrt(n_tokens - n_before)
        if side and side * side == n_tokens - n_before:
            return Grid(n_before, side, side)
    raise _no_grid(vlm, f"the {n_tokens} tokens of a picture do not stand in rows and columns")


def with_picture(vlm: Vlm, row: Row, features: Mapping[str, torch.Tensor]) -> Row:
    """Returns a row that shows other features, (tokens, width) by name, in place of its own."""
    return replace(row, image=_with(vlm, row, features))


def _with(vlm: Vlm, row: Row, features: Mapping[str, torch.Tensor]) -> Tensors:
    light = {n: t for n, t in row.image.items() if not n.startswith(("pixel_values", FEATURES))}
    as_list = vlm.memo.get(AS_LIST, False)
    return light | {
        name: tensor if as_list or name != FEATURES else tensor.unsqueeze(0)
        for name, tensor in features.items()
    }


def _alike(seen: Iterable[_Seen]) -> Iterator[list[_Seen]]:
    """Pictures that can pass through the model together, as many at a time as it holds well."""
    lots: dict[object, list[_Seen]] = {}
    for one in seen:
        lots.setdefault((one.grid, one.row.signature), []).append(one)
    for lot in lots.values():
        longest = max(one.row.text["input_ids"].shape[1] for one in lot)
        size = rows_of_pass(longest)
        for start in range(0, len(lot), size):
            yield lot[start : start + size]


def _ask(
    vlm: Vlm, module: Perception, seen: Sequence[_Seen], features: torch.Tensor, request: Request
) -> torch.Tensor | None:
    """What the model asks about each picture, (pictures, requests, width)."""
    if request == "none":
        return None
    asked = _read(vlm, module, seen, features)
    if request == "zero":
        return torch.zeros_like(asked)
    return asked.roll(1, 0) if request == "swapped" else asked


def _read(
    vlm: Vlm, module: Perception, seen: Sequence[_Seen], features: torch.Tensor
) -> torch.Tensor:
    """The first pass: the states of the learned tokens in the middle layer."""
    tokens = [find_row(vlm.model, _request_name(n)) for n in range(module.requests)]
    if None in tokens:
        raise ModelUnusableError("The adapter holds a perception without the tokens of a request.")
    basic = module.show(features, None, seen[0].grid)
    deeper = [
        {
            name: basic.of(tensor.to(vlm.device).unsqueeze(0))[0]
            for name, tensor in one.features.items()
            if name != FEATURES
        }
        for one in seen
    ]
    rows = [
        Row(one.row.text, _with(vlm, one.row, {FEATURES: mixed, **more}), tuple(map(int, tokens)))  # type: ignore[arg-type]
        for one, mixed, more in zip(seen, basic.of(features), deeper, strict=True)
    ]
    with torch.set_grad_enabled(torch.is_grad_enabled() and not vlm.memo.get(DETACHED, False)):
        states = _states(vlm, collate(vlm, rows, pad="right"), module.layer)
        ends = torch.tensor([row.length for row in rows], device=states.device).unsqueeze(1)
        at = ends - module.requests + torch.arange(module.requests, device=states.device)
        return states[torch.arange(len(rows), device=states.device).unsqueeze(1), at]


class _Enough(Exception):
    """Ends a pass behind the layer that is wanted."""


def _states(vlm: Vlm, batch: Tensors, layer: int) -> torch.Tensor:
    """What the layer of this number, from 1 on, makes of a batch; later ones are not asked."""
    found: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, __: Any, made: Any) -> None:
        found.append(made if isinstance(made, torch.Tensor) else made[0])
        raise _Enough

    hook = layers_of(vlm.model)[layer - 1].register_forward_hook(keep)
    try:
        vlm.model(**with_features(vlm, batch), use_cache=False)
    except _Enough:
        pass
    finally:
        hook.remove()
    return found[0]


def layers_of(model: Any) -> torch.nn.ModuleList:
    """Returns the layers of the language model. Raises ModelUnusableError where they cannot be
    told."""
    n_layers = model.config.get_text_config(decoder=True).num_hidden_layers
    for module in model.get_decoder().modules():
        if isinstance(module, torch.nn.ModuleList) and len(module) == n_layers:
            return module
    raise ModelUnusableError(
        f"The layers of {model.config.model_type} cannot be told, so no request can be read. Use "
        "another model for the strategy perception."
    )


def _no_grid(vlm: Vlm, why: str) -> ModelUnusableError:
    return ModelUnusableError(
        f"{vlm.name} ({vlm.model.config.model_type}) cannot ask where to look: {why}. Use another "
        "model for the strategy perception."
    )
