"""The prior of a project: episodes that a monologue learns from."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.console import console, get_project, print_json, running_services

prior_app = typer.Typer(
    help="Episodes that the strategy monologue learns from.", no_args_is_help=True
)

Slug = Annotated[str, typer.Argument(help="The project's short name.")]


def add_to(app: typer.Typer) -> None:
    app.add_typer(prior_app, name="prior", rich_help_panel="Data")


@prior_app.command("import")
def import_prior(
    project: Slug,
    file: Annotated[Path, typer.Argument(help="JSONL: one episode per line.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Make a file of episodes the prior, in place of the one before; stored whole or not at all.

    Example: illume prior import scenes episodes.jsonl
    """
    from app.kit.db import session_scope
    from app.services.dataset import prior

    with running_services():
        lines = prior.read_prior(file)
        with session_scope() as session:
            report = prior.import_prior(session, get_project(session, project), lines, actor=None)
    if as_json:
        print_json(report.as_dict())
    else:
        for line in report.as_lines():
            console.print(line, highlight=False)


@prior_app.command("remove")
def remove_prior(project: Slug) -> None:
    """Take all episodes out of the prior; those that a training read stay as the record of it.

    Example: illume prior remove scenes
    """
    from app.kit.db import session_scope
    from app.services.dataset import prior

    with running_services(), session_scope() as session:
        n_removed = prior.remove_prior(session, get_project(session, project), actor=None)
    if n_removed:
        console.print(f"Removed the prior of {project}: {n_removed:,} episodes.", highlight=False)
    else:
        console.print(f"{project} has no prior: nothing to remove.")
