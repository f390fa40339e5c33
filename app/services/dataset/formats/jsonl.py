"""JSONL: one object per line."""

import json
from collections.abc import Iterator
from typing import IO, Any, NoReturn

from app.kit.sentences import Sentence
from app.services.dataset.formats.lines import read_lines
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import (
    ColumnCheck,
    Row,
    check_row,
    column_of,
    describe,
)


def read_jsonl(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields checked rows; empty lines are passed over."""
    columns = ColumnCheck(problems)
    for place, values in read_objects(stream, name, problems):
        renamed = _with_our_names(values)
        if columns.look_at(place, renamed):
            row = check_row(place, renamed, problems)
            if row is not None:
                yield row
    columns.report()


def read_objects(
    stream: IO[bytes], name: str, problems: Problems
) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yields the object of each line with its place; a line that is none is a problem."""
    for number, line in enumerate(read_lines(stream, name), start=1):
        if not line.strip():
            continue
        place = Place(name, number)
        try:
            values = parse_json(line)
        except ValueError as error:
            problems.add(place, Sentence("is no JSON (%(error)s)", error=error.args[0]))
            continue
        if isinstance(values, dict):
            yield place, values
        else:
            fault = Sentence("must be an object, but is %(value)s", value=describe(values))
            problems.add(place, fault)


def _with_our_names(values: dict[str, Any]) -> dict[str, Any]:
    """The row by the names of our columns, where they are only written a little differently."""
    named = {column_of(name): value for name, value in values.items()}
    return named if len(named) == len(values) else values


def parse_json(text: str) -> Any:
    """Returns the value of a JSON text. Refuses NaN and keys that stand twice. Raises ValueError,
    also for absurd nesting.
    """
    try:
        return json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_refuse_double_keys
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            Sentence("%(error)s at character %(n)s", error=error.msg, n=error.pos + 1)
        ) from error
    except RecursionError as error:
        raise ValueError(Sentence("nested too deep")) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(Sentence("%(value)s is not a JSON value", value=name))


def _refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(Sentence("the key %(key)s is there twice", key=repr(double)))
    return values
