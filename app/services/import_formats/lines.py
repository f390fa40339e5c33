"""Lines of a text file, read without trusting its size or its encoding."""

import codecs
from collections.abc import Iterator
from typing import IO

from app.errors import InvalidInput

MAX_LINE_BYTES = 1 << 20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """Decoded lines with their endings; a byte order mark at the start is left out.

    Raises InvalidInput for what is no UTF-8 text. A file of zeros or one endless line is noticed
    after one megabyte.
    """
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            if line.startswith(_UTF_16):
                raise InvalidInput(
                    f"{name} is written in UTF-16. Save it as UTF-8 and import it again."
                )
            line = line.removeprefix(codecs.BOM_UTF8)
        if b"\0" in line:
            raise InvalidInput(f"{name}, line {number}: holds zero bytes, so this is no text file.")
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(f"{name}, line {number}: is longer than 1 MB.")
        yield decode(line, f"{name}, line {number}")


def decode(content: bytes, place: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{place}: is not UTF-8 (byte 0x{content[error.start]:02x} at position "
            f"{error.start + 1}). Save the file as UTF-8 and import it again."
        ) from error
