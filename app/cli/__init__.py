"""The `illume` command. Every error is one line that says what to do; exit codes are 0, 1 and 2."""

import sys

import typer

from app.cli import data, loop, operate, people, rounds
from app.errors import AppError, InvalidInput
from app.logs import in_writing

app = typer.Typer(
    name="illume",
    help="People teach a vision-language model to give good reasons, round by round.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
operate.add_to(app)
people.add_to(app)
data.add_to(app)
rounds.add_to(app)
loop.add_to(app)


def main() -> None:
    """Entry point of the console script and of `python -m app.cli`."""
    try:
        app()
    except AppError as error:
        sys.stderr.write(in_writing(f"illume: {error.message}\n"))
        if isinstance(error, InvalidInput):
            for line in error.errors:
                sys.stderr.write(in_writing(f"  {line}\n"))
        raise SystemExit(1) from error
    except UnicodeEncodeError as error:
        # Half a character on the command line: a terminal and its locale disagree.
        sys.stderr.write("illume: a word of the command is not valid UTF-8. Write it anew.\n")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        raise SystemExit(130) from None
