"""The store: image files, adapters, uploads and releases in one folder that all processes share.

Images and adapters are addressed by their content. A file appears whole or not at all: it is
written under a temporary name, flushed to the disk and renamed in one step.

What is stored is for us alone, and for the group of the store's folder where that folder is open to
its group: pictures and releases are as private as the database.
"""

import fcntl
import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PureWindowsPath
from typing import IO, BinaryIO

from app import pictures
from app.kit.errors import AppError, InvalidInput, SetupError
from app.kit.sentences import Sentence
from app.kit.settings import get_settings
from app.pictures.files import shown_type

logger = logging.getLogger(__name__)

EXTENSIONS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/tiff": ".tif",
}
"""File name endings of the media types that an image may have."""
MEDIA_TYPES = {ending: media_type for media_type, ending in EXTENSIONS.items()}

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UPLOAD = re.compile(r"[0-9a-f]{32}(\.[a-z0-9]{1,8})?")
_TEMPORARY = ".part-"
_CHUNK = 1 << 20
_TRIED_BYTES = 1 << 16


@dataclass(frozen=True)
class Upload:
    """A file that somebody sent: `name` finds it in the store, `filename` is their name for it."""

    name: str
    filename: str
    n_bytes: int


# --- Where things are -----------------------------------------------------------------------


def store_folder() -> Path:
    return get_settings().store_path


def shown_name(sha256: str, media_type: str) -> str:
    """Returns the file name under which a stored picture is given away, as it is shown in full."""
    return sha256 + EXTENSIONS[shown_type(media_type)]


def image_path(sha256: str, media_type: str) -> Path:
    """Returns the path at which the image with this content lies, or would lie."""
    _check_digest(sha256)
    return store_folder() / "images" / sha256[:2] / f"{sha256}{EXTENSIONS[media_type]}"


def resized_path(sha256: str, width: int) -> Path:
    """Returns the path of a smaller version of an image, which can be made again at any time."""
    _check_digest(sha256)
    return _made_folder() / str(width) / sha256[:2] / f"{sha256}.jpg"


def shown_path(sha256: str, media_type: str) -> Path:
    """Returns the path of the full view of an image whose file must not be shown as it is."""
    _check_digest(sha256)
    return _made_folder() / "full" / sha256[:2] / f"{sha256}{EXTENSIONS[media_type]}"


def _made_folder() -> Path:
    """Returns the folder of images made by today's rules; older ones are never shown again."""
    return store_folder() / "resized" / f"v{pictures.VERSION}"


def adapters_folder() -> Path:
    return store_folder() / "adapters"


def adapter_folder(digest: str) -> Path:
    _check_digest(digest)
    return adapters_folder() / digest


def release_path(project_id: int, number: int, content_hash: str, name: str) -> Path:
    """Returns a built file of a release; the hash keeps a restored database from meeting another's
    file.
    """
    _check_digest(content_hash)
    return store_folder() / "releases" / f"{project_id}-{number}-{content_hash[:16]}" / name


def upload_path(name: str) -> Path:
    """Returns the kept upload of this name. Raises InvalidInput when it is not kept any more."""
    if not _UPLOAD.fullmatch(name):
        raise InvalidInput(Sentence("%(name)s is not the name of an upload.", name=repr(name)))
    path = store_folder() / "uploads" / name
    if not path.is_file():
        raise InvalidInput(Sentence("The uploaded file is not kept any more. Upload it again."))
    return path


# --- Writing --------------------------------------------------------------------------------


