"""Whole numbers that the database can hold, as types for forms, settings and JSON."""

from typing import Annotated

from pydantic import Field

LARGEST = 2**63 - 1
"""Numbers of the database have 64 bits."""

Id = Annotated[int, Field(ge=1, le=LARGEST)]
"""The number of a row."""

Whole = Annotated[int, Field(ge=-LARGEST - 1, le=LARGEST)]
"""Any whole number that the database can be asked about."""
