"""The file of a backup: a plain tar with the dump, the store's files, and a manifest at the end.

The manifest names every file with its size and sha256. It is written last, so that a file without
one is known to be cut off. Nothing in an archive is trusted before all sums agree, and no name in
it reaches the file system except below the folder it belongs to.
"""

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.kit.errors import AppError, SetupError

FORMAT = 1
MANIFEST = "manifest.json"
DUMP = "database.dump"
STORE = "store"
# Enough for a million files; more than that is not a manifest of ours.
LARGEST_MANIFEST = 256 << 20
_CHUNK = 1 << 20


class Entry(BaseModel):
    """Size and digest that a file must have when it is taken out again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    n_bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """The contents of an archive, and the program that made it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int
    made_at: datetime
    illume: str
    postgres: int
    migration: str
    files: dict[str, Entry]
    missing: list[str]


class ArchiveWriter:
    """Adds files to a new archive and remembers their sums; `finish` writes the manifest."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, Entry] = {}

    def add(self, path: Path, name: str) -> None:
        """Add a file under a name. One that vanished meanwhile is left out: nobody needs it."""
        try:
            stream = path.open("rb")
        except FileNotFoundError:
            return
        except OSError as error:
            raise SetupError(
                f"{path} cannot be read ({error.strerror}). Correct its permissions."
            ) from error
        with stream:
            status = os.fstat(stream.fileno())
            self._add_stream(stream, name, status.st_size, int(status.st_mtime))

    def finish(self, *, illume: str, postgres: int, migration: str, missing: list[str]) -> Manifest:
        manifest = Manifest(
            format=FORMAT,
            made_at=datetime.now(UTC),
            illume=illume,
            postgres=postgres,
            migration=migration,
            files=dict(self.files),
            missing=missing,
        )
        content = manifest.model_dump_json(indent=1).encode()
        self._add_stream(io.BytesIO(content), MANIFEST, len(content), int(time.time()))
        return manifest

    def _add_stream(self, stream: IO[bytes], name: str, n_bytes: int, changed_at: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = n_bytes, changed_at, 0o600
        hashing = _HashingReader(stream)
        self._tar.addfile(info, hashing)
        self.files[name] = Entry(sha256=hashing.digest.hexdigest(), n_bytes=n_bytes)


class _HashingReader:
    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        chunk = self._stream.read(size)
        self.digest.update(chunk)
        return chunk


@contextmanager
def new_archive(path: Path) -> Iterator[ArchiveWriter]:
    """Write an archive that only we can read; it is on the disk when the block ends."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
            yield ArchiveWriter(tar)
        stream.flush()
        os.fsync(stream.fileno())


def verify_archive(path: Path) -> Manifest:
    """Read an archive from end to end; its manifest, once every size and sum agrees with it.

    Raises AppError, in one line, for what is no archive of ours, is newer than we are, is damaged,
    or holds anything but the files it lists.
    """
    found: dict[str, Entry] = {}
    content: bytes | None = None
    with _reading(path) as tar:
        for member in tar:
            if content is not None:
                raise AppError(f"{path} has something behind its manifest. Nothing was restored.")
            if member.name == MANIFEST and member.isreg() and member.size <= LARGEST_MANIFEST:
                content = b"".join(_chunks(tar, member))
                continue
            if not member.isreg() or not _is_ours(member.name) or member.name in found:
                raise AppError(
                    f"{path} holds {member.name!r}, which a backup never does. "
                    "Nothing was restored."
                )
            found[member.name] = _measure(tar, member)
    if content is None:
        raise AppError(f"{path} is no backup, or it was cut off: it has no manifest.")
    manifest = _parse_manifest(path, content)
    for name in sorted(found.keys() | manifest.files.keys()):
        if found.get(name) != manifest.files.get(name):
            raise AppError(f"{path} is damaged: {name} is not what was backed up.")
    return manifest


def read_archive(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yields names and contents of a verified archive's files in their order, without
    the manifest.
    """
    with _reading(path) as tar:
        for member in tar:
            if member.name != MANIFEST:
                yield member.name, _chunks(tar, member)


@contextmanager
def _reading(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield tar
    except FileNotFoundError as error:
        raise AppError(f"There is no file {path}.") from error
    except (tarfile.TarError, EOFError) as error:
        raise AppError(f"{path} is no backup, or it was cut off.") from error
    except OSError as error:
        if error.filename is None or Path(str(error.filename)) != path:
            raise
        raise SetupError(f"{path} cannot be read ({error.strerror}).") from error


def _chunks(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    stream = tar.extractfile(member)
    if stream is None:  # not a regular file: refused before
        raise tarfile.TarError(member.name)
    with stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _measure(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    digest, n_bytes = hashlib.sha256(), 0
    for chunk in _chunks(tar, member):
        digest.update(chunk)
        n_bytes += len(chunk)
    return Entry(sha256=digest.hexdigest(), n_bytes=n_bytes)


def _is_ours(name: str) -> bool:
    """The dump, or a plain path below `store/`: no `..`, no absolute one, no second spelling."""
    if name == DUMP:
        return True
    path = PurePosixPath(name)
    is_plain = str(path) == name and not path.is_absolute() and ".." not in path.parts
    return is_plain and len(path.parts) > 1 and path.parts[0] == STORE and name.isprintable()


def _parse_manifest(path: Path, content: bytes) -> Manifest:
    try:
        number = json.loads(content)["format"]
        if isinstance(number, int) and number > FORMAT:
            raise AppError(
                f"{path} was made by a newer version of ILLUME (format {number}, this one reads "
                f"{FORMAT}). Update ILLUME, then restore."
            )
        manifest = Manifest.model_validate_json(content)
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise AppError(f"{path} has a manifest that cannot be understood.") from error
    if manifest.format != FORMAT or DUMP not in manifest.files:
        raise AppError(f"{path} has a manifest that cannot be understood.")
    return manifest
