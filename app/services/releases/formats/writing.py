"""JSON as releases hold it, the same text each time."""

import json
from pathlib import Path

from app.models import Json


def json_line(row: Json) -> str:
    """Returns a value as one line of JSON that every reader takes for one: some also break lines at
    Unicode's own separators.
    """
    text = json.dumps(row, ensure_ascii=False)
    for separator in ("\u2028", "\u2029", "\x85"):
        text = text.replace(separator, f"\\u{ord(separator):04x}")
    return text + "\n"


def write_json(path: Path, content: Json) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
