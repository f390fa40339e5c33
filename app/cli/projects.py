"""Projects, and data in and out of them."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli import prior, removal
from app.cli.console import console, emphasised, get_project, print_json, running_services
from app.kit.errors import SetupError
from app.kit.processes.programs import require_worker_packages
from app.lifecycle import DataFormat, DecidedBy, ReleaseFormat

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from app.models import Project, Release

project_app = typer.Typer(help="Projects.", no_args_is_help=True)
model_app = typer.Typer(help="Models.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(project_app, name="project", rich_help_panel="Data")
    removal.add_to(project_app)
    app.add_typer(model_app, name="model", rich_help_panel="Data")
    app.command("import", rich_help_panel="Data")(import_files)
    prior.add_to(app)
    app.command(rich_help_panel="Data")(release)


@project_app.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="What the project is called.")],
    is_demo: Annotated[
        bool, typer.Option("--demo", help="Fill it with rendered scenes and the demo model.")
    ] = False,
    n_train: Annotated[int, typer.Option(help="Demo: train items.", min=1)] = 400,
    n_validation: Annotated[int, typer.Option(help="Demo: validation items.", min=0)] = 200,
    n_test: Annotated[int, typer.Option(help="Demo: test items.", min=0)] = 600,
    seed: Annotated[int, typer.Option(help="Demo: seed of scenes and sampling.", min=0)] = 0,
) -> None:
    """Create a project.

    Example: illume project create "Street scenes"
    """
    from app.kit.db import session_scope
    from app.services.projects import projects

    with running_services(), session_scope() as session:
        if is_demo:
            from app.cli.demo import demo
            from app.cli.demo.prior import add_scene_prior

            sizes = demo.Sizes(n_train=n_train, n_validation=n_validation, n_test=n_test)
            project = demo.create_demo_project(session, name=name, seed=seed, sizes=sizes)
            add_scene_prior(session, project, seed=seed)
        else:
            project = projects.create_project(session, name=name, actor=None)
        slug = project.slug
    console.print("Created the project", emphasised(slug))


@project_app.command("list")
def list_projects(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the projects.

    Example: illume project list
    """
    from rich.table import Table

    from app.kit.db import session_scope
    from app.queries.projects.projects import list_all_projects

    with running_services(), session_scope() as session:
        rows = [_describe(session, project) for project in list_all_projects(session)]
    if as_json:
        print_json(rows)
        return
    table = Table("project", "name", "items", "prior", "round", "status")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    console.print(table)


def _describe(session: "Session", project: "Project") -> dict[str, Any]:
    from app.queries.dataset.prior import count_prior
    from app.queries.projects.projects import count_items_by_split
    from app.queries.rounds.rounds import find_last_round

    last = find_last_round(session, project.id)
    return {
        "project": project.slug,
        "name": project.name,
        "items": sum(entry.n_items for entry in count_items_by_split(session, project.id)),
        "prior": count_prior(session, project.id).n_episodes or None,
        "round": last.number if last else None,
        "status": last.status.value if last else "no round yet",
    }


