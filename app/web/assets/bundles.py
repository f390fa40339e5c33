"""Scripts and styles that are several files to read and one file to load.

The parts of a script are modules of ours that import each other by name; joined in the order given
here they share one scope, so the import lines are left out. A name that two parts define is a
syntax error in the browser, and a test looks for it before. The parts of a style say which layer
they are in; within a layer the order given here decides.
"""

import re
from functools import lru_cache

from app.kit.resources import STATIC

BUNDLES = {
    "app.css": (
        "css/layers.css",
        "css/tokens.css",
        "css/elements.css",
        "css/layout/page.css",
        "css/layout/rows.css",
        "css/components/topbar.css",
        "css/components/card.css",
        "css/components/table.css",
        "css/components/button.css",
        "css/components/input.css",
        "css/components/form.css",
        "css/components/badge.css",
        "css/components/progress.css",
        "css/components/tiles.css",
        "css/components/notice.css",
        "css/components/tabs.css",
        "css/components/empty.css",
        "css/components/lists.css",
        "css/components/prose.css",
        "css/components/text.css",
        "css/components/figure.css",
        "css/components/changed.css",
        "css/components/chart.css",
        "css/components/map.css",
        "css/components/menu.css",
        "css/components/fold.css",
        "css/helpers.css",
    ),
    "judge.css": (
        "css/judging/page.css",
        "css/judging/view.css",
        "css/judging/asked.css",
        "css/judging/choice.css",
        "css/judging/mend.css",
        "css/judging/trace.css",
        "css/judging/came.css",
        "css/judging/sight.css",
        "css/judging/boxing.css",
        "css/judging/branch.css",
        "css/judging/bar.css",
        "css/judging/extras.css",
        "css/judging/guide.css",
        "css/judging/keys.css",
    ),
    "practice.css": ("css/practice/lesson.css",),
    "adjudicate.css": ("css/adjudicating/dispute.css",),
    "questions.css": ("css/judging/questions.css",),
    "judge.bundle.js": (
        "judge/dom.js",
        "judge/memory.js",
        "judge/send.js",
        "judge/outbox.js",
        "judge/signing-in.js",
        "judge/facts.js",
        "judge/boxes.js",
        "judge/putting-back.js",
        "judge/content.js",
        "judge/waiting.js",
        "judge/saving.js",
        "judge/clock.js",
        "judge/presence.js",
        "judge/looking.js",
        "judge/branches.js",
        "judge/layers.js",
        "judge/maps.js",
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
        "judge/boxes.js",
        "judge/putting-back.js",
        "judge/content.js",
        "judge/waiting.js",
        "judge/guide.js",
        "judge/layouts.js",
        "judge/zoom.js",
        "judge/keys.js",
        "judge/selecting.js",
        "judge/practice.js",
    ),
    "questions.bundle.js": (
        "judge/dom.js",
        "judge/memory.js",
        "judge/send.js",
        "judge/outbox.js",
        "judge/putting-back.js",
        "judge/signing-in.js",
        "judge/facts.js",
        "judge/waiting.js",
        "judge/saving.js",
        "judge/clock.js",
        "judge/presence.js",
        "judge/layouts.js",
        "judge/zoom.js",
        "judge/keys.js",
        "judge/selecting.js",
        "judge/questions.js",
    ),
    "adjudicate.bundle.js": (
        "judge/dom.js",
        "judge/memory.js",
        "judge/layouts.js",
        "judge/zoom.js",
        "judge/keys.js",
        "judge/selecting.js",
        "judge/adjudicate.js",
    ),
}
"""Name under /static, and its parts: what is imported stands before what imports it."""

_PATHS = {name: [STATIC / part for part in parts] for name, parts in BUNDLES.items()}

_IMPORT = re.compile(r"^import \{[^}]*\} from \"\./[^\"]+\";\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=async |class |const |function )", re.MULTILINE)


def changed_at(name: str) -> int:
    """Returns when the file, or the newest part of the bundle, was written, in nanoseconds."""
    return max(path.stat().st_mtime_ns for path in _PATHS.get(name) or [STATIC / name])


def read_static(name: str) -> bytes:
    return _join(name, changed_at(name)) if name in BUNDLES else (STATIC / name).read_bytes()


@lru_cache(maxsize=8)
def _join(name: str, written_at: int) -> bytes:  # noqa: ARG001 - part of the cache key
    parts = [path.read_text(encoding="utf-8") for path in _PATHS[name]]
    if name.endswith(".js"):
        parts = [_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts]
    return "\n".join(parts).encode()
