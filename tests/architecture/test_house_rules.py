"""Rules of this project that no linter knows. Each failure names the file and the line."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from app.embedded import EmbeddedServices
from app.kit.jobs import SWEEP_TASK_NAME, TASK_NAME
from app.kit.settings import Settings
from app.lifecycle import SHARDED, Job
from tests.architecture.lock import REPOSITORY

SOURCES = [path for name in ("app", "worker") for path in sorted((REPOSITORY / name).rglob("*.py"))]
README = REPOSITORY / "README.md"
README_ROW = re.compile(r"^\|\s*`(?P<name>[A-Z_]+)`\s*\|(?P<rest>.*)\|\s*$")


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def find(
    is_wanted: Callable[[ast.AST], bool], *, besides: tuple[str, ...] = ()
) -> Iterator[tuple[Path, int]]:
    """Places in our code that match, other than in the files named."""
    for path in SOURCES:
        if path.relative_to(REPOSITORY).as_posix() in besides:
            continue
        for node in ast.walk(parse(path)):
            if is_wanted(node):
                yield path, node.lineno  # type: ignore[attr-defined]


def places(found: Iterator[tuple[Path, int]]) -> list[str]:
    return [f"{path.relative_to(REPOSITORY)}:{line}" for path, line in found]


def line_of(path: Path, number: int) -> str:
    return path.read_text(encoding="utf-8").splitlines()[number - 1]


def called_method(node: ast.AST) -> str | None:
    is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    return node.func.attr if is_method else None  # type: ignore[attr-defined]


MOST_FILES = 16
"""So many files of Python code may a folder have; a newcomer reads no longer list."""
ONE_PER_CHANGE = {REPOSITORY / "migrations" / "versions"}


def test_no_folder_is_a_long_list_of_files() -> None:
    code = ("app", "worker", "migrations", "benchmarks", "tests")
    folders = {path.parent for name in code for path in (REPOSITORY / name).rglob("*.py")}
    counted = {folder: len(list(folder.glob("*.py"))) for folder in folders - ONE_PER_CHANGE}
    too_long = {str(folder): n for folder, n in counted.items() if n > MOST_FILES}
    assert too_long == {}


AREAS = {
    *("accounts", "projects", "dataset", "judging", "rounds", "admission"),
    *("runs", "evaluation", "releases", "quality", "operation"),
}


@pytest.mark.parametrize("layer", ["queries", "services", "web/pages", "routes"])
def test_every_layer_has_the_same_areas(layer: str) -> None:
    for folder in (REPOSITORY / "app", REPOSITORY / "tests" / "app"):
        here = folder / layer
        found = {path.name for path in here.iterdir() if path.is_dir()} if here.is_dir() else set()
        assert found - {"__pycache__"} <= AREAS


PAPERS = [README, REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
NAMED_FILE = re.compile(r"`((?:app|worker|tests|benchmarks|migrations|static|templates)/[\w./-]+)`")


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_files_that_a_document_names_are_there(paper: Path) -> None:
    named = NAMED_FILE.findall(paper.read_text(encoding="utf-8"))
    ours = [name for name in named if not name.startswith("benchmarks/results")]
    assert [name for name in ours if not (REPOSITORY / name).exists()] == []


def test_every_decision_has_a_number_of_its_own_and_a_line_in_the_index() -> None:
    text = (REPOSITORY / "DECISIONS.md").read_text(encoding="utf-8")
    listed = re.findall(r"^- (\d+): (.+)$", text, re.MULTILINE)
    made = re.findall(r"^\*\*(\d+)\. (.+?)\.?\*\*", text, re.MULTILINE | re.DOTALL)
    numbers = [int(number) for number, _ in made]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert [number for number, _ in listed] == [number for number, _ in made]


def test_only_db_commits() -> None:
    found = find(
        lambda node: called_method(node) in {"commit", "rollback"}, besides=("app/kit/db.py",)
    )
    assert places(found) == []


def test_only_db_makes_sessions() -> None:
    def makes_session(node: ast.AST) -> bool:
        if isinstance(node, ast.alias):
            return node.name == "sessionmaker"
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "Session"
        )

    assert places(find(makes_session, besides=("app/kit/db.py",))) == []


def test_only_db_reads_the_transaction_hooks_of_sessions() -> None:
    def listens(node: ast.AST) -> bool:
        return isinstance(node, ast.Attribute) and node.attr == "listens_for"

    assert places(find(listens, besides=("app/kit/db.py",))) == []


def test_every_flush_of_a_session_says_why() -> None:
    def flushes(node: ast.AST) -> bool:
        if called_method(node) != "flush":
            return False
        receiver: ast.expr = node.func.value  # type: ignore[attr-defined]
        return "session" in ast.unparse(receiver)

    found = list(find(flushes))
    assert found, "the rule looks at something else than the code does"
    silent = [(path, line) for path, line in found if "#" not in line_of(path, line)]
    assert places(iter(silent)) == []


# --- SQL ------------------------------------------------------------------------------------

SQL_STANDS_IN = ("app/queries/", "app/models/", "app/kit/db.py")


def stands_in(path: Path, places: tuple[str, ...]) -> bool:
    return path.relative_to(REPOSITORY).as_posix().startswith(places)


def test_only_queries_and_models_build_statements() -> None:
    """Everybody else takes sessions and errors from SQLAlchemy, and nothing a statement needs."""
    allowed = {"Session"}

    def imports_sql(node: ast.AST) -> bool:
        if isinstance(node, ast.Import):
            return any(alias.name.partition(".")[0] == "sqlalchemy" for alias in node.names)
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("sqlalchemy"):
            return False
        names = {alias.name for alias in node.names}
        return node.module != "sqlalchemy.exc" and not (
            node.module == "sqlalchemy.orm" and names <= allowed
        )

    elsewhere = [
        (path, line) for path, line in find(imports_sql) if not stands_in(path, SQL_STANDS_IN)
    ]
    assert places(iter(elsewhere)) == []


def test_only_queries_send_statements() -> None:
    """A statement that was built in the queries is not finished and sent by somebody else."""
    sending = {"execute", "scalar", "scalars", "query", "stream", "stream_scalars", "connection"}

    def sends(node: ast.AST) -> bool:
        if called_method(node) not in sending:
            return False
        return "session" in ast.unparse(node.func.value)  # type: ignore[attr-defined]

    elsewhere = [(path, line) for path, line in find(sends) if not stands_in(path, SQL_STANDS_IN)]
    assert places(iter(elsewhere)) == []


# --- One place for each thing ---------------------------------------------------------------


def test_nobody_compares_who_judges_as_a_text() -> None:
    """`Judges` says whether they are people."""

    def compares(node: ast.AST) -> bool:
        if not isinstance(node, ast.Compare):
            return False
        sides = [node.left, *node.comparators]
        return any(isinstance(side, ast.Constant) and side.value == "people" for side in sides)

    assert places(find(compares)) == []


STORED_JSON = {"result", "figures", "progress"}
"""Attributes of runs and rounds that are JSON; `app/run_results/` reads them."""


def is_read_by_key(node: ast.AST, is_json: Callable[[ast.expr], bool]) -> bool:
    """Whether a node is `json["key"]`, `json.get("key")` or `"key" in json`."""
    match node:
        case ast.Subscript(value=json, slice=ast.Constant(value=str())):
            return is_json(json)
        case ast.Call(func=ast.Attribute(value=json, attr="get" | "pop" | "setdefault")):
            return is_json(json)
        case ast.Compare(left=ast.Constant(value=str()), comparators=[json]):
            return is_json(json)
    return False


def keys_read_in(function: ast.AST) -> Iterator[int]:
    """The lines of a function, or of a file, that read stored JSON by key, also by another name."""

    def is_stored(value: ast.expr | None) -> bool:
        return isinstance(value, ast.Attribute) and value.attr in STORED_JSON

    names = {
        target.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign | ast.AnnAssign) and is_stored(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }

    def is_json(value: ast.expr) -> bool:
        return is_stored(value) or (isinstance(value, ast.Name) and value.id in names)

    for node in ast.walk(function):
        if is_read_by_key(node, is_json):
            yield node.lineno  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code",
    [
        'run.result["n_rows"]',
        'int(entry.run.progress.get("step", 0))',
        '"n_rows" in run.result',
        'figures: Json = round_.figures\nfigures["n_items"]',
        'progress = run.progress\nprogress.get("step")',
    ],
)
def test_reading_stored_json_by_key_is_found(code: str) -> None:
    assert list(keys_read_in(ast.parse(code)))


def test_only_the_models_know_the_keys_of_results_progress_and_figures() -> None:
    found = [
        (path, line)
        for path in SOURCES
        for function in ast.walk(parse(path))
        if isinstance(function, ast.FunctionDef)
        for line in keys_read_in(function)
    ]
    assert places(iter(found)) == []


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "templates").rglob("*.html")), ids=lambda path: path.name
)
def test_no_template_reads_stored_json_by_key(path: Path) -> None:
    by_key = re.compile(r"\b(?:result|results|progress|report)(?:\[|\.get\()")
    assert by_key.findall(path.read_text(encoding="utf-8")) == []


def test_only_settings_read_the_environment() -> None:
    def reads(node: ast.AST) -> bool:
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            return any(alias.name in {"environ", "getenv"} for alias in node.names)
        return (
            isinstance(node, ast.Attribute)
            and node.attr in {"environ", "getenv", "environb", "putenv"}
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
        )

    assert places(find(reads, besides=("app/kit/settings.py",))) == []


def test_only_one_file_renders_pages() -> None:
    found = find(
        lambda node: called_method(node) == "TemplateResponse", besides=("app/web/http/htmx.py",)
    )
    assert places(found) == []


def test_services_and_below_know_no_request() -> None:
    lower = ("services", "queries", "models", "critics", "metrics", "scenes")
    web = re.compile(r"fastapi|starlette|jinja2|app\.(web|routes|cli)")
    found = [
        (path, node.lineno)
        for path in SOURCES
        if path.relative_to(REPOSITORY).parts[:2] in {("app", name) for name in lower}
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.ImportFrom) and web.match(node.module or ""))
        or (isinstance(node, ast.Import) and any(web.match(a.name) for a in node.names))
    ]
    assert places(iter(found)) == []


# --- Settings -------------------------------------------------------------------------------


def readme_rows() -> dict[str, str]:
    """The settings table: variable and what the rest of its row says."""
    text = README.read_text(encoding="utf-8")
    _, header, table = text.partition("| Variable ")
    assert header, "README.md has no table that begins with `| Variable `"
    rows: dict[str, str] = {}
    for line in table.splitlines()[1:]:
        if not line.startswith("|"):
            break
        if found := README_ROW.match(line):
            rows[found["name"]] = found["rest"]
    return rows


def test_readme_lists_every_setting_and_no_other() -> None:
    assert sorted(readme_rows()) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_readme_tells_the_default(name: str) -> None:
    field = Settings.model_fields[name]
    row = readme_rows()[name.upper()]
    if field.default is not None:
        value = field.default
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        assert shown in row
    assert len(row.strip(" |")) > len(str(field.default)), "and what it is for"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described_and_in_the_example(name: str) -> None:
    assert Settings.model_fields[name].description
    example = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert re.search(rf"^(# )?{name.upper()}=", example, re.MULTILINE)


# --- Jobs -----------------------------------------------------------------------------------


def test_every_message_has_a_task_and_none_needs_torch(services: EmbeddedServices) -> None:
    script = (
        "import json, sys; from worker.celery import celery; "
        "print(json.dumps([sorted(celery.tasks), 'torch' in sys.modules]))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    tasks, has_torch = json.loads(ended.stdout)
    assert {TASK_NAME, SWEEP_TASK_NAME} == {name for name in tasks if name.startswith("illume.")}
    assert not has_torch


@pytest.mark.parametrize("job", Job)
def test_every_job_has_work_behind_it(job: Job) -> None:
    """A job is either worked shard by shard or has a case of its own."""
    cases = {
        ast.unparse(node.pattern)
        for node in ast.walk(parse(REPOSITORY / "worker" / "host" / "execute.py"))
        if isinstance(node, ast.match_case)
    }
    assert (job in SHARDED) != (f"Job.{job.name}" in cases)