def put_image(content: bytes, media_type: str) -> tuple[str, bool]:
    """Keep an image; returns its sha256, and whether it is new.

    Only verified images may be put here. The caller holds their rows, so that no deletion takes
    the files meanwhile.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = image_path(sha256, media_type)
    if path.is_file():
        return sha256, False
    with atomic_file(path) as stream:
        stream.write(content)
    return sha256, True


def put_upload(stream: IO[bytes], filename: str) -> Upload:
    """Keep what somebody sends, up to the size limit of the settings."""
    limit = get_settings().max_upload_mb << 20
    # Some browsers send a whole path; this knows both kinds of slashes.
    filename = PureWindowsPath(filename).name
    suffix = Path(filename).suffix.lower()
    name = secrets.token_hex(16)
    if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix):
        name += suffix
    n_bytes = 0
    with atomic_file(store_folder() / "uploads" / name) as target:
        while chunk := stream.read(_CHUNK):
            n_bytes += len(chunk)
            if n_bytes > limit:
                raise InvalidInput(
                    Sentence(
                        "%(file)s is larger than %(n)s MB, the limit of this installation "
                        "(MAX_UPLOAD_MB). Split it into several files.",
                        file=filename,
                        n=limit >> 20,
                    )
                )
            target.write(chunk)
    return Upload(name=name, filename=filename, n_bytes=n_bytes)


class UploadLock:
    """Held while a person sends a file. It ends with the process, however that ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it is ours now; False where another request of the person holds it."""
        with storing_at(self._path):
            make_folder(self._path.parent)
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def give_back(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def one_upload_of(user_id: int) -> UploadLock:
    """Returns the lock under which one person's files arrive. The files of the locks stay; they are
    empty.
    """
    return UploadLock(store_folder() / "uploading" / str(user_id))


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears when the block ends well, and leaves nothing when it does not."""
    with storing_at(path):
        make_folder(path.parent)
        draft = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        try:
            with os.fdopen(_create(draft), "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a folder that appears when the block ends well; `path` must not exist, or be empty."""
    with storing_at(path):
        make_folder(path.parent)
        draft = path.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}")
        make_folder(draft)
        try:
            yield draft
            for folder, _, names in os.walk(draft):
                Path(folder).chmod(_mode(folder=True))
                for name in names:
                    with Path(folder, name).open("rb") as stream:
                        os.fchmod(stream.fileno(), _mode())
                        os.fsync(stream.fileno())
                sync_folder(Path(folder))
            draft.replace(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, as private as the store is."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):  # somebody else makes the same
        folder.mkdir(mode=0o700)
        folder.chmod(_mode(folder=True))


def keep_private() -> int:
    """Let whatever this process and its children write be as private; the umask of before."""
    return os.umask(0o077 & ~_mode(folder=True))


def _create(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.fchmod(descriptor, _mode())
    return descriptor


def _mode(*, folder: bool = False) -> int:
    """Returns the permissions of a file or folder; the group may do what the store allows it."""
    try:
        found = store_folder().stat().st_mode
    except OSError:
        found = 0
    if folder:
        # In a folder that hands on its group, those within do the same.
        return 0o700 | found & (stat.S_IRWXG | stat.S_ISGID)
    return 0o600 | found & (stat.S_IRGRP | stat.S_IWGRP)


@contextmanager
def storing_at(path: Path) -> Iterator[None]:
    """Say plainly when the disk is full or the folder is not ours."""
    try:
        yield
    except AppError:
        raise
    except OSError as error:
        named = Path(str(error.filename)) if error.filename is not None else path
        # Making the folder may have failed above it.
        if not _is_below(named, path.parent) and not _is_below(path, named):
            raise  # about another file, read while this one was written
        raise SetupError(
            Sentence(
                "%(folder)s cannot be written (%(error)s). Free some space or correct the "
                "folder's permissions.",
                folder=str(path.parent),
                error=error.strerror,
            )
        ) from error


def try_writing() -> None:
    """Write a little into the store and remove it again; raises OSError where that fails."""
    folder = store_folder()
    make_folder(folder)
    draft = folder / f"{_TEMPORARY}{secrets.token_hex(8)}"
    try:
        with draft.open("xb") as stream:
            stream.write(bytes(_TRIED_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    finally:
        draft.unlink(missing_ok=True)


def is_full() -> bool:
    """Whether the disk of the store has no room left; False where that cannot be told."""
    try:
        return shutil.disk_usage(store_folder()).free < _TRIED_BYTES
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- Tidying --------------------------------------------------------------------------------


def remove_old_uploads(older_than: timedelta) -> int:
    """Forget uploads that no import came back for; how many."""
    return _remove_older(list_files(store_folder() / "uploads"), older_than)


def remove_project_files(project_id: int, adapter_digests: Iterable[str]) -> None:
    """Remove the files of a deleted project: its releases, and adapters of no other."""
    for folder in (store_folder() / "releases").glob(f"{project_id}-*"):
        shutil.rmtree(folder, ignore_errors=True)
    for digest in adapter_digests:
        shutil.rmtree(adapter_folder(digest), ignore_errors=True)


def remove_images(digests: Iterable[str]) -> None:
    """Remove images with their smaller versions, also those that older rules made; a file that
    cannot be removed stays. The caller deletes their rows and has not committed that yet."""
    store = store_folder()
    homes = [store / "images", *store.glob("resized/*"), *store.glob("resized/v*/*")]
    for digest in digests:
        _check_digest(digest)
        for home in homes:
            for ending in MEDIA_TYPES:
                try:
                    (home / digest[:2] / f"{digest}{ending}").unlink(missing_ok=True)
                except OSError as error:
                    logger.warning("an image without a row stays in the store: %s", error)


def list_files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder):
        for name in sorted(names):
            yield Path(parent, name)


def _remove_older(paths: Iterable[Path], older_than: timedelta) -> int:
    limit = time.time() - older_than.total_seconds()
    n_removed = 0
    for path in paths:
        with suppress(FileNotFoundError):  # another process tidies too
            if path.stat().st_mtime < limit:
                path.unlink()
                n_removed += 1
    return n_removed


def _check_digest(digest: str) -> None:
    # Digests come from rows and addresses; a path must not be made of anything else.
    if not _SHA256.fullmatch(digest):
        raise ValueError(f"{digest!r} is no sha256")


def _is_below(path: Path, folder: Path) -> bool:
    return path.absolute().is_relative_to(folder.absolute())
