"""For programs that print a report: what transformers says would stand in the middle of it."""

from transformers.utils import logging


def hide_progress() -> None:
    """Turns off the bars that transformers draws while it loads."""
    logging.disable_progress_bar()


def keep_quiet() -> None:
    """Turns off the bars and all that transformers says but its errors."""
    hide_progress()
    logging.set_verbosity_error()