def import_files(
    project: Annotated[str, typer.Argument(help="The project's short name.")],
    files: Annotated[list[Path], typer.Argument(help="Data files, zips or folders.")],
    images: Annotated[
        Path | None, typer.Option(help="Folder with the images (default: beside the file).")
    ] = None,
    layout: Annotated[
        DataFormat, typer.Option("--format", help="Layout of the files.")
    ] = DataFormat.AUTO,
    update: Annotated[
        bool, typer.Option("--update", help="Store changed rows of items nobody judged yet.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Import items and images; nothing is stored unless every row is right.

    Example: illume import scenes items.jsonl --images images/
    """
    from app.kit.db import session_scope
    from app.services.dataset import imports

    with running_services():
        parsed = imports.read_dataset(files, images=images, format=layout)
        with closing(parsed), session_scope() as session:
            report = imports.import_dataset(
                session, get_project(session, project), parsed, update=update, actor=None
            )
    if as_json:
        print_json(report.as_dict())
    else:
        for line in report.as_lines():
            console.print(line, highlight=False)


def release(
    project: Annotated[str, typer.Argument(help="The project's short name.")],
    out: Annotated[Path, typer.Argument(help="File or folder to write.")],
    layout: Annotated[
        ReleaseFormat, typer.Option("--format", help="Layout of the files.")
    ] = ReleaseFormat.JSONL,
    by: Annotated[
        DecidedBy, typer.Option(help="Who decides in preference and kto which text is better.")
    ] = DecidedBy.JUDGEMENT,
    number: Annotated[
        int | None, typer.Option(help="Write this release again instead of making a new one.")
    ] = None,
) -> None:
    """Make a numbered, immutable release of a project's data and write it out.

    Example: illume release scenes out/ --format huggingface

    Example: illume release scenes pairs/ --format preference --by policy
    """
    from app.kit.db import session_scope
    from app.queries.releases.releases import find_release
    from app.services.releases import releases
    from app.services.releases.formats.parquet import require_parquet

    if layout is ReleaseFormat.PARQUET:
        require_parquet()  # before a release is made that could not be written
    with running_services(), session_scope() as session:
        owner = get_project(session, project)
        made: Release | None
        if number is None:
            made = releases.create_release(session, owner, actor=None)
        else:
            made = find_release(session, owner.id, number)
            if made is None:
                raise SetupError(f"Project `{project}` has no release {number}.")
        releases.write_release(session, made, format=layout, out=out, by=by)
        line = f"Release {made.number}: {made.n_rows} rows, content hash {made.content_hash}"
    console.print(line, highlight=False)
    console.print(f"Wrote {out}.", highlight=False)


@model_app.command("merge")
def merge_model(
    source: Annotated[
        str,
        typer.Argument(help="A project with one adapter, or the beginning of an adapter's digest."),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write; it must not be there yet.")],
) -> None:
    """Write the base model with an adapter worked into it, for servers that load no adapters.

    Example: illume model merge scenes merged/
    """
    from app.kit.db import session_scope
    from app.kit.storage import adapter_folder
    from app.queries.rounds.adapters import list_named_adapters

    require_worker_packages("Merging a model")
    with running_services(), session_scope() as session:
        found = list_named_adapters(session, source)
        if not found:
            raise SetupError(
                f"`{source}` is neither a project with a trained adapter nor the beginning of an "
                "adapter's digest (the round's page shows it)."
            )
        if len(found) > 1:
            several = ", ".join(
                " ".join(filter(None, (one.strategy, one.role, one.adapter.digest[:16])))
                for one in found
            )
            raise SetupError(
                f"`{source}` stands for {len(found)} adapters: {several}. Name one by its digest."
            )
        adapter = found[0].adapter
        digest, base_model = adapter.digest, adapter.base_model
        revision = adapter.base_revision
        folder = adapter_folder(digest)
    command = [sys.executable, "-m", "worker.merge_model", base_model, str(folder), str(out)]
    command += ["--revision", revision]
    if code := subprocess.run(command, check=False).returncode:
        raise typer.Exit(code)
    console.print(f"Wrote {out}. Serve it under the name illume-{digest[:16]}.")


@model_app.command("check")
def check_model(
    model: Annotated[str, typer.Argument(help="Folder, hub name, or demo.")],
    revision: Annotated[
        str | None, typer.Option(help="Hub revision, or the digest of the folder's files.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Load a model, prove it and show what the loop would do: LoRA, memory, prompts, samples.

    Ends with 1, and a sentence that says why, where the model cannot be used.

    Example: illume model check demo
    """
    require_worker_packages("Checking a model")
    command = [sys.executable, "-m", "worker.check_model", model]
    if revision:
        command += ["--revision", revision]
    if as_json:
        command += ["--json"]
    raise typer.Exit(subprocess.run(command, check=False).returncode)
