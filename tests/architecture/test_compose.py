"""The server installation names only what exists: commands, settings, paths, volumes, images."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from fastapi.routing import iter_route_contexts

from app.cli import app as cli
from app.kit.settings import Settings
from app.main import create_app
from app.supervisor.address import READY_PATH
from tests.architecture.lock import REPOSITORY, read_pyproject

# Not settings of ours: libpq's password, and where transformers keeps what it downloads.
FOREIGN_VARIABLES = {"PGPASSWORD", "HF_HOME"}
APP_SERVICES = ["beat", "migrate", "web", "worker-gpu", "worker-light"]


def read_compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
    return loaded


COMPOSE = read_compose()
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
EXAMPLE = (REPOSITORY / ".env.example").read_text()


def check_command(arguments: list[str]) -> None:
    """Let the command line parse, but not run, what a container is to run."""
    group = typer.main.get_command(cli)
    with group.make_context("illume", list(arguments)):
        pass
    name, *options = arguments
    command = group.commands[name]  # type: ignore[attr-defined]
    with command.make_context(name, options):
        pass


def test_services_are_the_six_parts_and_the_migration() -> None:
    assert sorted(SERVICES) == sorted(["db", "redis", *APP_SERVICES])


@pytest.mark.parametrize("name", APP_SERVICES)
def test_every_command_is_one_that_the_command_line_knows(name: str) -> None:
    check_command(SERVICES[name]["command"])


def test_workers_serve_both_queues() -> None:
    assert SERVICES["worker-light"]["command"] == ["worker", "--queues", "cpu"]
    assert SERVICES["worker-gpu"]["command"] == ["worker", "--queues", "gpu"]


def test_images_start_the_console_script_with_known_commands() -> None:
    (script,) = read_pyproject()["project"]["scripts"]
    assert re.findall(r'^ENTRYPOINT \["(.+)"\]$', DOCKERFILE, re.MULTILINE) == [script, script]
    commands = re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        check_command(yaml.safe_load(command))


@pytest.mark.parametrize("name", APP_SERVICES)
def test_every_variable_is_a_setting(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields} | FOREIGN_VARIABLES
    assert set(SERVICES[name]["environment"]) <= known


def test_images_set_only_variables_that_are_settings() -> None:
    known = {field.upper() for field in Settings.model_fields}
    for block in re.findall(r"^ENV ((?:.+\\\n)*.+)$", DOCKERFILE, re.MULTILINE):
        names = set(re.findall(r"([A-Z_]+)=", block))
        assert {n for n in names if not n.startswith(("PIP_", "PYTHON")) and n != "PATH"} <= known


def test_settings_of_the_containers_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        name: re.sub(r"\$\{([A-Z_]+)(?::-([^}]*))?(?::\?[^}]*)?\}", r"\2", str(value))
        for name, value in SERVICES["worker-gpu"]["environment"].items()
    }
    given |= {"PUBLIC_URL": "https://illume.example.org", "SECRET_KEY": "k" * 32}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert not settings.is_embedded
    assert settings.store_path == Path("/var/lib/illume/store")


def test_secrets_have_no_defaults_anywhere() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    for name in ("POSTGRES_PASSWORD", "SECRET_KEY"):
        uses = re.findall(r"\$\{" + name + r"([^}]*)\}", text)
        assert uses
        assert all(use.startswith(":?") for use in uses)
        assert re.search(rf"^{name}=$", EXAMPLE, re.MULTILINE)
    assert "POSTGRES_HOST_AUTH_METHOD" not in text


def test_every_placeholder_is_explained_in_the_example() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    for name in set(re.findall(r"\$\{([A-Z_]+)", text)):
        assert re.search(rf"^(# )?{name}=", EXAMPLE, re.MULTILINE), name


def test_every_setting_is_in_the_example_and_nothing_else() -> None:
    written = set(re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE))
    settings = {field.upper() for field in Settings.model_fields}
    assert settings <= written
    assert written - settings == {"POSTGRES_PASSWORD", "PUBLISH"}


def test_health_check_asks_a_path_that_exists() -> None:
    (path,) = re.findall(r"http://127\.0\.0\.1:8000(/[a-z/]+)", str(SERVICES["web"]["healthcheck"]))
    assert path == READY_PATH
    assert path in {context.path for context in iter_route_contexts(create_app().routes)}
    assert SERVICES["web"]["environment"]["PORT"] == "8000"


def test_all_wait_for_services_that_can_tell_their_health() -> None:
    for name, service in SERVICES.items():
        for other, wish in service.get("depends_on", {}).items():
            if wish["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other], f"{name} waits for {other}"
            else:
                assert wish["condition"] == "service_completed_successfully"
                assert SERVICES[other]["restart"] == "no"


def test_volumes_are_declared_used_and_where_the_data_is() -> None:
    mounts = {
        name: dict(volume.split(":") for volume in service["volumes"])
        for name, service in SERVICES.items()
    }
    assert {volume for mount in mounts.values() for volume in mount} == set(COMPOSE["volumes"])
    for name in APP_SERVICES:
        environment = SERVICES[name]["environment"]
        assert mounts[name] == {"illume": environment["ILLUME_HOME"]}
        assert Path(environment["STORE"]).is_relative_to(environment["ILLUME_HOME"])
        assert f"VOLUME {environment['ILLUME_HOME']}" in DOCKERFILE


def test_images_are_targets_of_the_dockerfile() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE, re.MULTILINE))
    assert {SERVICES[name]["build"]["target"] for name in APP_SERVICES} == {"web", "worker"}
    assert {"web", "worker"} <= targets
    assert SERVICES["worker-gpu"]["build"]["target"] == "worker"


def test_web_image_has_no_torch_and_worker_image_has() -> None:
    installs = re.findall(r"constraint constraints.txt '\.\[(.+)\]'", DOCKERFILE)
    assert installs == ["embedded,parquet", "worker,parquet"]


def test_only_the_gpu_worker_reserves_a_gpu() -> None:
    reserved = [name for name, service in SERVICES.items() if "deploy" in service]
    assert reserved == ["worker-gpu"]
    (device,) = SERVICES["worker-gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}


def test_images_get_every_file_that_the_package_is_built_from() -> None:
    let_in = set(re.findall(r"^!(.+)$", (REPOSITORY / ".dockerignore").read_text(), re.MULTILINE))
    pyproject = read_pyproject()
    needed = {package.partition(".")[0] for package in pyproject["tool"]["setuptools"]["packages"]}
    needed |= set(pyproject["tool"]["setuptools"]["package-dir"].values())
    needed |= {pyproject["project"]["readme"], *pyproject["project"]["license-files"]}
    assert needed | {"pyproject.toml", "constraints.txt"} == let_in


def test_nothing_but_the_web_server_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["web"]
    assert SERVICES["web"]["ports"] == ["${PUBLISH:-127.0.0.1:8000}:8000"]
