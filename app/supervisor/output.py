"""Prints the output of `illume up`: every line with the name of the process that wrote it."""

import subprocess
import sys
import threading
from typing import IO, TextIO

from rich.console import Console
from rich.text import Text

from app.kit.streams import unblocked

NAME_WIDTH = 12
OWN_NAME = "illume"
STYLES = {
    OWN_NAME: "bold",
    "postgres": "blue",
    "redis": "red",
    "migrate": "magenta",
    "web": "green",
    "worker": "cyan",
    "model worker": "yellow",
    "beat": "bright_black",
}


class Output:
    """Writes whole lines from several threads; goes silent when nobody is listening any more.

    Who listens but does not read is not waited for: the children would stop with us.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._console = Console(
            file=stream or unblocked(sys.stdout), highlight=False, soft_wrap=True, emoji=False
        )
        self._lock = threading.Lock()

    def say(self, text: str, name: str = OWN_NAME) -> None:
        style = STYLES.get(name.partition("-")[0], "")
        for line in text.splitlines() or [""]:
            prefix = Text(f"{name:<{NAME_WIDTH}} | ", style=style)
            # Children that colour their lines are shown as they meant it.
            self._write(prefix + Text.from_ansi(line, no_wrap=True))

    def follow(self, name: str, process: subprocess.Popen[bytes]) -> threading.Thread:
        """Print what a child writes into its pipe, line by line, until it closes it."""
        if process.stdout is None:
            raise ValueError(f"{name} was started without a pipe for its output")
        stream = process.stdout
        thread = threading.Thread(
            target=self._pump, args=(name, stream), name=f"output of {name}", daemon=True
        )
        thread.start()
        return thread

    def _pump(self, name: str, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                self.say(line.decode(errors="replace").rstrip("\r\n"), name)

    def _write(self, text: Text) -> None:
        with self._lock:
            try:
                self._console.print(text)
            except OSError:
                # The terminal is gone (closed window, `| head`). The work goes on, unseen.
                self._console.quiet = True
