"""The loop of the recipe: same rows for a step, resumable, loss falls."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from worker.demo.architecture import build_model, build_processor
from worker.demo.pixels import CellPixels
from worker.demo.training import BLOCK, Phase, Progress, Recipe, rows_from, train

PROCESSOR = build_processor()
RECIPE = Recipe(
    seed=3,
    batch_size=2,
    warmup_steps=2,
    decay_steps=4,
    phases=(
        Phase("look", BLOCK, (8, 0, 0, 0, 0, 0, 0)),
        Phase("talk", 2 * BLOCK, (1, 1, 1, 2, 1, 1, 1)),
    ),
)


@pytest.fixture(scope="module")
def cells() -> CellPixels:
    return CellPixels(PROCESSOR)


def new_model() -> LlavaForConditionalGeneration:
    torch.manual_seed(0)
    return build_model(PROCESSOR.tokenizer)


def trained(recipe: Recipe, cells: CellPixels, file: Path, *, until: int) -> list[Progress]:
    """Train as far as step `until`, as if stopped there."""
    seen: list[Progress] = []
    model = new_model()
    train(
        model,
        PROCESSOR.tokenizer,
        cells,
        replace(recipe, phases=tuple(p for p in recipe.phases if p.until <= until)),
        state_file=file,
        on_step=seen.append,
    )
    return seen


def test_rows_of_a_step_do_not_depend_on_where_the_training_began() -> None:
    everything = list(rows_from(RECIPE, 0))
    assert len(everything) == RECIPE.n_steps
    for start in (1, BLOCK - 1, BLOCK, BLOCK + 3):
        assert list(rows_from(RECIPE, start)) == everything[start:]


def test_a_recipe_may_end_within_a_block() -> None:
    phases = (Phase("look", BLOCK + 3, (8, 0, 0, 0, 0, 0, 0)),)
    assert len(list(rows_from(replace(RECIPE, phases=phases), 0))) == BLOCK + 3


def test_seeds_give_different_rows() -> None:
    other = replace(RECIPE, seed=4)
    one, two = (next(iter(rows_from(recipe, 0))) for recipe in (RECIPE, other))
    assert one != two


@pytest.mark.slow
def test_a_resumed_training_goes_on_as_if_it_had_never_stopped(
    cells: CellPixels, tmp_path: Path
) -> None:
    whole = replace(RECIPE, decay_steps=1)
    straight = trained(whole, cells, tmp_path / "straight.pt", until=2 * BLOCK)
    trained(whole, cells, tmp_path / "parts.pt", until=BLOCK)
    resumed = trained(whole, cells, tmp_path / "parts.pt", until=2 * BLOCK)
    assert [p.step for p in resumed] == list(range(BLOCK + 1, 2 * BLOCK + 1))
    assert resumed[-1].loss == pytest.approx(straight[-1].loss, rel=1e-4)


def test_a_state_of_another_seed_is_refused(cells: CellPixels, tmp_path: Path) -> None:
    trained(RECIPE, cells, tmp_path / "state.pt", until=BLOCK)
    with pytest.raises(ValueError, match="seed"):
        trained(replace(RECIPE, seed=9), cells, tmp_path / "state.pt", until=BLOCK)


def test_the_deadline_stops_the_training_and_keeps_its_state(
    cells: CellPixels, tmp_path: Path
) -> None:
    steps = train(
        new_model(),
        PROCESSOR.tokenizer,
        cells,
        RECIPE,
        state_file=tmp_path / "state.pt",
        deadline=0.0,
        on_step=lambda _: None,
    )
    assert steps == 1
    assert (tmp_path / "state.pt").exists()


@pytest.mark.slow
def test_loss_falls(cells: CellPixels, tmp_path: Path) -> None:
    recipe = replace(
        RECIPE, phases=(Phase("look", 3 * BLOCK, (8, 0, 0, 0, 0, 0, 0)),), warmup_steps=10
    )
    seen = trained(recipe, cells, tmp_path / "state.pt", until=3 * BLOCK)
    assert sum(p.loss for p in seen[-4:]) / 4 < 0.5 * seen[0].loss


def test_the_learning_rate_warms_up_and_decays() -> None:
    recipe = Recipe()
    rates = [recipe.learning_rate_at(step) for step in range(recipe.n_steps)]
    assert rates[0] < rates[100] < rates[recipe.warmup_steps] == max(rates)
    assert rates[-1] < 0.06 * max(rates)
