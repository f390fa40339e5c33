"""Lines of a text file, read without trusting its size or its encoding."""

import codecs
from collections.abc import Iterator
from typing import IO

from app.kit.sentences import Sentence
from app.services.dataset.formats.problems import Place, named
from app.services.refusals import WrongFile

MAX_LINE_BYTES = 1 << 20
_CHUNK = 1 << 16
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_lines(stream: IO[bytes], name: str) -> Iterator[str]:
    """Yields decoded lines with their endings, whichever system wrote them (LF, CR LF, CR); a byte
    order mark at the start is left out.

    Raises InvalidInput for what is no UTF-8 text. A file of zeros or one endless line is noticed
    after one megabyte.
    """
    for number, line in enumerate(_split(stream), start=1):
        if number == 1:
            if line.startswith(_UTF_16):
                raise WrongFile(
                    Sentence(
                        "%(file)s is written in UTF-16. Save it as UTF-8 and import it again.",
                        file=name,
                    )
                )
            line = line.removeprefix(codecs.BOM_UTF8)  # noqa: PLW2901
        if b"\0" in line:
            raise WrongFile(
                Sentence(
                    "%(place)s: holds zero bytes, so this is no text file, or one in UTF-16. Save "
                    "it as UTF-8 and import it again.",
                    place=Place(name, number).sentence(),
                )
            )
        if len(line) > MAX_LINE_BYTES:
            raise WrongFile(
                Sentence("%(place)s: is longer than 1 MB.", place=Place(name, number).sentence())
            )
        yield decode(line, Place(name, number))


def _split(stream: IO[bytes]) -> Iterator[bytes]:
    """Lines of bytes with their endings; one that is too long comes as far as it was read."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        # The last one may go on in the next chunk, or its CR may be followed by LF there.
        *lines, rest = (rest + chunk).splitlines(keepends=True)
        yield from lines
        if len(rest) > MAX_LINE_BYTES:
            break
    if rest:
        yield rest


def decode(content: bytes, place: Place | str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WrongFile(
            Sentence(
                "%(place)s: is not UTF-8 (byte %(byte)s at position %(n)s). Save the file as UTF-8 "
                "and import it again.",
                place=named(place),
                byte=f"0x{content[error.start]:02x}",
                n=error.start + 1,
            )
        ) from error
