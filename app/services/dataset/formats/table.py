"""CSV: a header line, then one row per item.

Besides the columns of `rows`, numbered columns `rationale_1`, `rationale_2` … are taken; empty
cells of them are passed over. `rationales` and `answers` hold a JSON list, `facts` a JSON object.
The separator is a comma, a semicolon or a tab, whichever makes the header readable. Empty lines,
columns at the end that hold nothing, and rows that end early mean nothing.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.columns import our_names
from app.services.dataset.formats.lines import read_lines
from app.services.dataset.formats.parsing import parse_json
from app.services.dataset.formats.pictures import Picture, asks_nothing, check_picture
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import (
    OPTIONAL,
    REQUIRED,
    ColumnCheck,
    Row,
    check_row,
    column_of,
)
from app.services.refusals import WrongFile

_SEPARATOR_NOTE = re.compile(r"sep=.", re.IGNORECASE)
_NUMBERED = re.compile(r"rationale_\d{1,2}")
_JSON_COLUMNS = ("rationales", "answers", "facts")


def read_csv(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row | Picture]:
    """Yields the checked rows of a CSV file. A wrong header is one problem, and ends
    the reading.
    """
    lines = read_lines(stream, name)
    n_before, header_line = _find_header(lines)
    if not header_line:
        return
    place = Place(name, n_before + 1)
    with _telling(place):
        delimiter = _find_delimiter(header_line)
        header = our_names(cell.strip() for cell in _cells(header_line, delimiter))
    while header and not header[-1]:
        header.pop()
    if not _check_header(header, place, problems):
        return
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        place = Place(name, n_before + reader.line_num + 2)
        with _telling(place):
            cells = next(reader, None)
        if cells is None:
            return
        row = _check_cells(place, header, cells, problems)
        if row is not None:
            yield row


def _find_header(lines: Iterator[str]) -> tuple[int, str]:
    """How many lines stand before the header, and the header; "" where there is none. Empty lines
    are passed over, and the line by which spreadsheets note their separator."""
    for n_before, line in enumerate(lines):
        if line.strip(" \t\r\n,;") and not _SEPARATOR_NOTE.fullmatch(line.strip()):
            return n_before, line
    return 0, ""


@contextmanager
def _telling(place: Place) -> Iterator[None]:
    """Turns an error of the CSV reader into a sentence that says where it is."""
    try:
        yield
    except csv.Error as error:
        raise WrongFile(
            Sentence(
                "%(place)s: cannot be read as CSV (%(error)s). Is a quotation mark not closed?",
                place=place.sentence(),
                error=str(error),
            )
        ) from error


def _cells(line: str, delimiter: str) -> list[str]:
    return next(csv.reader([line], delimiter=delimiter))


def _find_delimiter(header_line: str) -> str:
    """The separator under which the header shows most of the columns we know."""

    def n_known(delimiter: str) -> int:
        cells = _cells(header_line, delimiter)
        return sum(column_of(cell.strip()) in REQUIRED + OPTIONAL for cell in cells)

    return max(",;\t", key=n_known)


def _check_header(header: Sequence[str], place: Place, problems: Problems) -> bool:
    double = sorted({cell for cell in header if header.count(cell) > 1})
    if double:
        fault = Sentence("the column %(column)s is there twice", column=repr(double[0]))
        problems.add(place, fault)
        return False
    if asks_nothing(header):
        return True
    columns = ColumnCheck(problems)
    is_right = columns.look_at(place, [cell for cell in header if not _NUMBERED.fullmatch(cell)])
    columns.report()
    return is_right


def _check_cells(
    place: Place, header: Sequence[str], cells: Sequence[str], problems: Problems
) -> Row | Picture | None:
    if not any(cell.strip() for cell in cells):
        return None
    n_header = len(header)
    if not any(cell.strip() for cell in cells[n_header:]):
        cells = [*cells[:n_header], *[""] * (n_header - len(cells))]
    if len(cells) != n_header:
        fault = Sentence(
            "has %(n)s cells, but the header has %(wanted)s", n=len(cells), wanted=n_header
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
    if asks_nothing(header):
        return check_picture(place, values, problems)
    numbered = [given[column] for column in header if column in given and column not in values]
    if numbered and isinstance(values.get("rationales", []), list):
        values["rationales"] = [*values.get("rationales", []), *numbered]
    return check_row(place, values, problems)
