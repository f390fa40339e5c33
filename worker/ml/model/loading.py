"""The one way to load a vision-language model: AutoModelForImageTextToText and AutoProcessor, from
a local folder or from the hub at a pinned revision."""

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from transformers import AutoConfig, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from worker.ml.errors import (
    BaseChangedError,
    DeviceError,
    ModelNotFoundError,
    ModelUnusableError,
    first_line,
)
from worker.ml.model.contents import AdapterModules
from worker.ml.model.devices import choose_device
from worker.ml.model.files import check_files, check_weight_files, holds_weights, refuse_gaps
from worker.ml.model.four_bit import FOUR_BIT, four_bit_options
from worker.ml.model.memory import is_out_of_memory
from worker.ml.model.processing import load_processor

logger = logging.getLogger(__name__)

# Weights as safetensors only: a pickle from a stranger's repository would be run, not read.
HUB_FILES = ["*.safetensors", "*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
_NOT_OF_THE_MODEL = (".", "README", "LICENSE", "adapter_")
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


FileMark = tuple[tuple[str, int, int], ...] | None
"""Name, time and size of each file: tells files written anew from those that were read."""


@dataclass(frozen=True, eq=False)
class HeldAdapter:
    """An adapter in memory, and the mark of the files that it was read from."""

    mark: FileMark
    adapter: AdapterModules


@dataclass(eq=False)
class Vlm:
    """A loaded model. `revision`: the commit of a hub model, the content digest of a folder.
    `adapter`: the folder of the adapter that is on, None for the base alone; `held`: the adapters
    in memory, by their folders, the one used last at the end (attached.py). `memo`: what was found
    out about this model or prepared for it, kept for as long as it is loaded."""

    model: Any  # a PreTrainedModel that can generate; transformers has no type for that
    processor: Any  # a ProcessorMixin; its attributes differ per family
    tokenizer: Any
    device: torch.device
    name: str
    revision: str
    is_chat: bool
    adapter: Path | None = None
    held: "OrderedDict[Path, HeldAdapter]" = field(default_factory=OrderedDict)
    memo: dict[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> Any:
        """The model's configuration."""
        return self.model.config

    @property
    def dtype(self) -> torch.dtype:
        """The type of the floating point weights."""
        dtype: torch.dtype = self.model.dtype
        return dtype


@dataclass(frozen=True, eq=False)
class Reader:
    """The parts that prepare texts and images for a model, without the model."""

    processor: Any
    tokenizer: Any
    is_chat: bool
    config: Any
    memo: dict[str, Any] = field(default_factory=dict)


def load_reader(name_or_path: str, *, revision: str | None = None) -> Reader:
    """Loads the processor alone. Raises ModelNotFoundError and ModelUnusableError as load_vlm."""
    folder, _ = find_model(name_or_path, revision)
    check_files(folder, name_or_path)
    config = _read_config(folder, name_or_path)
    processor = load_processor(folder, config, name_or_path)
    return Reader(processor, processor.tokenizer, _is_chat(processor), config)


def _is_chat(processor: Any) -> bool:
    return bool(
        getattr(processor, "chat_template", None)
        or getattr(processor.tokenizer, "chat_template", None)
    )


def load_vlm(
    name_or_path: str, *, revision: str | None = None, device: str = "auto", dtype: str = "auto"
) -> Vlm:
    """Loads model and processor for inference (eval mode).

    name_or_path: a folder, or a hub name such as "HuggingFaceTB/SmolVLM-256M-Instruct". revision:
    branch, tag or commit of a hub name. device: "auto" (CUDA, else Apple's MPS, else CPU) or what
    torch.device takes. dtype: "float32", "bfloat16", "float16", "4bit" (four_bit.py) or "auto",
    which is float32 on a CPU and what the checkpoint was saved in elsewhere.

    Raises ModelNotFoundError, ModelUnusableError, DeviceError; each says what to do.
    """
    target = choose_device(device)
    packed = four_bit_options(target) if dtype == FOUR_BIT else None
    options = packed or {"dtype": _choose_dtype(dtype, target)}
    folder, found_revision = find_model(name_or_path, revision)
    check_files(folder, name_or_path)
    config = _read_config(folder, name_or_path)
    check_weight_files(folder, name_or_path)
    processor = load_processor(folder, config, name_or_path)
    model = _load_weights(folder, config, name_or_path, options)
    if packed is None:  # packed weights are made where they stay
        _move(model, target, name_or_path)
    model.eval()
    model.requires_grad_(False)
    return Vlm(
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        device=target,
        name=name_or_path,
        revision=found_revision,
        is_chat=_is_chat(processor),
    )


def _load_weights(folder: Path, config: Any, name: str, options: dict[str, Any]) -> PreTrainedModel:
    """The model with every weight from its files. Raises ModelUnusableError where one is not."""
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            **options,
        )
    except Exception as error:  # a family may object in any way it likes
        if is_out_of_memory(error):
            raise _too_large(name) from error
        raise ModelUnusableError(
            f"The weights of {name} cannot be loaded: {first_line(error)} "
            "The folder needs config.json and model.safetensors (or its shards)."
        ) from error
    model: PreTrainedModel = loaded[0]
    refuse_gaps(name, loaded[1])
    return model


def _move(model: PreTrainedModel, device: torch.device, name: str) -> None:
    """Puts a model on the device. Raises DeviceError where that does not hold it."""
    try:
        model.to(device)  # type: ignore[arg-type]
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise _too_large(name) from error
        raise


def _too_large(name: str) -> DeviceError:
    return DeviceError(
        f"The memory does not hold {name}. Use a smaller model, another number type (bfloat16) or "
        "a machine with more memory."
    )


def find_model(name_or_path: str, revision: str | None) -> tuple[Path, str]:
    """Returns the local folder with the files and the revision that they are. Downloads a hub name
    once.
    """
    if not name_or_path.strip():
        raise ModelNotFoundError("Name a model: a folder, or a hub name (owner/name).")
    folder = Path(name_or_path).expanduser()
    if folder.is_file():
        raise ModelNotFoundError(
            f"{name_or_path} is a file. Give the folder that holds config.json and the weights "
            "as safetensors."
        )
    if folder.is_dir():
        found = folder_digest(folder)
        if revision is not None and revision != found:
            raise BaseChangedError(
                f"The folder {name_or_path} has the content {found}, not {revision}. "
                "It was changed; restore it, or leave the revision out.",
                found,
            )
        return folder, found
    if folder.is_absolute() or name_or_path.startswith((".", "~")) or name_or_path.count("/") > 1:
        raise ModelNotFoundError(
            f"There is no folder {name_or_path}. Give the folder that holds config.json, "
            "or the name of a hub model (owner/name)."
        )
    return _download(name_or_path, revision)


def _download(name: str, revision: str | None) -> tuple[Path, str]:
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=HUB_FILES))
    except RevisionNotFoundError as error:
        raise ModelNotFoundError(
            f"{name} has no revision “{revision}”. Give a branch, tag or commit that it lists."
        ) from error
    except GatedRepoError as error:
        raise ModelNotFoundError(
            f"{name} asks for its terms to be accepted. Accept them on its page, then set HF_TOKEN."
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelNotFoundError(
            f"There is no hub model {name}, or it is private. Check the spelling; for a private "
            "one set HF_TOKEN; for a local one give its folder."
        ) from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, OSError) as error:
        raise ModelNotFoundError(
            f"{name} is neither a folder here nor among the downloaded models"
            f"{f' at revision {revision}' if revision else ''}, and the hub cannot be reached. "
            "Connect once to download it, or give a folder."
        ) from error
    except HFValidationError as error:
        raise ModelNotFoundError(
            f"“{name}” is neither a folder nor a possible hub name (owner/name)."
        ) from error
    return folder, folder.name  # the cache names a snapshot's folder by its commit


