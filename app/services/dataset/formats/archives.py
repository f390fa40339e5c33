"""Zip files from strangers: looked over from their directory before anything is unpacked.

Nothing is ever extracted to a path that the archive names; members are read into memory one by
one, each under a limit.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from zipfile import ZipFile, ZipInfo

from app.kit.sentences import Amount, Sentence
from app.kit.settings import get_settings
from app.services.dataset.formats.names import NameIndex, composed
from app.services.dataset.formats.problems import Problems
from app.services.refusals import WrongFile

MAX_MEMBERS = 500_000
MAX_RATIO = 200
"""Unpacked to packed size; deflate reaches 1032 on zeros, pictures and texts stay far below."""
RATIO_FROM_BYTES = 1 << 20
MAX_UNPACKED_FACTOR = 4
"""Unpacked size of a whole archive, in units of MAX_UPLOAD_MB."""

_SAYS_UTF_8 = 0x800
_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Archive:
    """A zip file whose directory was found harmless."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        try:
            self._zip = ZipFile(path)
        except (*_BAD_ARCHIVE, OSError, ValueError, struct.error) as error:
            raise WrongFile(
                Sentence(
                    "%(file)s is no readable zip file (%(error)s).", file=name, error=str(error)
                )
            ) from error
        try:
            self.members = _check_directory(self._zip, name)
        except BaseException:
            self._zip.close()
            raise
        self.names = NameIndex(self.members)

    def close(self) -> None:
        self._zip.close()

    @contextmanager
    def open(self, member: str, limit: int) -> Iterator[IO[bytes]]:
        """Read a member as a stream. Raises InvalidInput when it is damaged or above `limit`."""
        info = self.members[member]
        if info.file_size > limit:
            raise WrongFile(
                Sentence(
                    "%(member)s in %(file)s has %(n)s bytes; at most %(most)s are allowed.",
                    member=member,
                    file=self.name,
                    n=Amount(info.file_size),
                    most=Amount(limit),
                )
            )
        try:
            # Gives no more than the directory says, whatever the packed data would yield.
            with self._zip.open(info) as stream:
                yield stream
        except _BAD_ARCHIVE as error:
            raise WrongFile(
                Sentence(
                    "%(member)s in %(file)s is damaged (%(error)s).",
                    member=member,
                    file=self.name,
                    error=str(error),
                )
            ) from error

    def read(self, member: str, limit: int) -> bytes:
        with self.open(member, limit) as stream:
            return stream.read()


def _check_directory(archive: ZipFile, name: str) -> dict[str, ZipInfo]:
    """The files of the archive by name, without what file managers add."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise WrongFile(
            Sentence(
                "%(file)s holds %(n)s files; at most %(most)s are read.",
                file=name,
                n=Amount(len(infos)),
                most=Amount(MAX_MEMBERS),
            )
        )
    problems = Problems()
    limit = MAX_UNPACKED_FACTOR * (get_settings().max_upload_mb << 20)
    total = sum(info.file_size for info in infos)
    if total > limit:
        problems.add(
            name,
            Sentence(
                "would unpack to %(n)s bytes; at most %(most)s are allowed (MAX_UPLOAD_MB)",
                n=Amount(total),
                most=Amount(limit),
            ),
        )
    members: dict[str, ZipInfo] = {}
    for info in infos:
        fault = _find_fault(info)
        shown = repr(info.filename[:200])
        if fault:
            problems.add(name, Sentence("%(subject)s %(fault)s", subject=shown, fault=fault))
            continue
        member = _name_of(info)
        if member in members:
            problems.add(name, Sentence("holds %(member)s twice", member=shown))
        elif not member.endswith("/") and not is_clutter(member):
            members[member] = info
    problems.raise_if_any()
    return members


def _find_fault(info: ZipInfo) -> Sentence | None:
    """Returns the fault of one entry of the directory, as the end of a sentence that names it."""
    mode = info.external_attr >> 16
    fault = None
    member = _name_of(info)
    if member.startswith("/") or member[1:2] == ":":
        fault = Sentence("is not a plain name inside the archive")
    elif ".." in member.split("/"):
        fault = Sentence("leads out of the archive")
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        fault = Sentence("is a link or a device, not a file")
    elif info.flag_bits & 0x1:
        fault = Sentence("is encrypted: make the zip without a password")
    elif info.compress_type not in _READABLE:
        fault = Sentence(
            "is compressed in an unusual way: make the zip with the usual method (deflate)"
        )
    elif info.file_size > max(RATIO_FROM_BYTES, MAX_RATIO * info.compress_size):
        fault = Sentence(
            "would grow from %(packed)s to %(n)s bytes when unpacked: this looks like a zip bomb",
            packed=Amount(info.compress_size),
            n=Amount(info.file_size),
        )
    return fault


def _name_of(info: ZipInfo) -> str:
    """The name of an entry as its maker meant it: some programs on Windows part folders by
    backslashes, some on other systems write UTF-8 and do not say so."""
    name = info.filename
    if not info.flag_bits & _SAYS_UTF_8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return composed(name.replace("\\", "/"))


def is_clutter(name: str) -> bool:
    """Whether a path is of what systems and file managers add: hidden, or a Mac's own."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
