"""Every command that our texts show: in blocks of code, within sentences, and in the help.

A text may show several commands at once (`illume round start|close PROJECT`, `illume up [--demo]`):
each of them is a promise of its own.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

import typer
from typer.main import get_command

from app.cli import app
from tests.support.command_line import REPOSITORY

TEXTS = (
    "README.md",
    "CONTRIBUTING.md",
    *sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").glob("*.md")),
    "worker/demo/README.md",
)
COMMENTS = (".env.example", "docker-compose.yml", "Makefile", "Dockerfile")
PROGRAMS = ("benchmarks", "tests.architecture.lock", "worker")
"""Packages and modules whose first lines show how they are started."""

# What a command begins with. Ours may stand alone; another program shows what to do with it.
OURS = r"illume|make|benchmarks/[a-z_]+\.sh"
OF_PYTHON = r"(?:\.venv/bin/)?(?:python(?! -m …)|pip|pipx|alembic|pytest)"
OTHERS = rf"{OF_PYTHON}|docker|vllm|transformers|openssl|cp|curl"
COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:(?:{OURS})(?![\w./-])|(?:{OTHERS}) \S).*")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = {"", "sh", "bash", "console"}
SETTINGS = {"ini", "caddyfile", "nginx"}
"""Lines of files that programs read: nobody runs them."""


@dataclass(frozen=True)
class Shown:
    """A command as it stands in a text, alternatives and options in brackets resolved."""

    command: str
    place: str


def collect() -> dict[str, list[str]]:
    """Every command that is shown anywhere, with the places that show it."""
    found: dict[str, list[str]] = {}
    for shown in (*_of_texts(), *_of_makefile(), *_of_comments(), *_of_programs(), *_of_help()):
        for command in expand(shown.command):
            found.setdefault(command, []).append(shown.place)
    return found


def _of_texts() -> Iterator[Shown]:
    for name in TEXTS:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for language, block in FENCE.findall(text):
            if language in SHELL:
                for line in _lines(block):
                    assert COMMAND.fullmatch(line), f"{name}: is `{line}` a command? See OTHERS."
                    yield Shown(line, name)
            elif language not in SETTINGS:
                yield Shown(f"{language}: {block.strip()}", name)
        prose = FENCE.sub("", text)
        indented = "\n".join(re.findall(r"^ {4}(?! ).*(?:\n {4} .*)*", prose, re.MULTILINE))
        for line in _lines(indented):
            if COMMAND.fullmatch(line):
                yield Shown(line, name)
        for code in re.findall(r"`([^`\n]+)`", prose):
            if COMMAND.fullmatch(code):
                yield Shown(code, name)


def _of_makefile() -> Iterator[Shown]:
    """Every verb that `make help` lists."""
    text = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for verb in re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE):
        yield Shown(f"make {verb}", "make help")


def _of_comments() -> Iterator[Shown]:
    for name in COMMENTS:
        for line in (REPOSITORY / name).read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                continue
            for start in re.finditer(rf"(?<![\w./-])(?=(?:{OURS}|{OTHERS}) [a-z.-])", line):
                before, rest = line[: start.start()], line[start.start() :]
                if before.endswith(("#   ", ": ", "`")):
                    command = re.split(r"`|, | \(|;| {3}", rest)[0]
                    yield Shown(re.sub(r"(?<=\w)\.$", "", command.strip()), name)


def _of_programs() -> Iterator[Shown]:
    for name in PROGRAMS:
        place = REPOSITORY / name.replace(".", "/")
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]:
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            shown = re.findall(r"`(python [^`]+ [^`]+)`", docstring.replace("\n", " "))
            indented = "\n".join(re.findall(r"^ {4}.*$", docstring, re.MULTILINE))
            for line in [*_lines(indented), *shown]:
                if COMMAND.fullmatch(line) and len(line.split()) > 2:
                    yield Shown(line, str(path.relative_to(REPOSITORY)))


def _of_help() -> Iterator[Shown]:
    for name, command in leaves():
        for line in (command.help or "").splitlines():
            if line.strip().startswith("Example: "):
                yield Shown(line.strip().removeprefix("Example: "), f"{name} --help")


def leaves() -> Iterator[tuple[str, typer.core.TyperCommand]]:
    """Every command of `illume` that does something, with its whole name."""
    waiting = [("illume", get_command(app))]
    while waiting:
        name, command = waiting.pop()
        if isinstance(command, typer.core.TyperGroup):
            waiting += [(f"{name} {part}", each) for part, each in command.commands.items()]
        else:
            assert isinstance(command, typer.core.TyperCommand)
            yield name, command


def _lines(block: str) -> Iterator[str]:
    """Lines of a block with those that go on joined, and without what is said about them."""
    joined = re.sub(r"\\+\n\s*", "", block)
    for line in joined.splitlines():
        if command := re.sub(r"(^|\s+)#.*", "", line).strip():
            yield command


# --- One text, several commands -------------------------------------------------------------


def expand(text: str) -> list[str]:
    """`a x|y [--z]` is three commands: `a x`, `a y`, and `a x --z`."""
    if ": " in text.partition(" ")[0] + " " or "\n" in text:
        return [text]
    plain = text.replace("\\|", "|")
    optional = re.findall(r" \[([^\]]+)\]", plain)
    bare = _alternatives(re.sub(r" \[[^\]]+\]", "", plain))
    return bare + [f"{bare[0]} {chosen}" for option in optional for chosen in _alternatives(option)]


def _alternatives(text: str) -> list[str]:
    found = re.search(r"[^\s|]+(?:\|[^\s|]+)+", text)
    if found is None:
        return [text]
    return [
        each
        for word in found[0].split("|")
        for each in _alternatives(text.replace(found[0], word, 1))
    ]
