"""The head of a dataset card: what programs read of it, and which files hold which split."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import chain

from app.models import Json

TASKS = ("visual-question-answering",)
TAGS = ("rationales", "explanations", "human-feedback")
_LICENCE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))

Configuration = tuple[str, Mapping[str, str]]
"""The name of a configuration, and its files by split."""


def front_matter(
    release: Json,
    configurations: Sequence[Configuration],
    *,
    tags: Sequence[str] = TAGS,
    n_rows: int | None = None,
) -> str:
    """Returns the head in YAML, written as JSON values: every JSON value is one of YAML."""
    lines = ["---", *licence_lines(release["licence"])]
    n = release["n_rows"] if n_rows is None else n_rows
    size = next((name for limit, name in _SIZES if n < limit), "n>1M")
    lines += [
        f"pretty_name: {json.dumps(release['project'])}",
        f"task_categories: {json.dumps(list(TASKS))}",
        f"tags: {json.dumps(list(tags))}",
        f"size_categories: [{json.dumps(size)}]",
        "configs:",
    ]
    configs = [_configuration(name, files) for name, files in configurations]
    return "\n".join([*lines, *chain.from_iterable(configs), "---", "", ""])


def licence_lines(licence: str) -> list[str]:
    """Returns the lines of a card's head about a licence, whatever people wrote."""
    licence = licence.strip()
    if _LICENCE_NAME.fullmatch(licence):
        return [f"license: {json.dumps(licence)}"]
    if licence:
        return ['license: "other"', f"license_name: {json.dumps(licence.splitlines()[0][:100])}"]
    return ['license: "unknown"']


def _configuration(name: str, files: Mapping[str, str]) -> list[str]:
    lines = [f'- config_name: "{name}"', "  data_files:"]
    for split, path in files.items():
        lines += [f'  - split: "{split}"', f'    path: "{path}"']
    return lines
