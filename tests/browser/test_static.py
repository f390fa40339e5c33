"""What can be checked of styles, scripts and templates without a browser."""

import hashlib
import re
from pathlib import Path

import pytest

from app.kit.resources import STATIC, TEMPLATES

LINEAR_LIMIT = 0.04045

# Text on what it stands on: at least 4.5 : 1 (WCAG 2.2, 1.4.3).
TEXT_PAIRS = [
    ("ink", "bg"),
    ("ink", "surface"),
    ("ink", "sunken"),
    ("ink-2", "bg"),
    ("ink-2", "surface"),
    ("ink-2", "sunken"),
    ("accent-ink", "bg"),
    ("accent-ink", "surface"),
    ("accent-ink", "accent-soft"),
    ("ink", "accent-soft"),
    ("on-accent", "accent"),
    ("on-accent", "accent-hover"),
    *((kind, f"{kind}-soft") for kind in ("ok", "warn", "bad", "info")),
    *((kind, "surface") for kind in ("ok", "warn", "bad", "info")),
    *(("ink", f"{kind}-soft") for kind in ("ok", "warn", "bad", "info")),
]
# Borders of controls, and what shows focus or a choice: at least 3 : 1 (1.4.11).
SHAPE_PAIRS = [
    ("line-strong", "surface"),
    ("line-strong", "bg"),
    ("accent", "surface"),
    ("accent", "bg"),
    ("accent", "sunken"),
    ("warn", "surface"),
]


def luminance(color: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    channels = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= LINEAR_LIMIT else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def read_tokens() -> dict[str, tuple[str, str]]:
    """Colours of the design: name to (light, dark)."""
    css = (STATIC / "css" / "tokens.css").read_text(encoding="utf-8")
    found = re.findall(r"--([a-z0-9-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", css)
    return {name: (light, dark) for name, light, dark in found}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [*((*pair, 4.5) for pair in TEXT_PAIRS), *((*pair, 3.0) for pair in SHAPE_PAIRS)],
)
def test_colours_can_be_told_apart(front: str, back: str, least: float, scheme: str) -> None:
    tokens = read_tokens()
    index = ("light", "dark").index(scheme)
    assert contrast(tokens[front][index], tokens[back][index]) >= least


def test_vendored_scripts_are_what_the_note_says() -> None:
    note = (STATIC / "vendor" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|", note)
    files = {path.name for path in (STATIC / "vendor").iterdir()} - {"README.md"}
    assert {name for name, _ in rows} == files
    for name, digest in rows:
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    "path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: path.relative_to(TEMPLATES)
)
def test_templates_keep_the_content_policy(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<script(?![^>]*\ssrc=)", text), "inline script"
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"", text), "inline style or handler"
    assert "|safe" not in text.replace(" ", ""), "unescaped text"


def test_every_class_of_the_templates_is_styled() -> None:
    """A class that no stylesheet knows is a typing error or a leftover."""
    css = "".join(path.read_text(encoding="utf-8") for path in STATIC.rglob("*.css"))
    known = set(re.findall(r"\.([a-z][a-z0-9_-]*)", css, re.I))
    used: dict[str, str] = {}
    for path in TEMPLATES.rglob("*.html"):
        text = re.sub(r"\{#.*?#\}", "", path.read_text(encoding="utf-8"), flags=re.S)
        for value in re.findall(r'class="([^"]*)"', text):
            plain = re.sub(r"\{[{%].*?[%}]\}", " ", value)
            # A name that is only begun beside an expression (`badge--{{ kind }}`) is not checked.
            for name in re.findall(r"(?<![\w-])[a-z][\w-]*[\w](?![\w-])", plain):
                used.setdefault(name, str(path.relative_to(TEMPLATES)))
    assert {name: where for name, where in used.items() if name not in known} == {}
