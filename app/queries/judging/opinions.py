"""Opinions as columns, for statements that read many judgements and not whole rows."""

from collections.abc import Sequence
from typing import Any

from app.models import Judgement
from app.opinions import Opinion

OPINION_COLUMNS = tuple(getattr(Judgement, name) for name in Opinion.model_fields)


def read_opinion(values: Sequence[Any]) -> Opinion:
    """Returns the opinion that the values of `OPINION_COLUMNS` are of."""
    return Opinion(**dict(zip(Opinion.model_fields, values, strict=True)))
