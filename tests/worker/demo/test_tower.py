"""The tower learns by itself to tell apart what stands in the cells."""

import pytest
import torch

from worker.demo.architecture import build_model, build_processor
from worker.demo.pixels import CellPixels
from worker.demo.tower import train_tower


@pytest.mark.slow
def test_a_few_steps_teach_the_tower_more_than_chance_and_leave_the_rest_alone() -> None:
    processor = build_processor()
    torch.manual_seed(0)
    model = build_model(processor.tokenizer)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    shares: list[float] = []
    train_tower(
        model,
        CellPixels(processor),
        seed=0,
        n_steps=30,
        batch_size=16,
        on_step=lambda _, share: shares.append(share),
    )
    assert sum(shares[-5:]) > 2 * sum(shares[:5])
    changed = {
        name for name, value in model.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed
    assert all("vision_tower" in name for name in changed)
