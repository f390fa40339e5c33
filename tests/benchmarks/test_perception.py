"""The benchmark of interactive perception: what is asked, what it is compared with, its tables."""

import pytest
import torch

from app.scenes.scene import is_held_out
from benchmarks.strategies.perception.arms import measure_base
from benchmarks.strategies.perception.bench import Bench, cell_of
from benchmarks.strategies.perception.plan import plan
from benchmarks.strategies.perception.resampler import Resampler
from benchmarks.strategies.perception.tables import LINES, print_perception
from benchmarks.support.cells import Config, Result
from worker.ml.inputs.perceiving import perception_modules
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.modules.perception import build_perception
from worker.ml.types import AdapterSettings

CELL: Config = {"scale": "quick", "seed": 0, "arm": "base"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(CELL, tmp_path_factory.mktemp("bench"), torch.get_num_threads())


def test_what_is_asked_stands_where_the_question_says(bench: Bench) -> None:
    items = bench.test_items()
    assert all(is_held_out(one.scene) for one in items)
    for one in items[:20]:
        (thing,) = [thing for thing in one.scene.objects if thing.cell == cell_of(one)]
        assert one.question.answer in (thing.color, thing.shape, thing.size, thing.material)
    assert bench.lessons()[0].is_caption


def test_both_have_as_many_parameters(bench: Bench) -> None:
    wanted = AdapterSettings(None, modules=perception_modules())
    options = fit_adapter(bench.shop.vlm, wanted).modules["perception"].options
    own = sum(p.numel() for p in build_perception(None, "", options).parameters())
    own += 4 * 128  # the tokens of the request
    for k in (2, 4):
        static = sum(p.numel() for p in Resampler(128, 10, k).parameters())
        assert static == pytest.approx(own, rel=0.03)


def test_a_resampler_fills_all_places_with_few_vectors() -> None:
    torch.manual_seed(0)
    made = Resampler(16, 10, 2)(torch.randn(3, 10, 16))
    assert made.shape == (3, 10, 16)
    assert torch.linalg.matrix_rank(made[0] - made[0].mean(0), tol=1e-4) <= 1


@pytest.mark.slow
def test_the_base_reads_its_places_and_little_of_their_mean(bench: Bench) -> None:
    found = measure_base(bench)
    assert found["right"] > 0.95
    assert found["mean"] < 0.75
    assert found["other_picture"] < 0.6


def test_tables_show_every_arm_that_is_planned(capsys: pytest.CaptureFixture[str]) -> None:
    print_perception([])
    assert "Nothing is measured yet." in capsys.readouterr().out
    numbers = dict.fromkeys(("right", "zero", "swapped", "none", "other_picture", "mean"), 0.5)
    result: Result = numbers | {"others": {"count": 0.3}, "parameters": 1, "train_seconds": 2.0}
    print_perception([(config, result) for config in plan("full", 0)])
    shown = capsys.readouterr().out
    assert all(name in shown for name, _ in LINES)
    assert "0 of 1" in shown
