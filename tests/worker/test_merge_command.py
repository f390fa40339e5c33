"""`illume model merge`: from an adapter in the store to a folder that any program can load."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from sqlalchemy.orm import Session, sessionmaker

from app.kit.storage import adapters_folder
from app.lifecycle import Job, RunStatus
from app.models import Adapter
from tests.support.command_line import output_of, refusal_of
from tests.support.factories import make_project, make_run
from tests.support.models.families import build_llava
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import PromptText, explained
from worker.ml.model.adapters import publish_adapter
from worker.ml.model.attached import attach_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.training.train import train_lora
from worker.ml.types import LoraSettings, TrainConfig


def trained_adapter(vlm: Vlm, folder: Path, image: Path) -> Path:
    """An adapter that changes what the model says, in the store."""
    row = explained(image, "what is it?", "red", "it is red", ", seeing that")
    train_lora(
        vlm,
        [row],
        [],
        TrainConfig(epochs=2, batch_size=1, learning_rate=0.05, warmup_share=0.0),
        LoraSettings(rank=2),
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
    )
    return publish_adapter(folder / "adapter", adapters_folder(), {})[1]


def logits_of(vlm: Vlm, image: Path) -> torch.Tensor:
    row = encoder_of(vlm).row(image, PromptText("<image>Q: what is it? A:", " red"))
    with torch.no_grad():
        found: torch.Tensor = vlm.model(**collate(vlm, [row], pad="left")).logits
    return found


@pytest.mark.slow
def test_the_merged_model_says_what_base_and_adapter_say(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    image = tmp_path / "one.png"
    Image.new("RGB", (56, 56), (200, 20, 20)).save(image)
    build_llava(tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    bare = logits_of(vlm, image)
    folder = trained_adapter(vlm, tmp_path, image)
    with database.begin() as session:
        project = make_project(session, name="Scenes")
        slug = project.slug
        run = make_run(session, project, Job.TRAIN, status=RunStatus.RUNNING)
        session.add(
            Adapter(
                project_id=project.id,
                run_id=run.id,
                run_attempt=run.attempt,
                base_model=str(tmp_path / "model"),
                base_revision=vlm.revision,
                digest=folder.name,
            )
        )
    out = tmp_path / "merged"
    assert f"illume-{folder.name[:16]}" in output_of("model", "merge", slug, str(out))
    merged = logits_of(load_vlm(str(out), device="cpu"), image)
    adapted = logits_of(attach_adapter(vlm, folder), image)
    assert torch.allclose(merged, adapted, atol=1e-4)
    assert not torch.allclose(merged, bare, atol=1e-2)
    assert "is there already" in refusal_of("model", "merge", folder.name[:16], str(out))
    assert "neither a project" in refusal_of("model", "merge", "nothing", str(tmp_path / "x"))


def test_of_several_adapters_one_is_asked_for(
    database: sessionmaker[Session], tmp_path: Path
) -> None:
    with database.begin() as session:
        project = make_project(session, name="Scenes")
        slug = project.slug
        for role, digests in {"observer": ("a" * 64, "c" * 64), "reasoner": ("b" * 64,)}.items():
            for digest in digests:
                run = make_run(session, project, Job.TRAIN, status=RunStatus.RUNNING)
                run.strategy, run.role = "monologue", role
                session.add(
                    Adapter(
                        project_id=project.id,
                        run_id=run.id,
                        run_attempt=run.attempt,
                        base_model="demo",
                        base_revision="0" * 64,
                        digest=digest,
                    )
                )
                session.flush()
    said = refusal_of("model", "merge", slug, str(tmp_path / "merged"))
    assert f"monologue observer {'c' * 16}" in said
    assert f"monologue reasoner {'b' * 16}" in said
    assert "a" * 16 not in said, "an older one of the same role is not offered"
    assert not (tmp_path / "merged").exists()


@pytest.mark.usefixtures("database")
def test_help_has_an_example() -> None:
    assert "illume model merge scenes" in output_of("model", "merge", "--help")
