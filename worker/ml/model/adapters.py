"""Finished adapters in a content-addressed store: a folder per adapter, named by its digest."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from worker.ml.errors import AdapterError
from worker.ml.model.contents import is_adapter
from worker.ml.model.lora import CONFIG_FILE, WEIGHTS_FILE
from worker.ml.model.modules.files import LIST_FILE

META_FILE = "meta.json"


def content_digest(folder: Path) -> str:
    """Returns sha256 (hex) over the sorted file names and bytes of an adapter, its folders' too;
    its meta.json does not count, so that the same weights are the same adapter whoever trained
    them.
    """
    digest = hashlib.sha256()
    files = [p for p in folder.rglob("*") if p.is_file() and p != folder / META_FILE]
    for path in sorted(files, key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix().encode()
        data = path.read_bytes()
        digest.update(f"{len(name)}:".encode() + name + f"{len(data)}:".encode() + data)
    return digest.hexdigest()


def publish_adapter(source: Path, store: Path, meta: Mapping[str, object]) -> tuple[str, Path]:
    """Copies an adapter into the store and returns (digest, folder in the store). Appears whole or
    not at all, also when the machine stops.

    The copy is made under a temporary name, written through to the disk and renamed in one step to
    store/<digest>. If that is there already, it is kept as it is, its meta.json included.
    Raises AdapterError if `source` holds no adapter.
    """
    if not is_adapter(source):
        raise AdapterError(
            f"{source} holds no {CONFIG_FILE} with {WEIGHTS_FILE} and no {LIST_FILE}; there is "
            "nothing to publish."
        )
    digest = content_digest(source)
    place = store / digest
    if place.is_dir():
        return digest, place
    store.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".publish-", dir=store))
    try:
        shutil.copytree(source, temporary, dirs_exist_ok=True)
        text = json.dumps(dict(meta), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        (temporary / META_FILE).write_text(text)
        temporary.chmod(0o755)  # mkdtemp makes it private; the store is read by other users
        sync_tree(temporary)
        try:
            temporary.rename(place)
        except OSError:
            if not place.is_dir():  # otherwise another process was faster: the same content
                raise
        sync_folder(store)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return digest, place


def verify_adapter(folder: Path) -> str:
    """Returns the digest of a published adapter. Raises AdapterError if its content is not what its
    name says.
    """
    if not folder.is_dir():
        raise AdapterError(
            f"The adapter {folder.name} is not in the store. Restore the store from its backup, or "
            "train the round again."
        )
    digest = content_digest(folder)
    if digest != folder.name:
        raise AdapterError(
            f"The adapter {folder.name} is damaged: its content has the digest {digest}. Restore "
            "the store from its backup, or train the round again."
        )
    return digest


def sync_tree(folder: Path) -> None:
    """Writes every file and folder below through to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        elif path.is_dir():
            sync_folder(path)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable (a rename is only that once its folder is written)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
