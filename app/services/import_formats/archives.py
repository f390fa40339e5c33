"""Zip files from strangers: looked over from their directory before anything is unpacked.

Nothing is ever extracted to a path that the archive names; members are read into memory one by
one, each under a limit.
"""

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from zipfile import ZipFile, ZipInfo

from app.errors import InvalidInput
from app.services.import_formats.problems import Problems
from app.settings import get_settings

MAX_MEMBERS = 500_000
MAX_RATIO = 200
"""Unpacked to packed size; deflate reaches 1032 on zeros, pictures and texts stay far below."""
RATIO_FROM_BYTES = 1 << 20
MAX_UNPACKED_FACTOR = 4
"""Unpacked size of a whole archive, in units of MAX_UPLOAD_MB."""

_READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BAD_ARCHIVE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class Archive:
    """A zip file whose directory was found harmless."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        try:
            self._zip = ZipFile(path)
        except (*_BAD_ARCHIVE, OSError, ValueError, struct.error) as error:
            raise InvalidInput(f"{name} is no readable zip file ({error}).") from error
        try:
            self.members = _check_directory(self._zip, name)
        except BaseException:
            self._zip.close()
            raise

    def close(self) -> None:
        self._zip.close()

    @contextmanager
    def open(self, member: str, limit: int) -> Iterator[IO[bytes]]:
        """Read a member as a stream. Raises InvalidInput when it is damaged or above `limit`."""
        info = self.members[member]
        if info.file_size > limit:
            raise InvalidInput(
                f"{member} in {self.name} has {info.file_size:,} bytes; at most {limit:,} are "
                "allowed."
            )
        try:
            # Gives no more than the directory says, whatever the packed data would yield.
            with self._zip.open(info) as stream:
                yield stream
        except _BAD_ARCHIVE as error:
            raise InvalidInput(f"{member} in {self.name} is damaged ({error}).") from error

    def read(self, member: str, limit: int) -> bytes:
        with self.open(member, limit) as stream:
            return stream.read()


def _check_directory(archive: ZipFile, name: str) -> dict[str, ZipInfo]:
    """The files of the archive by name, without what file managers add."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS:
        raise InvalidInput(f"{name} holds {len(infos):,} files; at most {MAX_MEMBERS:,} are read.")
    problems = Problems()
    limit = MAX_UNPACKED_FACTOR * (get_settings().max_upload_mb << 20)
    total = sum(info.file_size for info in infos)
    if total > limit:
        problems.add(
            name, f"would unpack to {total:,} bytes; at most {limit:,} are allowed (MAX_UPLOAD_MB)"
        )
    members: dict[str, ZipInfo] = {}
    for info in infos:
        fault = _find_fault(info)
        if fault:
            problems.add(name, f"{info.filename[:200]!r} {fault}")
        elif info.filename in members:
            problems.add(name, f"holds {info.filename[:200]!r} twice")
        elif not info.is_dir() and not _is_clutter(info.filename):
            members[info.filename] = info
    problems.raise_if_any()
    return members


def _find_fault(info: ZipInfo) -> str | None:
    """What is wrong with one entry of the directory, as the end of a sentence that names it."""
    mode = info.external_attr >> 16
    fault = None
    if info.filename.startswith("/") or "\\" in info.filename or info.filename[1:2] == ":":
        fault = "is not a plain name inside the archive"
    elif ".." in info.filename.split("/"):
        fault = "leads out of the archive"
    elif stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        fault = "is a link or a device, not a file"
    elif info.flag_bits & 0x1:
        fault = "is encrypted: make the zip without a password"
    elif info.compress_type not in _READABLE:
        fault = "is compressed in an unusual way: make the zip with the usual method (deflate)"
    elif info.file_size > max(RATIO_FROM_BYTES, MAX_RATIO * info.compress_size):
        fault = (
            f"would grow from {info.compress_size:,} to {info.file_size:,} bytes when unpacked: "
            "this looks like a zip bomb"
        )
    return fault


def _is_clutter(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
