"""Proves that a model can be merged with an adapter, written, and loaded again."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from worker.ml.errors import first_line
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import add_new_adapter, remove_adapters, write_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.lora import adapted_layers
from worker.ml.model.merge import merge_adapter, merge_layers
from worker.ml.proof.lines import ProofLine
from worker.ml.same_logits import difference, is_rounding
from worker.ml.training.losses import asked_logits, encode_example
from worker.ml.types import Example, LoraSettings

LARGE_BYTES = 2 * 2**30  # from here on only what the merge touches is written
WEIGHTS = "merged.safetensors"


def prove_merge(
    vlm: Vlm, source: str, example: Example, lora: LoraSettings, style: PromptStyle = DEFAULT_STYLE
) -> ProofLine:
    """Returns whether base and adapter say the same once they are merged, written and loaded again.
    source: the folder or hub name that `vlm` was loaded from. A large model's untouched tensors are
    not written, and the touched ones are put into the model that is loaded, one at a time."""
    n_bytes = sum(p.numel() * p.element_size() for p in vlm.model.parameters())
    is_large = n_bytes > LARGE_BYTES
    with TemporaryDirectory(prefix="illume-merge-") as place:
        folder = Path(place)
        if shutil.disk_usage(folder).free < 2 * n_bytes:
            return ProofLine(
                "merge", True, None, "Not tried: the temporary folder has no room for the weights."
            )
        adapter = _random_adapter(vlm, lora, folder)
        with adapter_attached(vlm, adapter):
            expected = _logits(vlm, example, style)
        bare = _logits(vlm, example, style)
        try:
            if is_large:
                got, how = (
                    _merged_in_place(vlm, adapter, example, style),
                    "what the merge changes was",
                )
            else:
                merge_adapter(source, adapter, folder / "merged", dtype=_dtype(vlm))
                again = load_vlm(str(folder / "merged"), device=str(vlm.device), dtype=_dtype(vlm))
                got, how = _logits(again, example, style), "the model was"
        except Exception as error:  # a family may object in any way it likes
            return ProofLine(
                "merge",
                False,
                None,
                f"The model cannot be merged with an adapter: {first_line(error)} Rounds work; a "
                "server that loads no adapters cannot serve it.",
            )
    found, moved = difference(got, expected), difference(bare, expected)
    holds = is_rounding(found, vlm.dtype) and found < moved
    figures = f"{found:.2g} of their spread (without the adapter {moved:.2g})"
    return ProofLine(
        "merge",
        holds,
        found,
        f"Merged with an adapter, {how} written and loaded again; logits differ by {figures}."
        if holds
        else f"The merged model says something else than base and adapter: logits differ by "
        f"{figures}. Serve the base with the adapter beside it.",
    )


def _dtype(vlm: Vlm) -> str:
    return str(vlm.dtype).removeprefix("torch.")


def _random_adapter(vlm: Vlm, lora: LoraSettings, folder: Path) -> Path:
    """An adapter that changes what the model says, in a store of its own."""
    attach_adapter(vlm, None)
    devices = [vlm.device] if vlm.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices), torch.no_grad():
            torch.manual_seed(0)
            add_new_adapter(vlm.model, lora)
            for _, layer in adapted_layers(vlm.model):
                for part in layer.lora_B.values():
                    part.weight.normal_(std=0.02)
            write_adapter(vlm.model, folder / "adapter", vlm.revision)
    finally:
        remove_adapters(vlm.model)
    return publish_adapter(folder / "adapter", folder / "store", {})[1]


@torch.no_grad()
def _logits(vlm: Vlm, example: Example, style: PromptStyle) -> torch.Tensor:
    [sequence, *_] = encode_example(vlm, encoder_of(vlm), example, 0, style)
    places = [(0, at) for at, _ in sequence.targets]
    batch = collate(vlm, [sequence.row], pad="right")
    return asked_logits(vlm, vlm.model, batch, places).float().cpu()


def _merged_in_place(vlm: Vlm, adapter: Path, example: Example, style: PromptStyle) -> torch.Tensor:
    """The logits after each merged layer went through a file. The base's weights come back."""
    attach_adapter(vlm, adapter)
    before: dict[str, torch.Tensor] = {
        name: layer.get_base_layer().weight.detach().to("cpu", copy=True)
        for name, layer in adapted_layers(vlm.model)
    }
    file = adapter.parent / WEIGHTS
    try:
        with torch.no_grad():
            for name, layer in merge_layers(vlm.model, adapter):
                assert isinstance(layer.weight, torch.Tensor)  # noqa: S101 - linear layers
                save_file({name: layer.weight.detach().cpu().contiguous()}, file)
                layer.weight.zero_()
                layer.weight.copy_(load_file(file)[name])
        return _logits(vlm, example, style)
    finally:
        remove_adapters(vlm.model)
        with torch.no_grad():
            for name, weight in before.items():
                vlm.model.get_submodule(name).weight.data.copy_(weight)
        vlm.adapter = None
