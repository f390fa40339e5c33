"""`python -m worker.merge_model`: what `illume model merge` starts, since it needs torch."""

import argparse
import sys
from pathlib import Path

from transformers.utils.logging import disable_progress_bar

from worker.ml.errors import MlError
from worker.ml.merge import merge_adapter
from worker.models import resolve


def main() -> int:
    parser = argparse.ArgumentParser(prog="worker.merge_model", description=__doc__)
    parser.add_argument("base_model", help="Folder, hub name, or demo.")
    parser.add_argument("adapter", type=Path, help="The adapter's folder in the store.")
    parser.add_argument("out", type=Path, help="The folder to write.")
    parser.add_argument("--revision", help="Hub revision of the base model.")
    given = parser.parse_args()
    if not sys.stderr.isatty():
        disable_progress_bar()  # bars are for terminals
    try:
        merge_adapter(resolve(given.base_model), given.adapter, given.out, revision=given.revision)
    except MlError as error:
        sys.stderr.write(f"illume: {error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
