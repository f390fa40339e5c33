"""A base model with an adapter worked into its weights, for programs that serve no adapters."""

import logging
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from worker.ml.errors import AdapterError, first_line
from worker.ml.model.adapters import verify_adapter
from worker.ml.model.attached import attach_adapter
from worker.ml.model.contents import read_adapter, set_folder
from worker.ml.model.files import INDEX_FILE, WEIGHTS, holds_weights, read_header, weight_files
from worker.ml.model.loading import find_model, load_vlm
from worker.ml.model.lora import adapted_layers, replace_module, set_of
from worker.ml.model.modules.placing import merge_modules

logger = logging.getLogger(__name__)

_DTYPES = {"F64": "float32", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def merge_adapter(
    name_or_path: str, adapter: Path, out: Path, *, revision: str | None = None, dtype: str = "auto"
) -> None:
    """Write the merged model into the new folder `out`: all sets of LoRA by peft's own merge
    (W + scaling * B A, LoRA, section 4.1), tuned modules in place of the base's, on the CPU. The
    folder is the base model's, file by file: the same names, number types and layout of weights,
    and the files of processor and tokenizer as they are, so that whatever loads the base loads it
    as well.

    name_or_path, revision, dtype: the base model, as load_vlm takes them; "auto" is the number type
    of its own files. adapter: its folder in the store. Raises MlError where the base or the adapter
    cannot be used, AdapterError if `out` is there already or the adapter holds a module that is no
    weights of the base.
    """
    if out.exists():
        raise AdapterError(f"{out} is there already. Name a folder that is not.")
    verify_adapter(adapter)
    base, _ = find_model(name_or_path, revision)
    chosen = own_dtype(base) if dtype == "auto" else dtype
    vlm = load_vlm(name_or_path, revision=revision, device="cpu", dtype=chosen)
    attach_adapter(vlm, adapter)
    try:
        merge_modules(vlm.model)
    except ValueError as error:
        raise AdapterError(
            f"The adapter {adapter.name} cannot be merged: {error} Sample locally, with the base "
            "and the adapter beside it."
        ) from error
    try:
        for _ in merge_layers(vlm.model, adapter):
            pass
    except (ValueError, RuntimeError, KeyError) as error:
        raise AdapterError(
            f"The adapter {adapter.name} does not fit {name_or_path}: {first_line(error)} "
            "Merge it into the base model that it was trained on."
        ) from error
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".merge-", dir=out.parent) as folder:
        saved, made = Path(folder) / "saved", Path(folder) / out.name
        vlm.model.save_pretrained(saved)
        del vlm
        made.mkdir()
        _write_weights(saved, base, made, keeps_types=dtype == "auto")
        _copy_other_files(base, made)
        if dtype != "auto":
            shutil.copy(saved / "config.json", made)
        made.rename(out)  # complete or absent


def own_dtype(folder: Path) -> str:
    """Returns the name of the number type in which most of a model's weights are stored."""
    sizes: dict[str, int] = {}
    for path in weight_files(folder):
        for entry in read_header(path).values():
            if name := _DTYPES.get(entry["dtype"]):
                start, end = entry["data_offsets"]
                sizes[name] = sizes.get(name, 0) + end - start
    return max(sizes, key=lambda name: sizes[name]) if sizes else "float32"


def merge_layers(model: Any, adapter: Path) -> Iterator[tuple[str, torch.nn.Module]]:
    """Puts the plain layer, merged, in the place of each layer that the adapter of this folder
    adapts, one after the other, and yields it with its name. The sums are made in float32, whatever
    the base is stored in; one layer at a time has that size."""
    weights = read_adapter(adapter).weights
    for name, layer in list(adapted_layers(model)):
        (peft_name,) = layer.scaling
        where = set_folder(set_of(layer))
        own = f"{where}/{name}" if where else name
        plain = layer.get_base_layer()
        dtype = plain.weight.dtype
        layer.float()
        for part in ("lora_A", "lora_B"):
            getattr(layer, part)[peft_name].weight.data = weights[f"{own}.{part}.weight"].float()
        if (key := f"{own}.lora_magnitude_vector") in weights:  # DoRA
            layer.lora_magnitude_vector[peft_name].weight.data = weights[key].float()
        layer.merge(safe_merge=True, adapter_names=[peft_name])
        replace_module(model, name, plain.to(dtype))
        yield name, plain
    for attribute in ("peft_config", "_hf_peft_config_loaded"):
        model.__dict__.pop(attribute, None)


def _write_weights(saved: Path, base: Path, made: Path, *, keeps_types: bool) -> None:
    """Writes the merged tensors in the layout of the base. What the merge did not touch is taken
    from the base's files, so that not a bit of it changes."""
    base_files, saved_files = weight_files(base), weight_files(saved)
    with ExitStack() as stack:
        merged = _open_all(stack, saved_files)
        own = _open_all(stack, base_files)
        if not merged.keys() <= own.keys():
            # transformers gives the weights other names than their author did.
            logger.info("the merged weights are laid out as transformers saves them")
            for path in saved_files:
                shutil.copy(path, made)
            if (saved / INDEX_FILE).is_file():
                shutil.copy(saved / INDEX_FILE, made)
            return
        for path in base_files:
            tensors = {
                name: _one_tensor(name, own, merged, keeps_types=keeps_types)
                for name in read_header(path)
            }
            save_file(tensors, made / path.name, metadata={"format": "pt"})
    if (base / INDEX_FILE).is_file():
        shutil.copy(base / INDEX_FILE, made)


def _one_tensor(
    name: str, own: Mapping[str, Any], merged: Mapping[str, Any], *, keeps_types: bool
) -> torch.Tensor:
    before: torch.Tensor = own[name].get_tensor(name)
    if name not in merged:  # tied to another one
        return before
    after: torch.Tensor = merged[name].get_tensor(name)
    if not keeps_types and before.is_floating_point():
        return after
    return before if torch.equal(before.to(after.dtype), after) else after.to(before.dtype)


def _open_all(stack: ExitStack, files: list[Path]) -> dict[str, Any]:
    """The open file of each tensor, by the tensor's name."""
    found: dict[str, Any] = {}
    for path in files:
        opened: Any = stack.enter_context(safe_open(path, framework="pt"))
        found |= dict.fromkeys(opened.keys(), opened)
    return found


def _copy_other_files(base: Path, made: Path) -> None:
    """Everything that belongs to the model beside its weights: configuration, processor, tokenizer,
    chat templates, licence. Its description would be that of another model."""
    for path in sorted(base.iterdir()):
        if path.name.startswith((".", "README", "adapter_")) or (made / path.name).exists():
            continue
        if path.is_dir() and not holds_weights(path):  # a second tokenizer, chat templates
            shutil.copytree(path, made / path.name)
        elif path.is_file() and not path.name.endswith((*WEIGHTS, INDEX_FILE)):
            shutil.copyfile(path, made / path.name)
