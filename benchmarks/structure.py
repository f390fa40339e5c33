"""Measures the structure of our own code: files, functions, docstrings, files per folder.

    python -m benchmarks.structure              # a table, a line per part
    python -m benchmarks.structure --folders    # files of Python code per folder
    python -m benchmarks.structure --longest 10 # the longest functions and files

Counted with Python's `ast` over the files of the working tree: a function's length is from its
`def` to its last line, a comment is a line that begins with `#`. Writes nothing.
"""

import argparse
import ast
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.kit.processes.programs import run_program

REPOSITORY = Path(__file__).parents[1]
WHOLES = ("app", "worker", "tests", "benchmarks")
LONG = 35
"""Lines from which on a function counts as long."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
HEADER = (
    "| part | files | lines | file: median / 90 % / largest | function: median / 90 % / longest "
    "| with docstring | return type | comment lines | functions over 35 lines |"
)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


@dataclass(frozen=True)
class Source:
    """One file of Python code, parsed."""

    path: Path
    text: str
    tree: ast.Module

    @property
    def n_lines(self) -> int:
        return self.text.count("\n")

    @property
    def n_comments(self) -> int:
        return sum(line.lstrip().startswith("#") for line in self.text.splitlines())

    @property
    def name(self) -> str:
        return self.path.relative_to(REPOSITORY).as_posix()

    def functions(self) -> Iterator[Function]:
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node


def read_sources(folder: Path) -> list[Source]:
    """Returns every Python file below a folder that is a package of ours or holds tests."""
    paths = sorted(path for path in folder.rglob("*.py") if "__pycache__" not in path.parts)
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [Source(path, text, ast.parse(text)) for path, text in zip(paths, texts, strict=True)]


def length(function: Function) -> int:
    return (function.end_lineno or function.lineno) - function.lineno + 1


def at_90_percent(numbers: Sequence[int]) -> int:
    return sorted(numbers)[int(0.9 * (len(numbers) - 1))]


def describe(part: str, sources: Sequence[Source]) -> str:
    """Returns the line of the table for the files of one part."""
    files = [source.n_lines for source in sources]
    functions = [function for source in sources for function in source.functions()]
    lengths = [length(function) for function in functions] or [0]
    n = max(len(functions), 1)
    documented = sum(ast.get_docstring(function) is not None for function in functions)
    typed = sum(function.returns is not None for function in functions)
    comments = sum(source.n_comments for source in sources)
    long = sum(n_lines > LONG for n_lines in lengths)
    cells = (
        part,
        f"{len(files)}",
        f"{sum(files):,}",
        f"{statistics.median(files):.0f} / {at_90_percent(files)} / {max(files)}",
        f"{statistics.median(lengths):.0f} / {at_90_percent(lengths)} / {max(lengths)}",
        f"{documented / n:.0%}",
        f"{typed / n:.0%}",
        f"{comments / max(sum(files), 1):.1%}",
        f"{long / n:.1%}",
    )
    return "| " + " | ".join(cells) + " |"


def print_table() -> None:
    say(HEADER)
    say("|" + " --- |" * HEADER.count(" | ") + " --- |")
    for whole in WHOLES:
        say(describe(f"**{whole}**", read_sources(REPOSITORY / whole)))
    for whole in ("app", "worker"):
        for folder in sorted(path for path in (REPOSITORY / whole).iterdir() if path.is_dir()):
            if sources := read_sources(folder):
                say(describe(folder.relative_to(REPOSITORY).as_posix(), sources))


def print_folders() -> None:
    counted = Counter(
        source.path.parent.relative_to(REPOSITORY).as_posix()
        for whole in (*WHOLES, "migrations")
        for source in read_sources(REPOSITORY / whole)
    )
    for folder, n_files in sorted(counted.items()):
        say(f"{n_files:4}  {folder}")


def print_longest(n: int) -> None:
    sources = [source for name in ("app", "worker") for source in read_sources(REPOSITORY / name)]
    functions = [
        (length(function), f"{source.name}:{function.lineno} {function.name}")
        for source in sources
        for function in source.functions()
    ]
    files = [(source.n_lines, source.name) for source in sources]
    for title, found in (("Functions", functions), ("Files", files)):
        say(title)
        for n_lines, where in sorted(found, reverse=True)[:n]:
            say(f"{n_lines:5}  {where}")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.structure", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--folders", action="store_true", help="files of code per folder")
    parser.add_argument("--longest", type=int, metavar="N", help="the N longest functions, files")
    arguments = parser.parse_args()
    if arguments.folders:
        print_folders()
    elif arguments.longest:
        print_longest(arguments.longest)
    else:
        print_table()


if __name__ == "__main__":
    run_program(main)
