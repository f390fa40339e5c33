"""Whether the files of a model are whole and of a kind that can be trained, before any is loaded.

A loader that misses weights makes them up, at random and anew at each load, and only logs it. What
can be seen from the files themselves is refused here, by name; `refuse_gaps` then compares what the
model class wanted with what it found.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from worker.ml.errors import ModelUnusableError

INDEX_FILE = "model.safetensors.index.json"
SHOWN = 4  # names in a sentence; more of them cannot be read
_POINTERS = (b"version https://git-lfs", b"# xet version")
_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")  # between dots or at the end of a tensor's name
_SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.safetensors$")
_TRAINED_AS = {"F64", "F32", "F16", "BF16"}
# Positions, counters and masks that some models keep among their weights.
_NO_WEIGHT = re.compile(r"(position_ids|_index|num_batches_tracked|mask|_ids)$")
_OTHER_WEIGHTS = (".bin", ".pt", ".pth", ".ckpt", ".gguf", ".h5", ".msgpack", ".onnx")
WEIGHTS = (".safetensors", *_OTHER_WEIGHTS)
"""How names of files with weights end."""

Header = Mapping[str, Mapping[str, Any]]


def check_files(folder: Path, name: str) -> None:
    """Raises ModelUnusableError, naming the files and what to do, for a model that is not whole: a
    pointer in place of a file, an adapter, weights that are quantized, code of its own."""
    _refuse_pointers(folder, name)
    config = _read_json(folder / "config.json", name)
    if (folder / "adapter_config.json").is_file():
        raise ModelUnusableError(
            f"{name} holds an adapter (adapter_config.json), which would change the model unseen. "
            "Name the model that it was trained on, or merge the two first (illume model merge)."
        )
    if config is None:
        raise ModelUnusableError(
            f"{name} holds no config.json. Give the folder that save_pretrained wrote."
        )
    _refuse_own_code(config, name)
    _refuse_packed(config, name)


def holds_weights(folder: Path) -> bool:
    """Returns whether weights of any kind lie in the folder or below it."""
    return any(path.name.endswith(WEIGHTS) for path in folder.rglob("*"))


def check_weight_files(folder: Path, name: str) -> None:
    """Raises ModelUnusableError for weights that are missing, cut short or of another kind than
    numbers that can be trained. Reads what the files say of themselves, not the weights."""
    try:
        files = weight_files(folder)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelUnusableError(
            f"The {INDEX_FILE} of {name} cannot be read. Fetch it again."
        ) from error
    if not files:
        raise ModelUnusableError(_no_weights_sentence(folder, name))
    if absent := [path.name for path in files if not path.is_file()]:
        raise ModelUnusableError(
            f"{name} lacks {len(absent)} of its {len(files)} weight files: {_listed(absent)}. "
            "Download it again."
        )
    headers: dict[str, Header] = {}
    for path in files:
        try:
            headers[path.name] = read_header(path)
        except ValueError as error:
            raise ModelUnusableError(
                f"The file {path.name} of {name} is damaged: {error}. Download it again."
            ) from error
    _refuse_gaps_in_index(folder, name, headers)
    _refuse_untrainable(name, headers.values())


def weight_files(folder: Path) -> list[Path]:
    """Returns the safetensors files that hold the model's weights, sorted by name."""
    index = folder / INDEX_FILE
    if index.is_file() and not (folder / "model.safetensors").is_file():
        named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [folder / name for name in sorted(set(named))]
    return [path for path in (folder / "model.safetensors",) if path.is_file()]


