"""JSONL: one object per line."""

from collections.abc import Iterator
from typing import IO, Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.columns import read_values
from app.services.dataset.formats.lines import read_lines
from app.services.dataset.formats.parsing import parse_json
from app.services.dataset.formats.pictures import Picture
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import ColumnCheck, Row, describe


def read_jsonl(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row | Picture]:
    """Yields checked rows; empty lines are passed over."""
    columns = ColumnCheck(problems)
    for place, values in read_objects(stream, name, problems):
        row = read_values(place, values, columns, problems)
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
