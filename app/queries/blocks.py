"""Long lists of values in pieces that one statement can take."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

ROWS_IN_ONE_QUERY = 2000

T = TypeVar("T")


def blocks(values: Sequence[T], *, size: int = ROWS_IN_ONE_QUERY) -> Iterator[Sequence[T]]:
    """Yield the values in their order, in pieces of at most `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
