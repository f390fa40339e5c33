"""Opinions as columns, for statements that read many judgements and not whole rows."""

from collections.abc import Sequence
from typing import Any

from app.models import Judgement
from app.opinions import Opinion


def opinion_columns(judgements: type[Judgement] = Judgement) -> tuple[Any, ...]:
    """Returns what a statement has to select so that `read_opinion` can read it.

    judgements: what the statement selects from, such as `counted_judgements`.
    """
    return tuple(getattr(judgements, name) for name in Opinion.model_fields)


OPINION_COLUMNS = opinion_columns()


def read_opinion(values: Sequence[Any]) -> Opinion:
    """Returns the opinion that the values of `OPINION_COLUMNS` are of."""
    return Opinion(**dict(zip(Opinion.model_fields, values, strict=True)))
