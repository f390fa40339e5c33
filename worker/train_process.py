"""One of several processes that train together: `python -m worker.train_process JOB`.

Started by worker/stages/train_together.py, which gives each its number in the environment
(torch.distributed's RANK, WORLD_SIZE, …). It knows nothing of databases. What it has to say goes to
standard output, one JSON line each behind a mark; everything else there is a log.
"""

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.kit.processes.programs import end_unless_installed

if __name__ == "__main__":
    end_unless_installed("Training together")

import torch
from accelerate import PartialState  # type: ignore[import-untyped]

from app.kit.settings import environment_for_children
from worker.ml.errors import ImageError, MlError, PromptError, Stopped
from worker.ml.model.loading import load_vlm
from worker.ml.training.train import train_lora
from worker.ml.types import (
    AdapterSettings,
    Example,
    LoraSettings,
    ModuleSettings,
    Part,
    TrainConfig,
    TrainProgress,
    TrainReport,
    Validation,
)

MARK = "\x1e"
"""Before each message; what JSON text sequences (RFC 7464) use."""
STOP_FILE = "stop"


@dataclass(frozen=True)
class TrainJob:
    """The arguments of train_lora, and what to load. device: "cpu", or "cuda" for one GPU each."""

    model: str
    revision: str | None
    device: str
    dtype: str
    threads: int
    rows: list[Example]
    validation: list[Example]
    config: TrainConfig
    adapter: AdapterSettings
    start_from: Path | None
    state_dir: Path
    out_dir: Path

    def to_json(self) -> str:
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> "TrainJob":
        values = json.loads(text)
        start_from = values["start_from"]
        return cls(
            **values
            | {
                "rows": [_example(row) for row in values["rows"]],
                "validation": [_example(row) for row in values["validation"]],
                "config": TrainConfig(**values["config"]),
                "adapter": _adapter(values["adapter"]),
                "start_from": Path(start_from) if start_from is not None else None,
                "state_dir": Path(values["state_dir"]),
                "out_dir": Path(values["out_dir"]),
            }
        )


def _adapter(values: dict[str, Any]) -> AdapterSettings:
    return AdapterSettings(
        lora=_lora(values["lora"]) if values["lora"] is not None else None,
        sets={name: _lora(lora) for name, lora in values["sets"].items()},
        modules={name: ModuleSettings(**one) for name, one in values["modules"].items()},
    )


def _lora(values: dict[str, Any]) -> LoraSettings:
    targets = values["targets"]
    return LoraSettings(
        **values
        | {
            "targets": targets if targets == "all-linear" else tuple(targets),
            "left_out": tuple(values["left_out"]),
        }
    )


def _example(values: dict[str, Any]) -> Example:
    image = Path(values["image"]) if values["image"] is not None else None
    parts = tuple(_part(**part) for part in values["parts"])
    boxes = tuple((left, top, right, bottom) for left, top, right, bottom in values["boxes"])
    return Example(**values | {"image": image, "parts": parts, "boxes": boxes})


def _part(tokens: list[int] | None, **others: Any) -> Part:
    return Part(**others, tokens=tuple(tokens) if tokens is not None else None)


def report_from(values: dict[str, Any]) -> TrainReport:
    """Returns the report that a process told about."""
    return TrainReport(
        **values
        | {
            "validations": tuple(Validation(**entry) for entry in values["validations"]),
            "curve": tuple(TrainProgress(**entry) for entry in values["curve"]),
        }
    )


def main(job_file: Path) -> int:
    """Train; 0 if it ended as it should (stopped counts), 1 after an error that was told."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    job = TrainJob.from_json(job_file.read_text(encoding="utf-8"))
    torch.set_num_threads(job.threads)
    stop_file = job_file.with_name(STOP_FILE)
    number = int(environment_for_children()["RANK"])
    leads = number == 0
    try:
        report, revision = _train(job, number, stop_file.exists)
    except Stopped:
        if leads:
            _say("stopped", {})
    except MlError as error:
        is_unusable = isinstance(error, ImageError | PromptError)
        _say("error", {"message": error.message, "is_unusable": is_unusable})
        return 1
    else:
        if leads:
            _say("report", {"report": asdict(report), "revision": revision})
    PartialState().destroy_process_group()
    return 0


def _train(job: TrainJob, number: int, should_stop: Callable[[], bool]) -> tuple[TrainReport, str]:
    """Trains; returns the report of train_lora, and the revision of the base."""
    device = f"cuda:{number}" if job.device == "cuda" else job.device
    if job.config.shard_base:
        device = "cpu"  # the whole may not fit a GPU; training moves each part to its own
    vlm = load_vlm(job.model, revision=job.revision, device=device, dtype=job.dtype)
    report = train_lora(
        vlm,
        job.rows,
        job.validation,
        job.config,
        job.adapter,
        start_from=job.start_from,
        state_dir=job.state_dir,
        out_dir=job.out_dir,
        on_progress=lambda progress: _say("progress", asdict(progress)),
        should_stop=should_stop,
    )
    return report, vlm.revision


def _say(kind: str, content: dict[str, Any]) -> None:
    """One line at once: the parent reads while we work."""
    sys.stdout.write(f"{MARK}{json.dumps({'kind': kind, **content})}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
