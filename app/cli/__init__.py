"""The `illume` command. Every error is one line that says what to do; exit codes are 0, 1 and 2."""

import typer

from app.cli import accounts, projects, rounds
from app.cli.loop import loop
from app.cli.operation import operate
from app.kit.processes.programs import run_program

app = typer.Typer(
    name="illume",
    help="People teach a vision-language model to give good reasons, round by round.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
operate.add_to(app)
accounts.add_to(app)
projects.add_to(app)
rounds.add_to(app)
loop.add_to(app)


def main() -> None:
    """Runs `illume`: the entry point of the console script and of `python -m app.cli`."""
    run_program(lambda: app(prog_name="illume"), explain=_explain)


def _explain(error: Exception) -> str | None:
    from app.cli.operation.explain import explain

    return explain(error)
