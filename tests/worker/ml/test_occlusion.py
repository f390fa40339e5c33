"""Maps of where a model looked: what hiding a place does, what it takes, and short memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.models.families import build_qwen, write_pictures
from tests.support.models.parts import write_random
from worker.ml.errors import DeviceError, ModelUnusableError
from worker.ml.inputs.perceiving import perception_modules
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.attached import adapter_attached
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.occlusion import LookMap, make_map
from worker.ml.sampling.generate import sample
from worker.ml.types import AdapterSettings, Draw, Prompt, SampleConfig

ASKED = "what colour is the cube ?"
LOOKING = AdapterSettings(None, modules=perception_modules())
N_PLACES = 4  # of tiny LLaVA's pictures
N_WHOLE = 1  # the picture of which nothing is hidden


@pytest.fixture(scope="module")
def adapter(llava: Vlm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random(llava, tmp_path_factory.mktemp("adapter"), fit_adapter(llava, LOOKING))


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures"), 1)[0]


@contextmanager
def each_batch(vlm: Vlm, tell: Callable[[int], None]) -> Iterator[None]:
    """Tells the rows of each batch that the model is handed."""

    def hand(_: torch.nn.Module, __: Any, named: dict[str, Any]) -> None:
        given = named.get("input_ids")
        tell(len(given if given is not None else named["inputs_embeds"]))

    hook = vlm.model.register_forward_pre_hook(hand, with_kwargs=True)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def memory_for(vlm: Vlm, n_rows: int) -> Iterator[list[int]]:
    """Memory for batches of so many rows: of a larger one torch says that it does not fit. Holds
    the rows of those that did."""
    fitted: list[int] = []

    def tell(rows: int) -> None:
        if rows > n_rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        fitted.append(rows)

    with each_batch(vlm, tell):
        yield fitted


def made(vlm: Vlm, adapter: Path, picture: Path) -> LookMap:
    with adapter_attached(vlm, adapter):
        return make_map(vlm, picture, ASKED, "red")


def test_a_map_tells_what_hiding_a_place_does(llava: Vlm, adapter: Path, picture: Path) -> None:
    found = made(llava, adapter, picture)
    assert (found.rows, found.columns, len(found.occlusion)) == (2, 2, N_PLACES)
    assert any(fall != 0 for fall in found.occlusion)
    assert 0 < found.probability < 1
    assert found.attention is not None
    assert sum(found.attention) == pytest.approx(1, abs=1e-3)
    draw = Draw(Prompt(picture, ASKED, None, ""), 0.01, 0)
    config = SampleConfig(max_new_tokens=16, top_k_share=1.0)
    with adapter_attached(llava, adapter):
        [without] = sample(llava, [draw], config, request="none")
    assert found.without == without.text


def test_without_a_perception_there_is_nothing_to_see(llava: Vlm, picture: Path) -> None:
    with pytest.raises(ModelUnusableError, match="has no perception on"):
        make_map(llava, picture, ASKED, "red")


def test_it_says_how_much_went_through_the_model(llava: Vlm, adapter: Path, picture: Path) -> None:
    made(llava, adapter, picture)  # what is found out once about a model is no part of its price
    batches: list[int] = []
    with each_batch(llava, batches.append):
        found = made(llava, adapter, picture)
    assert (found.n_passes, found.n_rows) == (len(batches), sum(batches))
    requests, answers, *words = batches
    assert requests == answers == N_PLACES + N_WHOLE
    assert set(words) == {1}
    with memory_for(llava, 2) as fitted:
        less = made(llava, adapter, picture)
    assert fitted[: 2 * 3] == [2, 2, 2, 2, 1, 1]
    assert less.n_passes > found.n_passes


@pytest.mark.parametrize("n_rows", [1, 2, 4])
def test_where_memory_is_short_it_takes_fewer_rows_at_a_time(
    llava: Vlm, adapter: Path, picture: Path, n_rows: int
) -> None:
    whole = made(llava, adapter, picture)
    with memory_for(llava, n_rows) as fitted:
        found = made(llava, adapter, picture)
    assert max(fitted) <= n_rows
    assert found.occlusion == pytest.approx(whole.occlusion, abs=1e-4)
    assert found.probability == pytest.approx(whole.probability, abs=1e-4)
    assert found.attention == whole.attention
    assert found.without == whole.without
    assert "batch_rows" not in llava.memo, "draws have room of another kind"


def test_where_not_one_row_fits_it_says_so(llava: Vlm, adapter: Path, picture: Path) -> None:
    with memory_for(llava, 0), pytest.raises(DeviceError, match="does not hold the model and one"):
        made(llava, adapter, picture)
    assert made(llava, adapter, picture).n_passes > 2


def test_a_fine_picture_goes_through_in_lots(tmp_path: Path) -> None:
    """Nine rows and columns are 82 rows, each of which holds all the finer places."""
    build_qwen(tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    n_places = 12 * 12
    vlm.processor.image_processor.size["longest_edge"] = n_places * 28 * 28
    [picture] = write_pictures(tmp_path / "pictures", 1, (12 * 28, 12 * 28))
    adapter = write_random(vlm, tmp_path / "adapter", fit_adapter(vlm, LOOKING))
    batches: list[int] = []
    with each_batch(vlm, batches.append):
        found = made(vlm, adapter, picture)
    assert (found.rows, found.columns) == (9, 9)
    several = [rows for rows in batches if rows > 6]  # fewer are of the words without a request
    assert several == [50, 50, 32, 32], "requests and answers, in two lots"
