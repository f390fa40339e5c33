"""Files of a release into a folder or a zip, the same bytes each time."""

import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from app.kit.errors import SetupError
from app.kit.storage import atomic_file, atomic_folder
from app.services.refusals import AlreadyThere

# The earliest time that a zip can hold: a rebuilt archive must not tell when it was rebuilt.
FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX = 3


@dataclass(frozen=True)
class Entry:
    """A file of a release: its path there, where its bytes are now, and what is made of them."""

    name: str
    source: Path
    make: Callable[[Path], bytes] | None = None

    def read(self) -> bytes:
        """Returns the bytes of the file. Raises SetupError where its source is not in the store."""
        _check([self])
        return self.source.read_bytes() if self.make is None else self.make(self.source)


def pack_folder(entries: Sequence[Entry], out: Path) -> None:
    """The folder appears whole or not at all. Raises InvalidInput when something is there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise AlreadyThere(f"{out} exists already. Name a new or an empty folder.")
    _check(entries)
    with atomic_folder(out.absolute()) as folder:
        for entry in entries:
            target = folder / entry.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.make is None:
                shutil.copyfile(entry.source, target)
            else:
                target.write_bytes(entry.make(entry.source))


def pack_zip(entries: Sequence[Entry], out: Path) -> None:
    """Packs files into a zip without compressing them: pictures hardly shrink, and what a
    compressor makes of the rest differs between its versions.
    """
    _check(entries)
    with atomic_file(out.absolute()) as stream:
        _write_zip(entries, stream)


def _write_zip(entries: Sequence[Entry], stream: BinaryIO) -> None:
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            info = zipfile.ZipInfo(entry.name, FIXED_TIME)
            info.create_system = _UNIX
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            if entry.make is not None:
                archive.writestr(info, entry.make(entry.source))
                continue
            info.file_size = entry.source.stat().st_size
            with entry.source.open("rb") as source, archive.open(info, "w") as target:
                shutil.copyfileobj(source, target, 1 << 20)


def _check(entries: Sequence[Entry]) -> None:
    missing = [entry for entry in entries if not entry.source.is_file()]
    if missing:
        raise SetupError(
            f"{len(missing)} files of this release are missing in the store, the first is "
            f"{missing[0].source.name}. Import the dataset again: that brings its images back."
        )