def folder_digest(folder: Path) -> str:
    """Returns sha256 over the names and bytes of the files that make a model, in the order of their
    names, those of subfolders last (some models keep a second tokenizer in one); hidden files and
    folders do not count.
    """
    digest = hashlib.sha256()
    for name, path in _model_files(folder):
        with path.open("rb") as stream:
            digest.update(f"{name}\0{hashlib.file_digest(stream, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


def _model_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yields each file with its name below the folder: its own files, then those of its subfolders.
    Nothing is read from a subfolder with weights: that is another model, or a state of training."""
    yield from _files_in(folder, "", frozenset())


def _files_in(folder: Path, above: str, inside: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    inside |= {folder.resolve()}  # a link may lead back to a folder that it lies in
    found = sorted(folder.iterdir(), key=lambda path: path.name)
    counting = [path for path in found if not path.name.startswith(_NOT_OF_THE_MODEL)]
    yield from ((f"{above}{path.name}", path) for path in counting if path.is_file())
    for path in counting:
        if path.is_dir() and path.resolve() not in inside and not holds_weights(path):
            yield from _files_in(path, f"{above}{path.name}/", inside)


def _read_config(folder: Path, name: str) -> Any:
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a config class may object in any way it likes
        raise ModelUnusableError(
            f"The config.json of {name} cannot be read: {first_line(error)}"
        ) from error
    if config.model_type not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise ModelUnusableError(
            f"{name} is a {config.model_type} model, which does not take an image and a text. "
            "Use an image-text-to-text model (LLaVA, SmolVLM, Qwen-VL, PaliGemma, Gemma 3, …)."
        )
    if config.is_encoder_decoder:
        raise ModelUnusableError(
            f"{name} is an encoder-decoder model; rationales continue a begun sentence, which "
            "needs a decoder-only model (LLaVA, SmolVLM, Qwen-VL, PaliGemma, Gemma 3, …)."
        )
    return config


def _choose_dtype(dtype: str, device: torch.device) -> torch.dtype | str:
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in _DTYPES:
        names = ", ".join((*_DTYPES, FOUR_BIT))
        raise DeviceError(f"“{dtype}” is no number type. Use auto, {names}.")
    return _DTYPES[dtype]
