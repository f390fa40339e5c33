"""JSON that is too large to be held: the objects of a list, read one by one."""

import codecs
import json
from collections.abc import Iterator
from typing import IO, Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.parsing import refuse_constant, refuse_double_keys
from app.services.refusals import WrongFile

_CHUNK = 1 << 18
MAX_VALUE = 4 << 20
"""So many characters may one object have; a file without an end is noticed there."""
_BLANKS = " \t\r\n"
_UTF_8 = codecs.getincrementaldecoder("utf-8-sig")


def objects_in(stream: IO[bytes], name: str, *, key: str | None = None) -> Iterator[Any]:
    """Yields the values of a list: that of the file, or the one under `key` of its object.

    Raises WrongFile where the file is no JSON, or has no such list.
    """
    text = _Text(stream, name)
    if key is None:
        text.expect("[")
    else:
        _go_to(text, key)
    if text.take_if("]"):
        return
    while True:
        yield text.value()
        if not text.take_if(","):
            text.expect("]")
            return


def _go_to(text: "_Text", key: str) -> None:
    """Passes over what stands before the list that is wanted."""
    text.expect("{")
    while not text.take_if("}"):
        found = text.value()
        text.expect(":")
        if found == key:
            text.expect("[")
            return
        text.value()
        if not text.take_if(","):
            text.expect("}")
            break
    raise WrongFile(
        Sentence("%(file)s has no list %(key)s.", file=text.name, key=repr(key)),
    )


class _Text:
    """The text of a file as far as it was read and not yet used."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self.name = name
        self._stream = stream
        self._decode = _UTF_8()
        self._text = ""
        self._at = 0
        self._is_over = False
        self._json = json.JSONDecoder(
            parse_constant=refuse_constant, object_pairs_hook=refuse_double_keys
        )

    def expect(self, sign: str) -> None:
        """Takes a sign. Raises WrongFile where another one stands."""
        if not self.take_if(sign):
            raise self._refused(Sentence("%(sign)s is missing", sign=repr(sign)))

    def take_if(self, sign: str) -> bool:
        """Takes a sign where it stands; False where another one does."""
        self._pass_blanks()
        if self._text[self._at : self._at + 1] != sign:
            return False
        self._at += 1
        return True

    def value(self) -> Any:
        """Takes one value of any kind."""
        self._pass_blanks()
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if len(self._text) - self._at > MAX_VALUE or not self._read_on():
                    raise self._refused(error.msg) from error
                continue
            except RecursionError as error:
                raise self._refused(Sentence("nested too deep")) from error
            except ValueError as error:
                raise self._refused(error.args[0]) from error
            # A number at the end of what was read may go on.
            if end == len(self._text) and self._read_on():
                continue
            self._at = end
            return value

    def _pass_blanks(self) -> None:
        while True:
            while self._text[self._at : self._at + 1] in tuple(_BLANKS):
                self._at += 1
            if self._at < len(self._text) or not self._read_on():
                return

    def _read_on(self) -> bool:
        if self._is_over:
            return False
        chunk = self._stream.read(_CHUNK)
        self._is_over = not chunk
        try:
            more = self._decode.decode(chunk, final=self._is_over)
        except UnicodeDecodeError as error:
            raise self._refused(Sentence("not UTF-8")) from error
        self._text = self._text[self._at :] + more
        self._at = 0
        return not self._is_over

    def _refused(self, problem: str) -> WrongFile:
        return WrongFile(
            Sentence("%(file)s is no JSON (%(error)s).", file=self.name, error=problem)
        )
