"""Whoever does not read our output does not stop us."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from app.kit.streams import unblocked
from app.supervisor.output import Output
from tests.support.processes import wait_for

ROOT = Path(__file__).parents[3]
CHATTER = """
import logging, sys
from app.kit.logs import configure_logging
configure_logging("readable")
for number in range(3000):
    logging.getLogger("chatter").info("line %s %s", number, "x" * 200)
open(sys.argv[1], "w").write("done")
"""


def test_a_process_goes_on_when_nobody_reads_its_log(tmp_path: Path) -> None:
    done = tmp_path / "done"
    process = subprocess.Popen(
        [sys.executable, "-c", CHATTER, str(done)], cwd=ROOT, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        wait_for(lambda: done.is_file() and done.read_text() == "done", seconds=60)
        read = process.stderr.read().decode()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert "line 0 x" in read
    assert 30_000 < len(read) < 3000 * 200  # what the pipe held


def test_what_was_left_out_is_counted_once_somebody_reads_again() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader, "rb") as pipe:
        output = unblocked(stream)
        for number in range(2000):
            output.write(f"{number} {'x' * 100}\n")
        first = os.read(reader, 1 << 20).decode()
        output.write("after\n")
        stream.close()
        os.set_blocking(reader, False)
        rest = pipe.read()
    lines = (first + (rest or b"").decode()).splitlines()
    n_lines = sum(line.endswith("x" * 100) for line in lines)
    assert [line.split()[0] for line in lines[:n_lines]] == [str(n) for n in range(n_lines)]
    assert lines[n_lines:] == [
        f"({2000 - n_lines} pieces of output were left out: nobody read)",
        "after",
    ]


def test_others_find_no_mark_on_their_end_of_the_pipe() -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader):
        unblocked(stream).write("x")
        assert os.get_blocking(writer)


def test_a_file_is_left_as_it_is(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        assert unblocked(stream) is stream


def test_children_are_read_while_nobody_reads_their_supervisor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader):
        monkeypatch.setattr(sys, "stdout", stream)
        output = Output()
        started = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-c", "for n in range(3000): print('x' * 200)"],
            stdout=subprocess.PIPE,
        )
        thread: threading.Thread = output.follow("chatter", child)
        thread.join(60)
        assert not thread.is_alive()
        assert child.wait(10) == 0
        assert time.monotonic() - started < 60
