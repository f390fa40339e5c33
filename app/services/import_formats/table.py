"""CSV: a header line, then one row per item.

Besides the columns of `rows`, numbered columns `rationale_1`, `rationale_2` … are taken; empty
cells of them are passed over. `rationales` holds a JSON list, `facts` a JSON object. The separator
is a comma, a semicolon or a tab, whichever makes the header readable.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import IO, Any

from app.errors import InvalidInput
from app.services.import_formats.jsonl import parse_json
from app.services.import_formats.lines import read_lines
from app.services.import_formats.problems import Place, Problems
from app.services.import_formats.rows import OPTIONAL, REQUIRED, ColumnCheck, Row, check_row
from app.texts import Sentence

_NUMBERED = re.compile(r"rationale_\d{1,2}")
_JSON_COLUMNS = ("rationales", "facts")


def read_csv(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Checked rows. A wrong header is one problem, and ends the reading."""
    lines = read_lines(stream, name)
    header_line = next(lines, "")
    if not header_line.strip():
        return
    delimiter = _find_delimiter(header_line)
    header = [cell.strip() for cell in next(csv.reader([header_line], delimiter=delimiter))]
    if not _check_header(header, name, problems):
        return
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        place = Place(name, reader.line_num + 2)
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise InvalidInput(
                Sentence(
                    "%(place)s: cannot be read as CSV (%(error)s). Is a quotation mark not closed?",
                    place=place.sentence(),
                    error=str(error),
                )
            ) from error
        if cells is None:
            return
        row = _check_cells(place, header, cells, problems)
        if row is not None:
            yield row


def _find_delimiter(header_line: str) -> str:
    """The separator under which the header shows most of the columns we know."""

    def n_known(delimiter: str) -> int:
        cells = next(csv.reader([header_line], delimiter=delimiter))
        return sum(cell.strip() in REQUIRED + OPTIONAL for cell in cells)

    return max(",;\t", key=n_known)


def _check_header(header: Sequence[str], name: str, problems: Problems) -> bool:
    place = Place(name, 1)
    double = sorted({cell for cell in header if header.count(cell) > 1})
    if double:
        fault = Sentence("the column %(column)s is there twice", column=repr(double[0]))
        problems.add(place, fault)
        return False
    columns = ColumnCheck(problems)
    is_right = columns.look_at(place, [cell for cell in header if not _NUMBERED.fullmatch(cell)])
    columns.report()
    return is_right


def _check_cells(
    place: Place, header: Sequence[str], cells: Sequence[str], problems: Problems
) -> Row | None:
    if not any(cell.strip() for cell in cells):
        return None
    if len(cells) != len(header):
        fault = Sentence(
            "has %(n)s cells, but the header has %(wanted)s", n=len(cells), wanted=len(header)
        )
        problems.add(place, fault)
        return None
    given = {column: cell for column, cell in zip(header, cells, strict=True) if cell.strip()}
    values: dict[str, Any] = {
        column: cell for column, cell in given.items() if not _NUMBERED.fullmatch(column)
    }
    before = problems.count
    for column in _JSON_COLUMNS:
        if column in values:
            try:
                values[column] = parse_json(values[column])
            except ValueError as error:
                fault = Sentence(
                    "%(field)s must be written as JSON (%(error)s)",
                    field=column,
                    error=error.args[0],
                )
                problems.add(place, fault)
    if problems.count > before:
        return None
    numbered = [given[column] for column in header if column in given and column not in values]
    if numbered and isinstance(values.get("rationales", []), list):
        values["rationales"] = [*values.get("rationales", []), *numbered]
    return check_row(place, values, problems)
