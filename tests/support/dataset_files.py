"""Data files and stores for tests of imports and releases, and what `datasets` reads in them."""

import csv
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as PillowImage
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.kit.settings import get_settings
from app.models import Image, Item, Project, ProjectImage
from app.services.dataset.imports import ImportReport, import_dataset, read_dataset

Row = dict[str, Any]


@contextmanager
def own_store(folder: Path) -> Iterator[Path]:
    """A store for one test, empty at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORE", str(folder / "store"))
        get_settings.cache_clear()
        yield folder / "store"
    get_settings.cache_clear()


def picture(number: int = 0, size: tuple[int, int] = (64, 48), format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    color = (number % 256, number // 256 % 256, 77)
    PillowImage.new("RGB", size, color).save(buffer, format)
    return buffer.getvalue()


def row(number: int = 1, **changes: Any) -> Row:
    values: Row = {
        "id": f"q{number}",
        "image": f"{number}.png",
        "question": "what color is the ball?",
        "answer": "red",
        "rationales": ["the ball is red"],
        "split": "train",
    }
    values.update(changes)
    return {name: value for name, value in values.items() if value is not ...}


def write_images(folder: Path, names: Sequence[str] = ("1.png", "2.png", "3.png")) -> Path:
    """Different images of these names in `folder/images`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names, start=1):
        (folder / "images" / name).write_bytes(picture(number))
    return folder / "images"


def write_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(values) + "\n" for values in rows), encoding="utf-8")
    return path


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def jsonl(rows: Sequence[Row]) -> bytes:
    return "".join(json.dumps(values) + "\n" for values in rows).encode()


def blank_png(width: int, height: int) -> bytes:
    """A valid PNG of one bit per pixel, small on disk whatever its size in pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    packer = zlib.compressobj(9)
    n_bytes, block = height * (1 + (width + 7) // 8), bytes(1 << 20)
    blocks = [packer.compress(block[: n_bytes - at]) for at in range(0, n_bytes, len(block))]
    packed = b"".join(blocks) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def load(session: Session, project: Project, *paths: Path, update: bool = False) -> ImportReport:
    """Imports files into a project, with the session reading anew what is stored then."""
    with read_dataset(paths) as parsed:
        report = import_dataset(session, project, parsed, update=update, actor=None)
    session.flush()
    session.expire_all()
    return report


def stored_files(store: Path) -> list[str]:
    return sorted(path.name for path in store.rglob("*") if path.is_file())


def count_rows(session: Session) -> tuple[int, int, int]:
    """Items, images of projects, images."""
    counts = [
        session.scalar(select(func.count()).select_from(table)) or 0
        for table in (Item, ProjectImage, Image)
    ]
    return counts[0], counts[1], counts[2]


# --- With the library `datasets`, as people do who got a release --------------------------------

LOAD = """
import json, sys
from datasets import load_dataset

def describe(rows):
    rows_read = [
        {**row, "image": [row["image"].size, row["image"].getpixel((0, 0))]}
        if hasattr(row.get("image"), "size")
        else row
        for row in rows
    ]
    return {"types": {name: str(kind) for name, kind in rows.features.items()}, "rows": rows_read}

calls = json.loads(sys.argv[1])
print(json.dumps([describe(load_dataset(**call, split="train")) for call in calls]))
"""


def offline(folder: Path) -> dict[str, str]:
    """The environment of a process that keeps its cache in a folder and asks no hub."""
    return {**os.environ, "HF_HOME": str(folder / "cache"), "HF_HUB_OFFLINE": "1"}


def load_with_datasets(tmp_path: Path, *calls: dict[str, str]) -> list[dict[str, Any]]:
    """In a process of its own: the library reads its settings when it is imported."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(calls)],
        env=offline(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    loaded: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return loaded
