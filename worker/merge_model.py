"""`python -m worker.merge_model`: what `illume model merge` starts, since it needs torch."""

import argparse
import sys
from pathlib import Path

from app.kit.processes.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("Merging a model")

from worker.host.models import resolve
from worker.ml.errors import explain
from worker.ml.model.merge import merge_adapter
from worker.ml.model.quiet import hide_progress


def main() -> None:
    parser = argparse.ArgumentParser(prog="worker.merge_model", description=__doc__)
    parser.add_argument("base_model", help="Folder, hub name, or demo.")
    parser.add_argument("adapter", type=Path, help="The adapter's folder in the store.")
    parser.add_argument("out", type=Path, help="The folder to write.")
    parser.add_argument("--revision", help="Hub revision of the base model.")
    given = parser.parse_args()
    if not sys.stderr.isatty():
        hide_progress()  # bars are for terminals
    merge_adapter(resolve(given.base_model), given.adapter, given.out, revision=given.revision)


if __name__ == "__main__":
    run_program(main, explain=explain)
