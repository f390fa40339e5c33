"""Starts and ends our programs: missing packages are named, and no failure is a traceback."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import NoReturn

from app.kit.errors import AppError, InvalidInput, SetupError
from app.kit.logs import in_writing

WORKER_PACKAGES = ("torch", "transformers", "peft", "accelerate", "safetensors")
"""What a model worker, and every program that loads a model, cannot do without."""

INTERRUPTED = 130  # 128 and the number of SIGINT, as shells have it

_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}


def missing_packages(names: Sequence[str]) -> list[str]:
    """Returns those that are not installed. Nothing is imported: torch alone would take seconds."""
    return [name for name in names if find_spec(name) is None]


def require_packages(names: Sequence[str], *, who: str, how: str) -> None:
    """Raises SetupError, in one sentence, where one of the packages is not installed. `how` is what
    to install.
    """
    missing = missing_packages(names)
    if missing:
        raise SetupError(f"{who} needs {', '.join(missing)}. Install: {how}")


def require_worker_packages(who: str) -> None:
    """Refuses, in one sentence, a program that loads models where the worker is not installed."""
    require_packages(WORKER_PACKAGES, who=who, how="pip install 'illume[worker]'")


def end_unless_installed(who: str) -> None:
    """Ends a program that loads models with one sentence where the worker's packages are missing;
    to be called at its head, before torch is imported.
    """
    if missing_packages(WORKER_PACKAGES):
        run_program(lambda: require_worker_packages(who))


def run_program(
    main: Callable[[], int | None],
    *,
    name: str = "illume",
    explain: Callable[[Exception], str | None] = lambda _: None,
) -> NoReturn:
    """Runs a program to its end and leaves with its status: 0, 1, 2, or 130 after Ctrl-C.

    An expected failure is one line on the standard error. `explain` turns errors of libraries into
    a sentence; what it does not know is a mistake of ours and keeps its traceback.
    """
    _let_every_text_be_printed()
    try:
        status = _finish(main)
    except AppError as error:
        status = _refuse(name, error.message)
        if isinstance(error, InvalidInput):
            sys.stderr.writelines(in_writing(f"  {line}\n") for line in error.errors)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except BrokenPipeError:  # `| head`: whoever read has enough
        _forget_output()
        status = 1
    except Exception as error:
        sentence = explain(error) or _explain_system_error(error)
        if sentence is None:
            raise
        status = _refuse(name, sentence)
    raise SystemExit(status)


def _finish(main: Callable[[], int | None]) -> int | str | None:
    """Returns the status that a program asks for, once all that it printed has left."""
    try:
        status: int | str | None = main()
    except SystemExit as ended:
        status = ended.code
    if sys.stdout is not None:
        sys.stdout.flush()
    return status


def _refuse(name: str, sentence: str) -> int:
    sys.stderr.write(in_writing(f"{name}: {sentence}\n"))
    return 1


def _let_every_text_be_printed() -> None:
    """A terminal that knows only ASCII, or a file name of no encoding, is no reason to end."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_output() -> None:
    """Sends what is still to be printed nowhere: Python would complain of it at its very end."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
        os.dup2(nowhere.fileno(), 1)


def _explain_system_error(error: Exception) -> str | None:
    """Returns what the operating system refused, and what to do; nothing for other errors."""
    if not isinstance(error, OSError) or error.errno is None:
        return None
    place, reason = error.filename, error.strerror
    if error.errno in _FULL:
        if place is None:
            _forget_output()
        return f"The disk is full ({place or reason}). Make room, then start again."
    if place is None:
        return None
    if error.errno in _REFUSED:
        return f"{place} cannot be used ({reason}). Correct its permissions, or name another place."
    return f"{place} cannot be used ({reason}). Correct the path."
