"""Lines of a text file, read without trusting its size or its encoding."""

import codecs
from collections.abc import Iterator
from typing import IO

from app.errors import InvalidInput
from app.services.import_formats.problems import Place, named
from app.texts import Sentence

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
                    Sentence(
                        "%(file)s is written in UTF-16. Save it as UTF-8 and import it again.",
                        file=name,
                    )
                )
            line = line.removeprefix(codecs.BOM_UTF8)
        if b"\0" in line:
            raise InvalidInput(
                Sentence(
                    "%(place)s: holds zero bytes, so this is no text file.",
                    place=Place(name, number).sentence(),
                )
            )
        if len(line) > MAX_LINE_BYTES:
            raise InvalidInput(
                Sentence("%(place)s: is longer than 1 MB.", place=Place(name, number).sentence())
            )
        yield decode(line, Place(name, number))


def decode(content: bytes, place: Place | str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            Sentence(
                "%(place)s: is not UTF-8 (byte %(byte)s at position %(n)s). Save the file as UTF-8 "
                "and import it again.",
                place=named(place),
                byte=f"0x{content[error.start]:02x}",
                n=error.start + 1,
            )
        ) from error
