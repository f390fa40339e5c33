"""Projects that are over, on the command line: archive, unarchive, delete."""

from typing import Annotated

import typer

from app.cli.console import console, get_project, running_services

Slug = Annotated[str, typer.Argument(help="The project's short name.")]


def add_to(app: typer.Typer) -> None:
    app.command("archive")(archive)
    app.command("unarchive")(unarchive)
    app.command("delete")(delete)


def archive(project: Slug) -> None:
    """Make a project read-only and take it out of the lists.

    Example: illume project archive scenes
    """
    from app.kit.db import session_scope
    from app.services.projects import removal

    with running_services(), session_scope() as session:
        removal.archive_project(session, get_project(session, project), actor=None)
    console.print(f"Archived {project}. `illume project unarchive {project}` takes it out again.")


def unarchive(project: Slug) -> None:
    """Take a project out of the archive.

    Example: illume project unarchive scenes
    """
    from app.kit.db import session_scope
    from app.services.projects import removal

    with running_services(), session_scope() as session:
        removal.unarchive_project(session, get_project(session, project), actor=None)
    console.print(f"{project} is open again.")


def delete(
    project: Slug,
    name: Annotated[
        str | None, typer.Option(help="The project's full name, as a confirmation.")
    ] = None,
) -> None:
    """Delete an archived project with everything that is its; says first what that is.

    Without --name it only says what would be deleted.

    Example: illume project delete scenes --name "Street scenes"
    """
    from app.kit.db import session_scope
    from app.queries.projects.removal import count_content
    from app.services.projects import removal

    with running_services():
        with session_scope() as session:
            found = get_project(session, project)
            content = count_content(session, found.id)
            console.print(
                f"{content.n_items} items, {content.n_images} images, {content.n_judgements} "
                f"submitted judgements, {content.n_adapters} adapters, "
                f"{len(content.release_numbers)} releases. Releases that somebody has downloaded "
                "stay where they are, and cannot be built again."
            )
            if name is None:
                console.print("Nothing was deleted: give the project's full name with --name.")
                return
            removal.request_deletion(session, found, typed_name=name, actor=None)
        removal.delete_requested()
    console.print(f"Deleted {project}.")
