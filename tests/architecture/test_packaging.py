"""The lock is complete, the wheel carries all it needs, and the verbs are what they say."""

import ast
import re
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

from app.kit import resources
from tests.architecture.lock import (
    LOCK,
    REPOSITORY,
    declared_requirements,
    read_lock,
    read_pyproject,
)

MADE = ("worker", "embedded", "dev")  # the extras that the Makefile names
SHIPPED = ("app", "worker", "migrations", "templates", "static")


def optional_requirements() -> list[str]:
    """What pyproject offers beyond that which `make` installs."""
    extras = read_pyproject()["project"]["optional-dependencies"]
    return [text for name, texts in extras.items() for text in texts if name not in MADE]


def find_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def installed_closure() -> dict[str, str]:
    """Every distribution that pyproject leads to in this environment, with its version."""
    optional = {canonicalize_name(Requirement(text).name) for text in optional_requirements()}
    found: dict[str, str] = {}
    waiting = [
        (requirement, frozenset(requirement.extras)) for requirement in declared_requirements()
    ]
    seen = set()
    while waiting:
        requirement, extras = waiting.pop()
        name = canonicalize_name(requirement.name)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        if name in optional and find_version(name) is None:
            continue
        found[name] = version(name).partition("+")[0]
        for text in distribution(name).requires or []:
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": e}) for e in (*extras, "")):
                waiting.append((needed, frozenset(needed.extras)))
    return found


def test_lock_pins_every_requirement_to_a_version_it_allows() -> None:
    lock = read_lock()
    for requirement in declared_requirements():
        pin = lock.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is missing from constraints.txt: make lock"
        pinned = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(pinned), f"{requirement} excludes {pinned}"


def test_lock_covers_all_that_is_installed_at_the_same_versions() -> None:
    pinned = {name: str(pin.specifier).removeprefix("==") for name, pin in read_lock().items()}
    closure = installed_closure()
    assert len(closure) > 80
    assert {name: pinned.get(name) for name in closure} == closure


def test_lock_says_versions_and_nothing_else() -> None:
    lines = [line for line in LOCK.read_text().splitlines() if not line.startswith("#")]
    odd = [line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)]
    assert odd == []
    assert [line.partition("==")[0] for line in lines] == sorted(read_lock())
    assert "torch==2.13.0" in lines


def test_no_extra_smuggles_torch_into_the_web() -> None:
    project = read_pyproject()["project"]
    light = [*project["dependencies"], *project["optional-dependencies"]["embedded"]]
    names = {canonicalize_name(Requirement(text).name) for text in light}
    assert names.isdisjoint({"torch", "transformers", "peft", "accelerate"})


def test_every_module_of_the_app_loads_where_torch_is_not_installed() -> None:
    script = """
import importlib, pkgutil, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "peft", "accelerate", "worker"}:
            raise ModuleNotFoundError(f"{name} is not installed here")
sys.meta_path.insert(0, Absent())
import app
for module in pkgutil.walk_packages(app.__path__, "app."):
    if module.name.rpartition(".")[2] != "__main__":
        importlib.import_module(module.name)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_pyproject_lists_every_package() -> None:
    listed = read_pyproject()["tool"]["setuptools"]["packages"]
    mapped = ["app._migrations", "app._static", "app._templates"]
    present = find_packages(str(REPOSITORY), include=["app", "app.*", "worker", "worker.*"])
    assert listed == sorted([*present, *mapped])


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working tree, unpacked; built in a copy, so that the tree stays clean."""
    source = tmp_path_factory.mktemp("source")
    for name in SHIPPED:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (REPOSITORY / name).exists():
            shutil.copy(REPOSITORY / name, source / name)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--wheel-dir", str(source / "dist"), str(source)),
        ],
        check=True,
    )
    (built,) = (source / "dist").glob("illume-*.whl")
    unpacked = tmp_path_factory.mktemp("unpacked")
    with ZipFile(built) as archive:
        archive.extractall(unpacked)
    return unpacked


