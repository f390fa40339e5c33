"""Scripts that are several files to read and one file to load.

The parts are modules of ours that import each other by name; joined in the order given here they
share one scope, so the import lines are left out. A name that two parts define is a syntax error
in the browser, and a test looks for it before.
"""

import re
from functools import lru_cache

from app.kit.resources import STATIC

BUNDLES = {
    "judge.bundle.js": (
        "judge/dom.js",
        "judge/memory.js",
        "judge/send.js",
        "judge/outbox.js",
        "judge/signing-in.js",
        "judge/facts.js",
        "judge/content.js",
        "judge/waiting.js",
        "judge/saving.js",
        "judge/clock.js",
        "judge/presence.js",
        "judge/item.js",
        "judge/errand.js",
        "judge/guide.js",
        "judge/page.js",
        "judge/layouts.js",
        "judge/zoom.js",
        "judge/keys.js",
        "judge/selecting.js",
        "judge/judge.js",
    ),
    "practice.bundle.js": (
        "judge/dom.js",
        "judge/memory.js",
        "judge/send.js",
        "judge/signing-in.js",
        "judge/facts.js",
        "judge/content.js",
        "judge/waiting.js",
        "judge/guide.js",
        "judge/layouts.js",
        "judge/zoom.js",
        "judge/keys.js",
        "judge/selecting.js",
        "judge/practice.js",
    ),
}
"""Name under /static, and its parts: what is imported stands before what imports it."""

_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[^\"]+\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async |class |const |function )", re.MULTILINE)


def changed_at(name: str) -> int:
    """When the file, or the newest part of the bundle, was written; in nanoseconds."""
    return max((STATIC / part).stat().st_mtime_ns for part in BUNDLES.get(name, (name,)))


def read_static(name: str) -> bytes:
    return _join(name, changed_at(name)) if name in BUNDLES else (STATIC / name).read_bytes()


@lru_cache(maxsize=8)
def _join(name: str, written_at: int) -> bytes:  # noqa: ARG001 - part of the cache key
    parts = [(STATIC / part).read_text(encoding="utf-8") for part in BUNDLES[name]]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts).encode()
