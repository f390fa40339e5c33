"""A torchvision that cannot be used costs nothing but the models that need one."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from transformers import AutoConfig

from tests.support.command_line import REPOSITORY
from tests.support.models.families import build_llava
from worker.ml.errors import ModelUnusableError
from worker.ml.model.processing import load_processor
from worker.ml.model.vision import hide_broken_torchvision, is_installed

SAID = "operator torchvision::nms does not exist"
# What a worker does with two models, in a process where torchvision is broken.
LOOK = """
import sys
from worker.ml.model.vision import hide_broken_torchvision
from worker.ml.check import check_model  # imports all that a worker does
from worker.ml.errors import ModelUnusableError
from worker.ml.model.loading import load_vlm
from transformers.utils import is_torchvision_available

print(hide_broken_torchvision())
print(is_torchvision_available())
print(type(load_vlm(sys.argv[1], device="cpu").processor).__name__)
try:
    load_vlm(sys.argv[2], device="cpu")
except ModelUnusableError as error:
    print(error.message)
"""


def ask_for_torchvision(folder: Path) -> None:
    """Makes a LLaVA's folder one whose processor is Pixtral's."""
    for name in ("processor_config.json", "tokenizer_config.json"):
        path = folder / name
        content = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps(content | {"processor_class": "PixtralProcessor"}))


@pytest.fixture(scope="module")
def llava_and_pixtral(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("models")
    for name in ("llava", "pixtral"):
        build_llava(folders / name)
    ask_for_torchvision(folders / "pixtral")
    return folders / "llava", folders / "pixtral"


def test_a_model_that_needs_torchvision_says_so(llava_and_pixtral: tuple[Path, Path]) -> None:
    if is_installed():
        pytest.skip("torchvision is installed here")
    _, pixtral = llava_and_pixtral
    assert hide_broken_torchvision() is None
    with pytest.raises(ModelUnusableError) as refusal:
        load_processor(pixtral, AutoConfig.from_pretrained(pixtral), "pixtral")
    assert refusal.value.message.startswith(
        "pixtral needs torchvision for its pictures, which is not installed. Install: pip install "
        "'illume[vision]'"
    )
    assert "Its folder needs" not in refusal.value.message


@pytest.mark.slow
def test_a_broken_torchvision_stops_only_the_models_that_need_it(
    llava_and_pixtral: tuple[Path, Path], tmp_path: Path
) -> None:
    package = tmp_path / "torchvision"
    (package / "ops").mkdir(parents=True)
    (package / "ops" / "__init__.py").write_text("")
    (package / "__init__.py").write_text(f"import torchvision.ops\nraise RuntimeError({SAID!r})\n")
    metadata = tmp_path / "torchvision-0.28.0.dist-info"
    metadata.mkdir()
    lines = ("Metadata-Version: 2.1", "Name: torchvision", "Version: 0.28.0")
    (metadata / "METADATA").write_text("".join(f"{line}\n" for line in lines))
    places = os.pathsep.join([str(tmp_path), str(REPOSITORY)])
    ended = subprocess.run(
        [sys.executable, "-c", LOOK, *map(str, llava_and_pixtral)],
        check=False,
        env={**os.environ, "PYTHONPATH": places},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    trouble, is_available, processor, refusal = ended.stdout.splitlines()[-4:]
    assert trouble.startswith(
        f"torchvision 0.28.0 cannot be imported beside torch {version('torch')} ({SAID}), so "
        "ILLUME does without it. Install the build that matches"
    )
    label = version("torch").partition("+")[2]
    assert f"'torchvision==0.28.0{f'+{label}' if label else ''}'" in trouble
    assert (is_available, processor) == ("False", "LlavaProcessor")
    assert refusal == f"{llava_and_pixtral[1]} needs torchvision for its pictures. {trouble}"