def files_below(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.mark.parametrize("name", ["templates", "static", "migrations"])
def test_wheel_carries_the_folders_of_the_repository(wheel: Path, name: str) -> None:
    assert files_below(wheel / "app" / f"_{name}") == files_below(REPOSITORY / name)


def test_wheel_carries_all_code_the_catalogues_and_the_demo_model(wheel: Path) -> None:
    for name in ("app", "worker"):
        code = {path for path in files_below(REPOSITORY / name) if path.endswith(".py")}
        assert code <= files_below(wheel / name)
    catalogues = "app/web/language/locale"
    assert files_below(wheel / catalogues) == files_below(REPOSITORY / catalogues) != set()
    checkpoint = REPOSITORY / "worker" / "demo" / "checkpoint"
    assert files_below(wheel / "worker" / "demo" / "checkpoint") == files_below(checkpoint)


def test_wheel_puts_nothing_but_app_and_worker_into_site_packages(wheel: Path) -> None:
    assert {p.name for p in wheel.iterdir() if p.suffix != ".dist-info"} == {"app", "worker"}


def test_installed_program_finds_its_folders(wheel: Path) -> None:
    script = "from app.kit import resources as r; print(r.TEMPLATES, r.STATIC, r.MIGRATIONS)"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=wheel, capture_output=True, text=True, check=True
    )
    assert ended.stdout.split() == [
        str(wheel / "app" / name) for name in ("_templates", "_static", "_migrations")
    ]


def test_repository_program_finds_its_folders() -> None:
    assert resources.TEMPLATES == REPOSITORY / "templates"
    assert resources.STATIC == REPOSITORY / "static"
    assert resources.MIGRATIONS == REPOSITORY / "migrations"


def test_make_alone_lists_every_verb() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    verbs = set(re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE)) - {"browser", "help"}
    told = subprocess.run(["make"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"^  make ([a-z-]+) +\S", told.stdout, re.MULTILINE))
    assert verbs == listed - {"help"}
    assert {"setup", "demo", "up", "test", "test-slow", "check", "lint", "clean"} <= verbs


def test_make_says_which_python_it_wants(tmp_path: Path) -> None:
    for name in ("python3", "python3.11", "python3.12"):
        shim = tmp_path / name
        shim.write_text(f"#!/bin/sh\necho '{name}: command not found' >&2\nexit 127\n")
        shim.chmod(0o755)
    for name in ("make", "sh"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    ended = subprocess.run(
        ["make", "setup", f"VENV={tmp_path}/venv"],
        cwd=REPOSITORY,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert "Python 3.11 or 3.12 with its venv module is needed" in ended.stderr
    assert "make setup PYTHON=/path/to/python" in ended.stderr


def test_make_passes_over_a_python_that_does_not_run(tmp_path: Path) -> None:
    for name in ("python3", "python3.11"):
        shim = tmp_path / name
        shim.write_text("#!/bin/sh\nexit 127\n")
        shim.chmod(0o755)
    (tmp_path / "python3.12").symlink_to(sys.executable)
    subprocess.run(
        ["make", f"{tmp_path}/venv/bin/python", f"VENV={tmp_path}/venv"],
        cwd=REPOSITORY,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        check=True,
    )
    made = subprocess.run([tmp_path / "venv" / "bin" / "python", "--version"], check=False)
    assert made.returncode == 0


def test_ci_runs_the_verbs_that_people_use() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text()
    makefile = (REPOSITORY / "Makefile").read_text()
    checks = re.findall(r"^check: ([a-z ]+) ##", makefile, re.MULTILINE)
    assert checks == ["lint types contracts rules"]
    # The rules lie below tests/, all of which the two verbs for tests run.
    assert "--dist worksteal tests/architecture" in makefile.partition("\nrules: ")[2]
    assert "for verb in test test-slow; do" in script
    assert "\nmake --jobs 2 --keep-going --output-sync lint types contracts ||" in script
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111


def imported_distributions(*folders: str) -> set[str]:
    """The distributions that the code below these folders imports, anywhere in a file."""
    by_module = packages_distributions()
    names = set()
    for folder in folders:
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name.partition(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module.partition(".")[0])
    ours = {"app", "worker", "migrations", "tests", "benchmarks"}
    foreign = names - ours - sys.stdlib_module_names
    return {canonicalize_name(by_module[name][0]) for name in foreign}


def declared(*extras: str) -> set[str]:
    project = read_pyproject()["project"]
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(text).name) for text in texts}


def test_code_imports_only_what_is_declared_for_it() -> None:
    # Starlette is FastAPI's own face, kombu is Celery's, pydantic-core is Pydantic's lower half;
    # they come with them at matching versions. pandas comes with datasets.
    through_others = {"starlette", "kombu", "pydantic-core", "pandas"}
    # Only functions that write or read Parquet import what that extra brings.
    of_app = imported_distributions("app", "migrations") - through_others
    assert of_app <= declared("parquet") | declared()
    assert imported_distributions("worker") - through_others <= declared("worker")
    allowed = declared("embedded", "parquet", "worker", "dev") | {
        "setuptools",
        "packaging",
        *through_others,
    }
    assert imported_distributions("tests") <= allowed
