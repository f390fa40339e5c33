"""`python -m worker.merge_model`: what `illume model merge` starts, since it needs torch."""

import argparse
import sys
from pathlib import Path

from app.programs import end_unless_installed, run_program

if __name__ == "__main__":
    end_unless_installed("Merging a model")

from worker.ml.errors import explain
from worker.ml.merge import merge_adapter
from worker.ml.quiet import hide_progress
from worker.models import resolve


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