def read_header(path: Path) -> Header:
    """Returns what a safetensors file says of its tensors, by their names. Raises ValueError, with
    the reason, if it is not such a file or does not hold all bytes of them."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            raise ValueError("it is cut short, or no safetensors file")
        try:
            header: dict[str, Any] = json.loads(stream.read(length))
            header.pop("__metadata__", None)
            end = max((int(entry["data_offsets"][1]) for entry in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError("it is no safetensors file") from error
    if size != 8 + length + end:
        raise ValueError(f"it has {size:,} bytes instead of {8 + length + end:,}")
    return header


def refuse_gaps(name: str, info: Mapping[str, Any]) -> None:
    """Raises ModelUnusableError if the model class found other weights than it wanted. info: the
    loading info of from_pretrained, tied weights and what a class may leave out taken off."""
    missing, unexpected = set(info["missing_keys"]), set(info["unexpected_keys"])
    wrong = {entry[0]: entry[1:] for entry in info["mismatched_keys"]}
    if missing:
        left = f" They hold {_names(unexpected)}, which it does not know." if unexpected else ""
        raise ModelUnusableError(
            f"{name} is not whole: its files lack {_names(missing)}, which would be random "
            f"numbers.{left} Download it again, or save it anew from the class it was trained with."
        )
    if wrong:
        key = min(wrong)
        found, wanted = (" × ".join(map(str, shape)) for shape in wrong[key])
        raise ModelUnusableError(
            f"{name} does not fit its config.json: {_names(wrong)} differ in shape ({key} has "
            f"{found} numbers, the config wants {wanted}). Use the config.json that belongs to it."
        )
    if unexpected:
        raise ModelUnusableError(
            f"{name} holds {_names(unexpected)}, which its class leaves out: it would not be the "
            "model that was trained. Use the config.json that belongs to it, or save it anew from "
            "the class it was trained with."
        )


def _refuse_pointers(folder: Path, name: str) -> None:
    pointers = [path.name for path in sorted(folder.iterdir()) if _is_pointer(path)]
    if pointers:
        raise ModelUnusableError(
            f"{name} holds pointers in place of files ({_listed(pointers)}). Fetch the files "
            "themselves: git lfs pull, or hf download."
        )


def _is_pointer(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size > 1024:
        return False
    with path.open("rb") as stream:
        return stream.read(32).startswith(_POINTERS)


def _read_json(path: Path, name: str) -> dict[str, Any] | None:
    """Returns the content of a JSON file, None where there is no such file."""
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnusableError(
            f"The {path.name} of {name} cannot be read: it is no JSON. Fetch it again."
        ) from error
    if not isinstance(found, dict):
        raise ModelUnusableError(
            f"The {path.name} of {name} cannot be read: it is no JSON object. Fetch it again."
        )
    return found


def _refuse_own_code(config: Mapping[str, Any], name: str) -> None:
    if config.get("auto_map") and config.get("model_type") not in CONFIG_MAPPING:
        raise ModelUnusableError(own_code_sentence(name))


def own_code_sentence(name: str) -> str:
    """Returns why a model with code of its own is refused."""
    return (
        f"{name} brings its own program code, which is never run here. Use a model that "
        "transformers knows by itself; many have such a version, often named “-hf”."
    )


def _refuse_packed(config: Mapping[str, Any], name: str) -> None:
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    for part in parts:
        packed = part.get("quantization_config") or part.get("compression_config")
        if packed:
            method = packed.get("quant_method", "unknown") if isinstance(packed, dict) else packed
            raise ModelUnusableError(_packed_sentence(name, f"quantized ({method})"))


def _packed_sentence(name: str, how: str) -> str:
    return (
        f"{name} is {how}, and such weights cannot be trained here. Use the model that it was made "
        "from, in bfloat16 or float32; to save memory on a CUDA GPU choose the number format 4bit."
    )


def _refuse_gaps_in_index(folder: Path, name: str, headers: Mapping[str, Header]) -> None:
    if len(headers) == 1 and "model.safetensors" in headers:
        return
    weight_map = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))["weight_map"]
    absent = {tensor for tensor, file in weight_map.items() if tensor not in headers[file]}
    if absent:
        raise ModelUnusableError(
            f"{name} is not whole: {INDEX_FILE} names {_names(absent)}, which its files do not "
            "hold. Download it again."
        )


def _refuse_untrainable(name: str, headers: Iterable[Header]) -> None:
    for header in headers:
        for tensor, entry in header.items():
            if entry.get("dtype") not in _TRAINED_AS and not _NO_WEIGHT.search(tensor):
                how = f"quantized ({tensor} is stored as {entry.get('dtype')})"
                raise ModelUnusableError(_packed_sentence(name, how))


def _no_weights_sentence(folder: Path, name: str) -> str:
    if shards := sorted(path.name for path in folder.iterdir() if _SHARD.search(path.name)):
        return (
            f"{name} holds {_listed(shards)} but no {INDEX_FILE}, which says what is in them. "
            "Download it again."
        )
    others = sorted(path.name for kind in _OTHER_WEIGHTS for path in folder.glob(f"*{kind}"))
    others += sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        return (
            f"{name} holds no weights that can be used: there is {_listed(others)}, and it takes "
            "model.safetensors (or its shards). Load the model with transformers and save it with "
            "save_pretrained, which writes them."
        )
    return (
        f"The weights of {name} cannot be loaded: there are none. The folder needs "
        "model.safetensors (or its shards)."
    )


def _names(keys: Iterable[str]) -> str:
    """Names of tensors for a sentence; those that differ in numbers alone stand together."""
    kinds: dict[str, list[list[int]]] = {}
    found = sorted(keys)
    for key in found:
        kinds.setdefault(_NUMBER.sub("*", key), []).append([int(n) for n in _NUMBER.findall(key)])
    shown = []
    for kind, rows in kinds.items():
        spans = iter([_span(numbers) for numbers in zip(*rows, strict=True)])
        shown.append(re.sub(r"(?<=\.)\*(?=\.|$)", lambda _: next(spans, "*"), kind))  # noqa: B023 - used at once
    noun = "the tensor" if len(found) == 1 else f"{len(found):,} tensors"
    return f"{noun} ({_listed(shown)})"


def _span(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least}–{most}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
