"""Proves that a model takes an adapter of several parts: a set of LoRA each for the language model
and the vision tower, of different sizes, and the projector tuned whole."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from worker.ml.errors import first_line
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import count_gradients, remove_adapters, write_adapter
from worker.ml.model.loading import Vlm
from worker.ml.model.lora import linear_modules
from worker.ml.model.memory import is_out_of_memory
from worker.ml.model.modules.tuned import find_projectors
from worker.ml.proof.lines import ProofLine
from worker.ml.same_logits import difference, is_rounding
from worker.ml.training.losses import asked_logits, encode_example
from worker.ml.training.trainer import Trainer
from worker.ml.types import AdapterSettings, Example, LoraSettings, ModuleSettings, TrainConfig

N_STEPS = 2  # LoRA's A learns from the second on, since B begins at zero
NAME = "parts"


def prove_parts(
    vlm: Vlm, example: Example, lora: LoraSettings, style: PromptStyle = DEFAULT_STYLE
) -> ProofLine:
    """Returns how many tensors of each part gradients reach, and whether such an adapter says the
    same once it is written and read again, and leaves the base as it was. The adapter that is on
    comes back afterwards."""
    settings = parts_for(vlm, lora)
    before = vlm.adapter
    attach_adapter(vlm, None)
    try:
        bare = _logits(vlm, example, style)
        with TemporaryDirectory(prefix="illume-parts-") as place:
            folder = Path(place) / "adapter"
            gradients, expected = _trained(vlm, settings, example, style, folder)
            with adapter_attached(vlm, folder):
                got = _logits(vlm, example, style)
            vlm.held.pop(folder, None)
        found = difference(got, expected)
        is_bare = torch.equal(_logits(vlm, example, style), bare)
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            return ProofLine(
                NAME, True, None, "Not tried: the memory holds no training of the tower, too."
            )
        return ProofLine(
            NAME,
            False,
            None,
            f"An adapter of several parts cannot be used: {first_line(error)} Rounds work; they "
            "train one set of LoRA.",
        )
    finally:
        attach_adapter(vlm, before)
    return _line(vlm, settings, gradients, found, is_bare=is_bare)


def parts_for(vlm: Vlm, lora: LoraSettings) -> AdapterSettings:
    """Returns the parts that this model has room for. No module is in two of them: a projector that
    is tuned whole gets no LoRA."""
    projectors = find_projectors(vlm.model)
    tower = tuple(
        name
        for name in linear_modules(vlm.model)["tower"]
        if not any(name == place or name.startswith(f"{place}.") for place in projectors)
    )
    plain = replace(lora, dropout=0.0, language=True, tower=False, projector=False)
    size = max(1, lora.rank // 2)
    of_tower = replace(plain, rank=size, targets=tower, language=False, tower=True)
    return AdapterSettings(
        plain,
        {"tower": of_tower} if tower else {},
        {
            f"projector_{number}": ModuleSettings("tuned", place)
            for number, place in enumerate(projectors, start=1)
        },
    )


def _trained(
    vlm: Vlm, settings: AdapterSettings, example: Example, style: PromptStyle, folder: Path
) -> tuple[Mapping[str, tuple[int, int]], torch.Tensor]:
    """Trains a little and writes the adapter; its gradients by part, and its logits."""
    config = TrainConfig(
        epochs=N_STEPS, batch_size=1, learning_rate=1e-4, warmup_share=0.0, feature_cache_mb=0
    )
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            trainer = Trainer(
                vlm, [example], [], config=config, adapter=settings, start_from=None, style=style
            )
            try:
                for step in range(1, N_STEPS + 1):
                    trainer.step(step)
                gradients = count_gradients(vlm.model)
            finally:
                trainer.close()
        write_adapter(vlm.model, folder, vlm.revision)
        return gradients, _logits(vlm, example, style)
    finally:
        remove_adapters(vlm.model)
        vlm.adapter = None


def _line(
    vlm: Vlm,
    settings: AdapterSettings,
    gradients: Mapping[str, tuple[int, int]],
    found: float,
    *,
    is_bare: bool,
) -> ProofLine:
    names = {"": "the language model's set", "sets/tower": "the tower's"}
    names |= {f"modules/{name}": f"the tuned {one.place}" for name, one in settings.modules.items()}
    reached = ", ".join(f"{n} of {of} of {names[part]}" for part, (n, of) in gradients.items())
    missing = [names[part] for part, (n, _) in gradients.items() if n == 0]
    said = f"In one adapter, gradients reach {reached}"
    if missing:
        text = f"{said}: {' and '.join(missing)} cannot be trained. Leave it out."
    elif not is_rounding(found, vlm.dtype) or not is_bare:
        text = (
            f"{said}, but written and read again it says something else (logits differ by "
            f"{found:.2g} of their spread), or the base does after it. Train one set of LoRA."
        )
    else:
        what = "nothing" if found == 0 else "nothing but rounding"
        text = f"{said}; written, read again and taken off, {what} differs."
    if not settings.modules:
        text += " It has no projector that could be tuned."
    holds = not missing and is_rounding(found, vlm.dtype) and is_bare
    return ProofLine(NAME, holds, found, text)


@torch.no_grad()
def _logits(vlm: Vlm, example: Example, style: PromptStyle) -> torch.Tensor:
    [sequence, *_] = encode_example(vlm, encoder_of(vlm), example, 0, style)
    places = [(0, at) for at, _ in sequence.targets]
    batch = collate(vlm, [sequence.row], pad="right")
    return asked_logits(vlm, vlm.model, batch, places).float().cpu()
