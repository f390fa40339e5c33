"""The saved state of a training run: everything that its next step depends on, in one file."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import Any

import torch

from worker.ml.model.adapters import content_digest, sync_folder, sync_tree
from worker.ml.types import AdapterSettings, Example, TrainConfig, TrainProgress, Validation

STATE_FILE = "state.pt"
_EPOCHS = "epochs"
_FORMAT = 2


@dataclass
class State:
    """step: optimizer steps done. adapter (all that it holds), optimizer, scaler: tensors as their
    owners name them; None before the first step was saved."""

    step: int = 0
    finished: bool = False
    adapter: dict[str, torch.Tensor] | None = None
    optimizer: dict[str, Any] | None = None
    scaler: dict[str, Any] | None = None
    validations: list[Validation] = field(default_factory=list)
    curve: list[TrainProgress] = field(default_factory=list)
    seconds: float = 0.0


def fingerprint(
    base_revision: str,
    examples: Sequence[Example],
    validation: Sequence[Example],
    *,
    config: TrainConfig,
    adapter: AdapterSettings,
    start_from: Path | None,
) -> str:
    """Returns a digest of what decides the outcome; only an equal training resumes a state."""
    settings = asdict(config)
    for without_effect in ("save_every_s", "save_every_steps", "feature_cache_mb", "shard_base"):
        settings.pop(without_effect)
    parts = [
        base_revision,
        [asdict(example) for example in examples],
        [asdict(example) for example in validation],
        settings,
        asdict(adapter),
        content_digest(start_from) if start_from is not None else None,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def save_state(folder: Path, state: State, mark: str) -> None:
    """Replaces the saved state in one step; a kill leaves the old one or the new one."""
    content = {
        "step": state.step,
        "finished": state.finished,
        "adapter": state.adapter,
        "optimizer": state.optimizer,
        "scaler": state.scaler,
        "validations": [astuple(v) for v in state.validations],
        "curve": [astuple(p) for p in state.curve],
        "seconds": state.seconds,
    }
    write_content(folder, content, mark, _FORMAT)


def write_content(folder: Path, content: dict[str, Any], mark: str, version: int) -> None:
    """Replaces the state file of a folder in one step. mark: of the training that may read it;
    version: of what `content` consists of."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{STATE_FILE}.{os.getpid()}"
    with temporary.open("wb") as stream:
        torch.save({"format": version, "fingerprint": mark, **content}, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / STATE_FILE)
    sync_folder(folder)


def read_content(folder: Path, mark: str, version: int) -> dict[str, Any] | None:
    """Returns what write_content wrote, or None where there is nothing, it is damaged, or it is of
    another training or version."""
    try:
        content: dict[str, Any] = torch.load(
            folder / STATE_FILE, map_location="cpu", weights_only=True
        )
    except FileNotFoundError:
        return None
    except Exception:  # whatever a torn file makes torch say: begin anew
        return None
    if content.pop("format", None) != version or content.pop("fingerprint", None) != mark:
        return None
    return content


def load_state(folder: Path, mark: str) -> State | None:
    """Returns the saved state, or None where there is none, it is damaged, or it is of another
    training.
    """
    content = read_content(folder, mark, _FORMAT)
    if content is None:
        return None
    return State(
        step=content["step"],
        finished=content["finished"],
        adapter=content["adapter"],
        optimizer=content["optimizer"],
        scaler=content["scaler"],
        validations=[Validation(*values) for values in content["validations"]],
        curve=[TrainProgress(*values) for values in content["curve"]],
        seconds=content["seconds"],
    )


def forget_state(folder: Path) -> None:
    """Removes what save_state and the epochs left, and nothing else that may lie there."""
    (folder / STATE_FILE).unlink(missing_ok=True)
    shutil.rmtree(folder / _EPOCHS, ignore_errors=True)


def epoch_folder(folder: Path, epoch: int) -> Path:
    """Returns the folder of the adapter of an epoch (counted from 1)."""
    return folder / _EPOCHS / f"{epoch:04d}"


def replace_folder(place: Path, write: Callable[[Path], None]) -> None:
    """Makes `place` a folder that `write` fills, whole or not at all."""
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    write(temporary)
    sync_tree(temporary)
    shutil.rmtree(place, ignore_errors=True)
    temporary.rename(place)
    sync_folder(place.parent)
