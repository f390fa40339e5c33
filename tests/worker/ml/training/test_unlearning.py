"""What is to be said less becomes less probable, and what is to be said does not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from worker.ml.errors import Stopped
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.attached import adapter_attached
from worker.ml.model.loading import Vlm
from worker.ml.reinforcement.scores import score
from worker.ml.training.losses import encode_example
from worker.ml.training.train import train_lora
from worker.ml.types import (
    ASKER,
    DROPPED,
    Example,
    LoraSettings,
    Part,
    TrainConfig,
    TrainProgress,
    TrainReport,
)

CONFIG = TrainConfig(
    epochs=6, batch_size=4, learning_rate=1e-2, warmup_share=0.05, patience=None, seed=4
)
LORA = LoraSettings(rank=8, dropout=0.0)
KEPT, VAIN = ("what colour is the cube ?", "how many ?"), ("is there a ring ?", "what is it ?")


def asked(picture: Path, question: str, loss: str) -> Example:
    """A question that the model asks behind a description."""
    turn = (Part("", None, turn="user"), Part("", None, turn=ASKER))
    described = Part("there is a red cube", None, is_apart=True)
    own = Part(question, loss, is_apart=True)
    return Example(picture, "what is there ?", (described, *turn, own))


@pytest.fixture
def kept(pictures: list[Path]) -> list[Example]:
    return [asked(one, text, "question") for one, text in zip(pictures, KEPT, strict=False)]


@pytest.fixture
def in_vain(pictures: list[Path]) -> list[Example]:
    return [asked(one, text, DROPPED) for one, text in zip(pictures, VAIN, strict=False)]


def train(vlm: Vlm, rows: list[Example], folder: Path, config: TrainConfig = CONFIG) -> TrainReport:
    return train_lora(
        vlm,
        rows,
        (),
        config,
        LORA,
        start_from=None,
        state_dir=folder / "state",
        out_dir=folder / "adapter",
    )


@torch.no_grad()
def probable(vlm: Vlm, examples: list[Example], adapter: Path | None) -> list[float]:
    """ln p of what is learned of each example."""
    encoder = encoder_of(vlm)
    with adapter_attached(vlm, adapter):
        rows = [
            encode_example(vlm, encoder, example, place, DEFAULT_STYLE)[0]
            for place, example in enumerate(examples)
        ]
        scores = score(vlm, vlm.model, rows, 1.0)
    width = 1 + max(row.row.length for row in rows)
    found: list[float] = scores.in_columns(width).sum(1).tolist()
    return found


def test_dropped_questions_become_less_probable_and_kept_ones_do_not(
    llava: Vlm, kept: list[Example], in_vain: list[Example], tmp_path: Path
) -> None:
    config = replace(CONFIG, loss_weights={DROPPED: 4.0})
    report = train(llava, [*kept, *in_vain], tmp_path, config)
    adapter = tmp_path / "adapter"
    fell = zip(probable(llava, in_vain, None), probable(llava, in_vain, adapter), strict=True)
    assert all(after < before - 0.5 for before, after in fell)
    rose = zip(probable(llava, kept, None), probable(llava, kept, adapter), strict=True)
    assert all(after > before for before, after in rose)
    dropped = [point.losses[DROPPED] for point in report.curve]
    assert dropped[0] == pytest.approx(0.5, abs=1e-3), "nothing is learned yet"
    assert dropped[-1] < 0.49
    assert report.n_parts == {"question": 2, DROPPED: 2}


def test_with_a_weight_of_nothing_they_change_nothing(
    llava: Vlm, kept: list[Example], in_vain: list[Example], tmp_path: Path
) -> None:
    """As many steps, and what is kept counts as much in each: the sum over a step is the same."""
    off = replace(CONFIG, loss_weights={DROPPED: 0.0})
    train(llava, [*kept, *in_vain], tmp_path / "off", off)
    train(llava, kept, tmp_path / "without")
    one, other = (
        probable(llava, [*kept, *in_vain], tmp_path / name / "adapter")
        for name in ("off", "without")
    )
    assert one == pytest.approx(other, abs=1e-3)


def test_a_training_that_was_stopped_compares_with_how_it_began(
    llava: Vlm, kept: list[Example], in_vain: list[Example], tmp_path: Path
) -> None:
    rows = [*kept, *in_vain]
    whole = train(llava, rows, tmp_path / "whole")
    done: list[TrainProgress] = []
    with pytest.raises(Stopped):
        train_lora(
            llava,
            rows,
            (),
            CONFIG,
            LORA,
            start_from=None,
            state_dir=tmp_path / "stopped" / "state",
            out_dir=tmp_path / "stopped" / "adapter",
            on_progress=done.append,
            should_stop=lambda: len(done) >= 3,
        )
    resumed = train(llava, rows, tmp_path / "stopped")
    assert resumed.resumed_from_step == 3
    losses = [[point.loss for point in report.curve] for report in (whole, resumed)]
    assert losses[0] == losses[1]


def test_an_example_has_one_dropped_part(llava: Vlm, pictures: list[Path], tmp_path: Path) -> None:
    one = asked(pictures[0], VAIN[0], DROPPED)
    odd = replace(one, parts=(*one.parts, one.parts[-1]))
    with pytest.raises(ValueError, match="one dropped part"):
        train(llava, [odd], tmp_path)
