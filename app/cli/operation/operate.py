"""Starting, migrating, checking, backing up."""

import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from app.cli.console import console, print_json, running_services
from app.kit.errors import AppError, SetupError
from app.kit.processes.programs import require_worker_packages
from app.kit.settings import Settings, choose_settings, get_settings

if TYPE_CHECKING:
    from app.supervisor.commands import Command


def add_to(app: typer.Typer) -> None:
    app.command(rich_help_panel="Run")(up)
    app.command(rich_help_panel="Run")(web)
    app.command(rich_help_panel="Run")(worker)
    app.command(rich_help_panel="Run")(beat)
    app.command("migrate", rich_help_panel="Operate")(migrate_database)
    app.command(rich_help_panel="Operate")(backup)
    app.command(rich_help_panel="Operate")(restore)
    app.command(rich_help_panel="Operate")(check)


def up(
    demo_project: Annotated[
        bool, typer.Option("--demo", help="Fill a demo project and print sign-in links.")
    ] = False,
    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind to.", min=1, max=65535)] = None,
) -> None:
    """Start everything: web, workers, beat, and PostgreSQL and Redis where no URL is given.

    Example: illume up --demo --port 8000
    """
    from app.cli.demo import demo
    from app.supervisor import up as supervise

    settings = _with_address(host, port)
    if demo_project:
        supervise(settings, prepare=demo.prepare, announce=demo.announce)
    else:
        supervise(settings, announce=demo.say_how_to_begin)


def web(
    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind to.", min=1, max=65535)] = None,
) -> None:
    """Start the web server alone.

    Example: illume web --host 0.0.0.0 --port 8000
    """
    from app.supervisor.commands import web_command

    settings = _with_address(host, port)
    if settings.recorded_url() is None:
        with suppress(OSError):  # a data folder elsewhere, or one that is not ours to write
            settings.record_address()
    _become(web_command(settings))


def worker(
    queues: Annotated[
        str, typer.Option(help="cpu (import, release, critics, sweep) or gpu (the model).")
    ] = "cpu",
) -> None:
    """Start a worker process: `cpu` for light work, `gpu` for the model. Start more to go faster.

    Example: illume worker --queues gpu
    """
    from app.supervisor.commands import worker_command

    names = sorted({name.strip() for name in queues.split(",") if name.strip()})
    if not names or set(names) - {"cpu", "gpu"}:
        raise AppError(f"Unknown queues `{queues}`: use cpu, gpu or cpu,gpu.")
    if "gpu" in names:
        require_worker_packages("A model worker")
    _become(worker_command(names))


def beat() -> None:
    """Start the clock that lets a light worker sweep for lost work. One is enough.

    Example: illume beat
    """
    from app.supervisor.commands import beat_command

    home = get_settings().illume_home
    home.mkdir(parents=True, exist_ok=True)
    _become(beat_command(home))


def migrate_database() -> None:
    """Bring the database to the newest schema.

    Example: illume migrate
    """
    from app.kit.schema_upgrade import migrate

    with running_services():
        migrate()
    console.print("The database is up to date.")


def backup(
    file: Annotated[Path, typer.Argument(help="The archive to write, for example backup.tar.")],
) -> None:
    """Write the database and the store into one file.

    Example: illume backup illume-2026-11-21.tar
    """
    from app.cli.operation import archive

    with running_services():
        n_bytes = archive.backup(file)
    at = f"{datetime.now(UTC):%Y-%m-%d %H:%M}Z"
    console.print(f"Wrote {file} ({n_bytes / 1e6:.1f} MB) at {at}.")


def restore(
    file: Annotated[Path, typer.Argument(help="An archive written by `illume backup`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what the database holds now.")
    ] = False,
) -> None:
    """Restore a backup into an empty installation; nothing else may be running.

    All sessions, links and API tokens of before end: people sign in again, and new links are made.

    Example: illume restore illume-2026-11-21.tar
    """
    from app.cli.operation import archive

    with running_services():
        archive.restore(file, replace=replace)
    console.print(f"Restored {file}.")
    console.print(
        "All sessions, invites, one-time links and API tokens of before have ended: sign in again "
        "(by `illume user password NAME` where somebody has no password) and make new ones. "
        "Accounts, passwords and members are those of the backup.",
        highlight=False,
    )


def check(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what is wrong with the installation, and how to mend it.

    Example: illume check
    """
    from app.services.operation.installation import check_installation

    findings = check_installation()
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            mark = Text("ok  ", "green") if finding.is_ok else Text("fix ", "red")
            line = f"{finding.name}: {finding.text}"
            console.print(mark, line, highlight=False, soft_wrap=True)
    if not all(finding.is_ok for finding in findings):
        raise typer.Exit(1)


def _with_address(host: str | None, port: int | None) -> Settings:
    """Returns the settings with the address of the options, which our processes read as well."""
    chosen = {name: str(value) for name, value in (("host", host), ("port", port)) if value}
    if chosen:
        choose_settings(**chosen)
    return get_settings()


def _become(command: "Command") -> None:
    """Replace this process by the command, so that signals and its death reach it directly."""
    from app.kit.storage import keep_private

    sys.stdout.flush()
    keep_private()  # handed on to the command
    try:
        os.execv(command[0], command)  # noqa: S606 - our own program, no shell
    except OSError as error:
        raise SetupError(f"{command[0]} does not start: {error.strerror}") from error
