"""API tokens: made, listed and revoked. `illume token NAME` makes one, too."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli.console import console, is_terminal, print_json, running_services
from app.kit.errors import AppError, NotFound
from app.kit.numbers import LARGEST
from app.lifecycle import MAX_TOKEN_DAYS, TOKEN_DAYS

if TYPE_CHECKING:
    from app.models import ApiToken, User


class _CreatesByName(TyperGroup):
    """Reads `illume token NAME` as `illume token create NAME`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Returns the arguments of the command; a word that is none of ours is a name."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["create", *args]
        return super().parse_args(ctx, args)


token_app = typer.Typer(
    cls=_CreatesByName,
    help="API tokens, with which programs ask in a person's name (docs/programs.md).",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@token_app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Whose token.")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "command line",
    days: Annotated[
        int, typer.Option(help="Days until it expires.", min=1, max=MAX_TOKEN_DAYS)
    ] = TOKEN_DAYS,
    as_json: AsJson = False,
) -> None:
    """Make an API token for a person; it is shown this once. Into a pipe it goes alone.

    Example: illume token create ada --label notebook
    """
    from app.kit.db import session_scope
    from app.queries.accounts.users import find_user
    from app.services.accounts import tokens

    with running_services(), session_scope() as session:
        user = _find_open(find_user(session, name), name)
        token, secret = tokens.create_token(session, user, label=label, days=days)
        told = _describe(token, user)
    if as_json:
        print_json({"user": user.name, "token": secret, **told})
        return
    console.print(secret, highlight=False, soft_wrap=True)
    if is_terminal:
        console.print(
            f"This is token {told['number']}, good until {_day(token.expires_at)}. It is shown "
            f"this once; `illume token revoke {told['number']}` ends it.",
            highlight=False,
        )


@token_app.command("list")
def list_all(
    name: Annotated[str | None, typer.Argument(help="Whose; by default everybody's.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the API tokens: whose, what for, until when, and when they were used last.

    Example: illume token list
    """
    from rich.table import Table

    from app.kit.db import session_scope
    from app.queries.accounts.tokens import list_tokens
    from app.queries.accounts.users import find_user

    with running_services(), session_scope() as session:
        user = _find_known(find_user(session, name), name) if name else None
        found = list_tokens(session, user.id if user else None)
        rows = [{"user": each.name, **_describe(token, each)} for token, each in found]
    if as_json:
        print_json(rows)
        return
    table = Table("token", "person", "label", "made", "good until", "last used", "state")
    for row in rows:
        table.add_row(
            str(row["number"]),
            row["user"],
            row["label"],
            _day(row["created_at"]),
            _day(row["expires_at"]) or "for ever",
            _moment(row["used_at"]) or "never",
            row["state"],
        )
    console.print(table)


@token_app.command("revoke")
def revoke(
    number: Annotated[
        int, typer.Argument(help="Its number in `illume token list`.", min=1, max=LARGEST)
    ],
) -> None:
    """Make an API token worthless from now on.

    Example: illume token revoke 1
    """
    from app.kit.db import session_scope
    from app.models import ApiToken
    from app.services.accounts import tokens

    with running_services(), session_scope() as session:
        token = session.get(ApiToken, number)
        if token is None:
            raise NotFound(f"There is no token {number}. `illume token list` shows them.")
        was_revoked = token.revoked_at is not None
        tokens.revoke_token(session, token, actor=None)
        label = token.name
    said = "was revoked before" if was_revoked else "is revoked"
    console.print(f"Token {number} ({label}) {said}.", highlight=False)


def _describe(token: "ApiToken", user: "User") -> dict[str, Any]:
    return {
        "number": token.id,
        "label": token.name,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
        "state": _state(token, user),
    }


def _state(token: "ApiToken", user: "User") -> str:
    if token.revoked_at is not None:
        return "revoked"
    if token.expires_at is not None and token.expires_at <= datetime.now(UTC):
        return "expired"
    return "good" if user.disabled_at is None else "account closed"


def _day(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d}" if at else ""


def _moment(at: datetime | None) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M}" if at else ""


def _find_known(user: "User | None", name: str) -> "User":
    if user is None:
        raise NotFound(f"There is nobody called `{name}`. Add them: illume user add {name}")
    return user


def _find_open(user: "User | None", name: str) -> "User":
    user = _find_known(user, name)
    if user.disabled_at is not None:
        raise AppError(f"The account of `{name}` is disabled. Open it again on the page People.")
    return user
