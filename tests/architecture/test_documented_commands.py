"""Every command that a text shows is listed in tests/support/promises.py, with how it runs."""

import ast
import re
import shlex
import shutil
import subprocess
from itertools import chain

import pytest

from tests.architecture.lock import REPOSITORY, read_pyproject
from tests.support.documented import COMMAND, collect, expand, leaves
from tests.support.promises import (
    DRY,
    FOREIGN,
    JOURNEY,
    LONG,
    REFUSED,
    REFUSED_SLOWLY,
    SERVERS,
    TESTED,
    Step,
)

STEPS: tuple[Step, ...] = (*JOURNEY, *SERVERS, *LONG, *REFUSED, *REFUSED_SLOWLY)


def promised() -> list[str]:
    return [*chain.from_iterable(step.shown for step in STEPS), *DRY, *TESTED, *FOREIGN]


def test_every_command_that_is_shown_is_run() -> None:
    found = collect()
    assert len(found) > 90, "the texts are read otherwise than they are written"
    forgotten = {command: places for command, places in found.items() if command not in promised()}
    assert forgotten == {}, "add each to a list of tests/support/promises.py"
    assert [command for command in promised() if command not in found] == [], "shown no more"
    assert len(promised()) == len(set(promised()))


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.command)
def test_what_is_run_has_the_words_and_options_of_what_is_shown(step: Step) -> None:
    run = shlex.split(step.command)
    for shown in step.shown:
        words = shlex.split(shown)
        assert {word for word in words if word.startswith("-")} <= set(run)
        assert verbs(words) == verbs(run)


def verbs(words: list[str]) -> list[str]:
    """The program and what it is told to do: `illume user add`, `python -m benchmarks.loop`."""
    plain = [word for word in words if not re.fullmatch(r"[A-Z_]+=.*", word)]
    if plain[0] != "illume":
        return plain[:3]
    names = {tuple(name.split()) for name, _ in leaves()}
    return next((list(plain[:n]) for n in (3, 2) if tuple(plain[:n]) in names), plain[:1])


def test_every_command_of_illume_shows_an_example_of_itself() -> None:
    for name, command in leaves():
        examples = re.findall(r"^\s*Example: (.*)$", command.help or "", re.MULTILINE)
        assert examples, f"{name} --help has no line `Example: …`"
        for example in examples:
            assert shlex.split(example)[: len(name.split())] == name.split()


@pytest.mark.parametrize("place", sorted(set(TESTED.values())))
def test_tests_that_run_a_command_are_there(place: str) -> None:
    path, _, name = place.partition("::")
    tree = ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("command", DRY)
def test_verbs_of_make_start_what_is_there(command: str) -> None:
    ended = subprocess.run(
        [*shlex.split(command), "-n"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    started = set(re.findall(r"\.venv/bin/([a-z-]+)", ended.stdout))
    assert ended.stdout
    for program in started:
        assert (REPOSITORY / ".venv" / "bin" / program).exists(), program
    for module in re.findall(r"-m (tests[a-z_.]+)", ended.stdout):
        assert (REPOSITORY / f"{module.replace('.', '/')}.py").is_file()


def test_programs_of_others_are_told_what_is_there() -> None:
    extras = read_pyproject()["project"]["optional-dependencies"]
    compose = (REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8")
    listed = compose.partition("\nservices:")[2]
    services = set(re.findall(r"^  ([a-z-]+):$", listed, re.MULTILINE))
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    targets = re.findall(r"^FROM .* AS (.*)$", dockerfile, re.MULTILINE)
    named = {name for name, _ in leaves()}
    for command in FOREIGN:
        for extra in re.findall(r"'\.\[(.*)\]'", command):
            assert extra in extras
        for service in re.findall(r"--scale ([a-z-]+)=|run --rm ([a-z-]+)", command):
            assert set(service) - {""} <= services
        for target in re.findall(r"--target ([a-z]+)", command):
            assert target in targets
        for told in re.findall(r"run --rm web ([a-z]+ [a-z]+)", command):
            assert f"illume {told}" in named
    assert (REPOSITORY / ".env.example").is_file()
    if (openssl := shutil.which("openssl")) is not None:
        made = subprocess.run(
            [openssl, "rand", "-hex", "32"], capture_output=True, text=True, check=True
        )
        assert re.fullmatch(r"[0-9a-f]{64}", made.stdout.strip())


def test_texts_that_show_several_commands_at_once_are_taken_apart() -> None:
    assert expand("illume up [--demo]") == ["illume up", "illume up --demo"]
    assert expand("illume round start\\|close PROJECT [--a|b X]") == [
        "illume round start PROJECT",
        "illume round close PROJECT",
        "illume round start PROJECT --a X",
        "illume round start PROJECT b X",
    ]


def test_a_line_of_a_block_that_nobody_knows_is_not_passed_over() -> None:
    """`collect` refuses a text whose block of code begins with a program that it does not know."""
    assert COMMAND.fullmatch("illume up --demo")
    assert COMMAND.fullmatch("DEVICE=cpu benchmarks/on_gpu.sh")
    assert COMMAND.fullmatch("frobnicate --all") is None


def test_tests_that_commands_name_are_there() -> None:
    named = [name for command in FOREIGN for name in re.findall(r"tests/[\w/.]+", command)]
    assert len(named) == 2
    assert [name for name in named if not (REPOSITORY / name).exists()] == []
