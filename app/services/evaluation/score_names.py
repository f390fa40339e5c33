"""The names of stored scores: a series of measurements, and a metric of it."""

from enum import StrEnum


class Series(StrEnum):
    MODEL = ""
    FILTERED = "filtered"
    LEAVE_ONE_OUT = "leave_one_out"
    HUMAN = "human"
    BLANK = "blank"


def score_name(series: Series, metric: str) -> str:
    """Returns the name of a stored score, such as `human_cider`."""
    return f"{series}_{metric}" if series else metric
