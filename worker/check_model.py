"""`python -m worker.check_model`: the process that `illume model check` starts, since it needs
torch. Prints what the loop would do with a model, and ends with 1 where it cannot use it."""

import argparse
import json
import logging
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from app.kit.processes.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("Checking a model")

from app.kit.settings import get_settings
from app.round_settings import TrainingSettings
from worker.host.models import resolve
from worker.ml.check import N_ITEMS, ModelReport, check_model
from worker.ml.errors import MlError, explain
from worker.ml.model.quiet import keep_quiet
from worker.ml.model.vision import hide_broken_torchvision
from worker.model_report import report_lines
from worker.scene_pairs import render_pairs
from worker.stages.training_settings import lora_settings


def main() -> int:
    """Try the model that the command line names; returns the exit status."""
    parser = argparse.ArgumentParser(prog="worker.check_model", description=__doc__)
    parser.add_argument("model", help="Folder, hub name, or demo.")
    parser.add_argument("--revision", help="Hub revision, or the digest of a folder's files.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    given = parser.parse_args()
    _keep_libraries_quiet()
    if trouble := hide_broken_torchvision():
        sys.stderr.write(f"illume: {trouble}\n")
    try:
        report = _check(given.model, given.revision)
    except MlError as error:
        if given.json:
            _print_json({"usable": False, "reason": error.message})
        sys.stderr.write(f"illume: {error.message}\n")
        return 1
    if given.json:
        _print_json({"usable": report.reason is None, **asdict(report)})
    else:
        sys.stdout.write("".join(f"{line}\n" for line in report_lines(given.model, report)))
    if report.reason is not None:
        sys.stderr.write(f"illume: {report.reason}\n")
        return 1
    return 0


def _check(model: str, revision: str | None) -> ModelReport:
    with TemporaryDirectory(prefix="illume-check-") as folder:
        pairs = render_pairs(Path(folder), N_ITEMS)
        return check_model(
            resolve(model),
            images=[image for image, _ in pairs],
            questions=[question for _, question in pairs],
            revision=revision,
            device=get_settings().device,
            lora=lora_settings(TrainingSettings()),
        )


def _keep_libraries_quiet() -> None:
    """People read our report; what libraries say on the way would stand in the middle of it."""
    keep_quiet()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")


def _print_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, indent=2, default=str, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    run_program(main, explain=explain)
