"""Switches adapters on a model: several are held in memory by name, and files are read once.

An adapter's name is its folder, which in the store is its digest (adapters.py). It is read once;
afterwards switching puts its modules into their places, or the model's own. A text that is sampled
with A, after B was on, is the one that a fresh load of A gives, to the bit.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.ml.model.adapters import META_FILE
from worker.ml.model.contents import (
    inject_adapter,
    put_on,
    refuse_folder_of_other_base,
    remove_adapters,
)
from worker.ml.model.loading import FileMark, HeldAdapter, Vlm

HELD_BYTES = 512 * 2**20
"""Of all adapters that a model holds, unless the one that is on is larger."""


def attach_adapter(vlm: Vlm, folder: Path | None) -> Vlm:
    """Puts the adapter of `folder` on the model in place of the one that is on; None takes it off.
    The base weights are neither copied nor changed; the same `vlm` is returned. An adapter that is
    held is not read again, unless its files were written anew.

    Raises AdapterError if the adapter is damaged or made for another base; the base is then bare.
    """
    mark = _file_mark(folder)
    if folder == vlm.adapter and mark == vlm.memo.get("adapter_mark"):
        return vlm
    remove_adapters(vlm.model)
    vlm.adapter = None
    if folder is not None:
        _put_on(vlm, folder, mark)
        vlm.adapter = folder
        vlm.memo["adapter_mark"] = mark
    vlm.model.eval()
    return vlm


@contextmanager
def adapter_attached(vlm: Vlm, folder: Path | None) -> Iterator[Vlm]:
    """Switches the adapter of `folder` on within the block; afterwards the one that was on before
    is on again.
    """
    before = vlm.adapter
    try:
        yield attach_adapter(vlm, folder)
    finally:
        attach_adapter(vlm, before)


def forget_unused(vlm: Vlm, max_bytes: int = HELD_BYTES) -> None:
    """Drops the adapters that were used longest ago until the others need at most `max_bytes`; the
    one used last stays."""
    needed = sum(held.adapter.n_bytes for held in vlm.held.values())
    while needed > max_bytes and len(vlm.held) > 1:
        _, dropped = vlm.held.popitem(last=False)
        needed -= dropped.adapter.n_bytes


def _put_on(vlm: Vlm, folder: Path, mark: FileMark) -> None:
    held = vlm.held.pop(folder, None)
    if held is not None and held.mark == mark:
        put_on(vlm.model, held.adapter)
    else:
        refuse_folder_of_other_base(folder, vlm.revision)
        held = HeldAdapter(mark, inject_adapter(vlm.model, folder))
    vlm.held[folder] = held
    forget_unused(vlm)


def _file_mark(folder: Path | None) -> FileMark:
    if folder is None or not folder.is_dir():
        return None
    paths = [path for path in folder.rglob("*") if path != folder / META_FILE and path.is_file()]
    found = [(path.relative_to(folder).as_posix(), path.stat()) for path in sorted(paths)]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)
