"""trl's trainers take one step on a release, with its pictures, and nobody maps a column."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.lifecycle import DecidedBy
from app.services.releases.releases import ReleaseFormat, create_release, write_release
from tests.support.dataset_files import offline, own_store
from tests.support.models.families import build_idefics3
from tests.support.released_project import make_released_project

pytestmark = pytest.mark.slow

STEP = """
import json, sys
from datasets import load_dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

TRAINERS = {
    "huggingface": (SFTTrainer, SFTConfig),
    "parquet": (SFTTrainer, SFTConfig),
    "preference": (DPOTrainer, DPOConfig),
    "kto": (KTOTrainer, KTOConfig),
}
model_folder, work = sys.argv[1:3]
steps = {}
for name, folder in json.loads(sys.argv[3]).items():
    kind, config = TRAINERS[name]
    arguments = config(
        f"{work}/{name}", max_steps=1, per_device_train_batch_size=2, max_length=None,
        use_cpu=True, bf16=False, report_to="none", save_strategy="no", logging_steps=1,
    )
    trainer = kind(
        model=AutoModelForImageTextToText.from_pretrained(model_folder),
        args=arguments,
        train_dataset=load_dataset(folder, split="train"),
        processing_class=AutoProcessor.from_pretrained(model_folder),
    )
    seen = []
    forward = trainer.model.forward
    def watched(*given, **named):
        seen.append(named.get("pixel_values") is not None)
        return forward(*given, **named)
    trainer.model.forward = watched
    loss = trainer.train().training_loss
    steps[name] = {"loss": loss, "saw_pictures": any(seen)}
print(json.dumps(steps))
"""


@pytest.fixture(autouse=True)
def store(services: object, tmp_path: Path) -> Iterator[Path]:
    with own_store(tmp_path) as folder:
        yield folder


def test_sft_dpo_and_kto_take_a_step_from_the_folders_as_they_are(
    session: Session, tmp_path: Path
) -> None:
    project, _ = make_released_project(session, tmp_path)
    release = create_release(session, project, actor=None)
    folders = {}
    for format in (
        ReleaseFormat.HUGGINGFACE,
        ReleaseFormat.PARQUET,
        ReleaseFormat.PREFERENCE,
        ReleaseFormat.KTO,
    ):
        out = tmp_path / format
        write_release(session, release, format=format, out=out, by=DecidedBy.JUDGEMENT)
        folders[format.value] = str(out)
    build_idefics3(tmp_path / "model")
    done = subprocess.run(
        [sys.executable, "-c", STEP, str(tmp_path / "model"), str(tmp_path), json.dumps(folders)],
        env=offline(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    steps = json.loads(done.stdout.splitlines()[-1])
    assert steps.keys() == folders.keys()
    for step in steps.values():
        assert step["loss"] > 0
        assert step["saw_pictures"]
