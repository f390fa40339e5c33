"""A downloaded adapter is loaded by the lines of code on its card."""

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.kit.storage import adapters_folder
from app.models import Adapter
from app.queries.rounds.adapters import find_trained_adapter
from app.services.releases.adapters import prepare_download, stream_zip
from tests.support.dataset_files import own_store
from tests.support.models.families import build_llava
from tests.support.models.parts import write_random
from tests.support.released_project import make_released_project
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.loading import load_vlm
from worker.ml.types import AdapterSettings, LoraSettings

# peft's own, of names that transformers will give up.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def test_the_code_on_the_card_loads_it(session: Session, tmp_path: Path) -> None:
    model_folder = tmp_path / "tiny"
    build_llava(model_folder)
    vlm = load_vlm(str(model_folder), device="cpu")
    settings = AdapterSettings(lora=LoraSettings(rank=2, dropout=0.0))
    written = write_random(vlm, tmp_path / "written", settings)
    digest, _ = publish_adapter(written, adapters_folder(), {"base_model": str(model_folder)})
    project, _ = make_released_project(session, tmp_path)
    adapter = session.scalars(select(Adapter)).one()
    adapter.digest, adapter.base_model = digest, str(model_folder)
    session.flush()
    trained = find_trained_adapter(session, adapter.id)
    assert trained is not None
    content = b"".join(stream_zip(prepare_download(session, project, trained)))
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        packed.extractall(tmp_path / "fetched")

    (code,) = FENCE.findall((tmp_path / "fetched/README.md").read_text(encoding="utf-8"))
    code = code.replace('"tiny"', repr(str(model_folder)))
    code = code.replace('"path/to/this/folder"', repr(str(tmp_path / "fetched")))
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - what people would copy from the card
    adapted = [name for name, _ in names["model"].named_parameters() if "lora_B" in name]
    assert adapted
    changed = names["model"].state_dict()[adapted[0]]
    assert torch.count_nonzero(changed)
