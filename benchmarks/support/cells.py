"""Benchmarks as cells: each is measured in a process of its own and kept as a line of JSON.

A cell is keyed by its configuration, so that a benchmark that was stopped goes on where it was, and
a table shows what is there.
"""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console

from app.kit.errors import AppError
from app.kit.processes.children import describe_exit
from app.kit.processes.programs import INTERRUPTED, run_program
from app.kit.settings import let_waiting_threads_sleep

DTYPES = ("float32", "bfloat16")

Config = dict[str, Any]
Result = dict[str, Any]

MODELS_FOLDER_HELP = "keep the models with random weights here, instead of one per cell"


class Cells:
    """The measured cells of one benchmark module, in one file. options: further words of a cell's
    command line, which do not change what is measured."""

    def __init__(self, module: str, path: Path, options: Sequence[str] = ()) -> None:
        self.module, self.path, self.options = module, path, options
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writing = threading.Lock()
        self._found: dict[str, Result] = {
            _key(entry["config"]): entry["result"] for entry in read_entries(path)
        }

    def measure(self, config: Config) -> Result:
        """The result of a cell; runs `python -m MODULE --cell CONFIG` if it is not there yet."""
        key = _key(config)
        if key not in self._found:
            print(f"measuring {key}", file=sys.stderr)  # noqa: T201 - a command line program
            command = [sys.executable, "-m", self.module, *self.options, "--cell", key]
            let_waiting_threads_sleep()  # as in the workers, for whatever is measured
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            check_ended(done, self.path)
            result = json.loads(done.stdout.splitlines()[-1])
            with self._writing, self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"config": config, "result": result}) + "\n")
            self._found[key] = result
        return self._found[key]

    def measure_all(self, configs: Sequence[Config], at_once: int = 1) -> list[Result]:
        """The results of cells, in their order, of which as many are measured at a time. After one
        that fails no further one begins; those that are being measured end and are kept."""
        with ThreadPoolExecutor(at_once) as pool:
            running = [pool.submit(self.measure, config) for config in configs]
            try:
                return [cell.result() for cell in running]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def find(self, config: Config) -> Result | None:
        return self._found.get(_key(config))


def folder_option(models_folder: Path | None) -> tuple[str, ...]:
    """The option --models-folder as a cell's own command line has it."""
    return () if models_folder is None else ("--models-folder", str(models_folder))


def run_benchmark(main: Callable[[], None], name: str) -> NoReturn:
    """Runs a benchmark, or one of its cells: what it cannot do is one line, never a traceback."""
    run_program(main, name=name, explain=_explain)


def check_ended(ended: subprocess.CompletedProcess[Any], kept: Path) -> None:
    """Raises AppError where a part of a benchmark has failed; it has said why before."""
    if ended.returncode in {INTERRUPTED, -signal.SIGINT}:
        raise KeyboardInterrupt
    if ended.returncode != 0:
        raise AppError(
            f"This part {describe_exit(ended.returncode)}; the lines above say why. What was "
            f"measured before is kept in {kept}: mend the cause and start again to go on."
        )


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Returns what a file of results holds, one object per line; nothing where there is no file."""
    if not path.exists():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except ValueError as error:
        raise AppError(
            f"{path} holds a line that is no JSON ({error}). Remove the line, or name another "
            "file with --out."
        ) from error


def _explain(error: Exception) -> str | None:
    # Asked for only now: it would count among what is measured.
    with suppress(ImportError):  # a GPU machine brings only what is measured there
        from worker.ml.errors import explain as explain_model

        if sentence := explain_model(error):
            return sentence
        from app.cli.operation.explain import explain as explain_services

        return explain_services(error)
    return None


def _key(config: Config) -> str:
    return json.dumps(config, sort_keys=True)


def print_result(result: Result) -> None:
    """Prints the result of a cell as its process's last line."""
    sys.stdout.write(json.dumps(result) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Column, Table

    lines = list(rows)
    # Rows are told apart by their names: no word of those is cut.
    words = [word for line in lines for word in line[0].split()]
    first = Column(columns[0], min_width=max(map(len, words), default=0))
    table = Table(first, *columns[1:], title=title)
    for line in lines:
        table.add_row(*line)
    Console(width=160).print(table)
