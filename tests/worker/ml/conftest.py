"""A tiny LLaVA, loaded once per test process, and pictures to show to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.support.models.families import build_llava, write_pictures
from worker.ml.inputs.prompts import explained
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.types import Example

OPENER = ", seeing that"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def llava_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "llava"
    build_llava(folder)
    return folder


@pytest.fixture(scope="session")
def llava(llava_folder: Path) -> Vlm:
    return load_vlm(str(llava_folder), device="cpu")


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 4)


@pytest.fixture(scope="session")
def rows(pictures: list[Path]) -> list[Example]:
    """Two rows with a rationale, two without."""
    question = "what colour is the cube ?"
    rationales = ["the cube is red", "the ball on the left is blue", None, None]
    answers = ["red", "blue", "green", "two"]
    return [
        explained(picture, question, answer, rationale, OPENER)
        for picture, answer, rationale in zip(pictures, answers, rationales, strict=True)
    ]
