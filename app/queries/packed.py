"""Reads columns of many rows as numbers one after the other, without a Python object for each."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import LargeBinary, Subquery, func, literal, select
from sqlalchemy.orm import Session

_SENT = {"i8": func.int8send, "i4": func.int4send, "?": func.boolsend}
"""What sends a value in a few bytes, by the numpy type of what is sent (big-endian)."""


def read_packed(session: Session, rows: Subquery, **types: str) -> dict[str, npt.NDArray[Any]]:
    """Returns the named columns of the rows as arrays, all in the same order, which is any.

    types: by the name of a column what it is sent as: `i8`, `i4` or `?` (yes or no). None of the
    values may be null.
    """
    nothing = literal(b"", LargeBinary)
    found = session.execute(
        select(
            *(
                func.coalesce(
                    func.string_agg(_SENT[type_](rows.c[name]), nothing, type_=LargeBinary),
                    nothing,
                ).label(name)
                for name, type_ in types.items()
            )
        )
    ).one()
    return {
        name: np.frombuffer(packed, dtype=f">{type_}").astype(type_)
        for (name, type_), packed in zip(types.items(), found, strict=True)
    }
