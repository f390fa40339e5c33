"""Accounts and invites. No mail is needed: links are printed."""

from typing import Annotated

import typer

from app.cli import tokens
from app.cli.console import console, get_project, running_services
from app.kit.errors import NotFound
from app.kit.settings import get_settings
from app.lifecycle import Role

user_app = typer.Typer(help="Accounts.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(user_app, name="user", rich_help_panel="People")
    app.command(rich_help_panel="People")(invite)
    app.add_typer(tokens.token_app, name="token", rich_help_panel="People")


@user_app.command("add")
def add_user(
    name: Annotated[str, typer.Argument(help="The name to sign in with.")],
    is_admin: Annotated[
        bool, typer.Option("--admin", help="May create projects and manage all of them.")
    ] = False,
) -> None:
    """Add a person and print a link with which they set their password.

    Example: illume user add ada --admin
    """
    from app.kit.db import session_scope
    from app.services.accounts import accounts

    with running_services(), session_scope() as session:
        user = accounts.add_user(session, name=name, is_admin=is_admin)
        path = accounts.make_sign_in_link(session, user, is_reset=True)
    console.print(f"Added {name}. Link to set a password, good once:")
    _print_link(path)


@user_app.command("password")
def reset_password(name: Annotated[str, typer.Argument(help="Whose password.")]) -> None:
    """Print a link with which a person sets a new password.

    Example: illume user password ada
    """
    from app.kit.db import session_scope
    from app.queries.accounts.users import find_user
    from app.services.accounts import accounts

    with running_services(), session_scope() as session:
        user = find_user(session, name)
        if user is None:
            raise NotFound(f"There is nobody called `{name}`.")
        path = accounts.make_sign_in_link(session, user, is_reset=True)
    console.print(f"Link for {name} to set a new password, good once:")
    _print_link(path)


@user_app.command("erase")
def erase_user(
    name: Annotated[str, typer.Argument(help="Whom.")],
    confirm: Annotated[
        str | None, typer.Option(help="The same name once more, spelt exactly.")
    ] = None,
    with_judgements: Annotated[
        bool, typer.Option("--judgements", help="Delete judgements that are in no release, too.")
    ] = False,
) -> None:
    """Erase a person for ever: account, name and own texts; says first what that is.

    Without --confirm it only says what would be erased.

    Example: illume user erase ada --confirm ada
    """
    from app.kit.db import session_scope
    from app.queries.accounts.erasure import count_content
    from app.queries.accounts.users import find_user
    from app.services.accounts.erasure import erase_person

    with running_services(), session_scope() as session:
        user = find_user(session, name)
        if user is None:
            raise NotFound(f"There is nobody called `{name}`.")
        content = count_content(session, user.id)
        console.print(
            f"{content.n_judgements} submitted judgements, {content.n_texts} better texts and "
            f"corrected observations ({content.n_trained} of them were trained on). Releases made "
            "before keep their bytes."
        )
        if confirm is None:
            console.print("Nothing was erased: give the name once more with --confirm.")
            return
        n_deleted = erase_person(
            session, user, typed_name=confirm, with_judgements=with_judgements, actor=None
        )
    console.print(f"Erased {name}. {n_deleted} judgements were deleted, the others have no name.")


def invite(
    project: Annotated[str, typer.Argument(help="The project's short name.")],
    role: Annotated[Role, typer.Option(help="What the invited will be.")] = Role.ANNOTATOR,
    uses: Annotated[int | None, typer.Option(help="How many may use it.", min=1)] = None,
    days: Annotated[int, typer.Option(help="Days until it expires.", min=1)] = 14,
) -> None:
    """Print a link with which people join a project.

    Example: illume invite scenes --uses 20
    """
    from app.kit.db import session_scope
    from app.services.projects import projects

    with running_services(), session_scope() as session:
        path = projects.make_invite(
            session,
            get_project(session, project),
            role=role,
            max_uses=uses,
            days=days,
            actor=None,
        )
    _print_link(path)


def _print_link(path: str) -> None:
    console.print(f"  {get_settings().running_url()}{path}", highlight=False, soft_wrap=True)
