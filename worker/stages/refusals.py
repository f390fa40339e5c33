"""Refusals of a stage that people read on the page of a run."""

from app.kit.errors import AppError


class ModelRefused(AppError):
    """The base model did not hold what a proof asks of it; the sentence has the figure."""

    code = "model.refused"
