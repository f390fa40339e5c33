from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.support.models.examples import answer_of, with_rationale
from tests.worker.ml.conftest import OPENER
from worker.ml.errors import AdapterError, MlError, Stopped
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.loading import Vlm
from worker.ml.sampling.generate import sample
from worker.ml.training.train import train_lora
from worker.ml.types import (
    Draw,
    Example,
    LoraSettings,
    Prompt,
    SampleConfig,
    TrainConfig,
    TrainProgress,
    TrainReport,
)

CONFIG = TrainConfig(
    epochs=3, batch_size=2, learning_rate=5e-3, warmup_share=0.05, patience=None, seed=4
)
LORA = LoraSettings(rank=4, dropout=0.1)


class Run:
    """Calls train_lora with folders of its own."""

    def __init__(self, vlm: Vlm, rows: list[Example], folder: Path) -> None:
        self.vlm, self.rows, self.folder = vlm, rows, folder

    def __call__(self, config: TrainConfig = CONFIG, **more: Any) -> TrainReport:
        settings = {
            "start_from": None,
            "state_dir": self.folder / "state",
            "out_dir": self.folder / "adapter",
            "rows": self.rows,
            "validation": self.rows,
            "lora": LORA,
        } | more
        rows, validation = settings.pop("rows"), settings.pop("validation")
        return train_lora(self.vlm, rows, validation, config, settings.pop("lora"), **settings)

    def weights(self, folder: str = "adapter") -> dict[str, torch.Tensor]:
        return load_file(self.folder / folder / "adapter_model.safetensors")


@pytest.fixture
def run(llava: Vlm, rows: list[Example], tmp_path: Path) -> Run:
    return Run(llava, rows, tmp_path)


@pytest.fixture(scope="module")
def uninterrupted(llava: Vlm, rows: list[Example], tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(llava, rows, tmp_path_factory.mktemp("uninterrupted"))
    run()
    return run


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def stop_after(n_steps: int) -> tuple[Callable[[TrainProgress], None], Callable[[], bool]]:
    done: list[int] = []
    return lambda progress: done.append(progress.step), lambda: len(done) >= n_steps


def test_four_examples_are_learned_by_heart(
    run: Run, rows: list[Example], pictures: list[Path]
) -> None:
    config = replace(CONFIG, epochs=30, learning_rate=2e-2)
    report = run(config, lora=replace(LORA, rank=8, dropout=0.0))
    assert report.curve[-1].loss < 0.75 * report.curve[0].loss
    losses = [entry.loss for entry in report.validations]
    assert all(loss is not None for loss in losses)
    assert report.chosen_epoch == 1 + losses.index(min(losses, key=float))  # type: ignore[arg-type]
    draws = [
        Draw(Prompt(picture, row.question, answer_of(row), OPENER), 0.0, 1)
        for picture, row in zip(pictures, rows[:2], strict=False)
    ]
    with adapter_attached(run.vlm, run.folder / "adapter"):
        texts = [s.text for s in sample(run.vlm, draws, SampleConfig(max_new_tokens=8))]
    assert any(text in {"the cube is red", "the ball on the left is blue"} for text in texts)


def test_the_base_is_untouched_and_the_model_comes_back_as_it_was(run: Run) -> None:
    model = run.vlm.model
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    keys = set(model.__dict__)
    run()
    after = model.state_dict()
    assert equal(before, after)
    assert run.vlm.adapter is None
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert set(model.__dict__) <= keys | {"_hf_peft_config_loaded"}
    assert "forward" not in model.__dict__


def test_the_adapter_that_was_on_is_on_again(run: Run, uninterrupted: Run) -> None:
    other = uninterrupted.folder / "adapter"
    with adapter_attached(run.vlm, other):
        run(replace(CONFIG, epochs=1))
        assert run.vlm.adapter == other
    assert run.vlm.adapter is None


def test_progress_tells_steps_losses_and_rates(run: Run) -> None:
    seen: list[TrainProgress] = []
    report = run(on_progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 7))
    assert [p.epoch for p in seen] == [1, 1, 2, 2, 3, 3]
    assert {p.n_steps for p in seen} == {6}
    assert tuple(seen) == report.curve
    assert report.n_steps == 6
    assert (report.n_rows, report.n_parts) == (4, {"answer": 4, "rationale": 2})
    assert report.trainable_parameters == sum(t.numel() for t in run.weights().values())


@pytest.mark.parametrize(
    "n_steps", [pytest.param(1, marks=pytest.mark.slow), 3, pytest.param(4, marks=pytest.mark.slow)]
)
def test_stopped_and_resumed_is_as_if_never_stopped(
    run: Run, uninterrupted: Run, n_steps: int
) -> None:
    on_progress, should_stop = stop_after(n_steps)
    with pytest.raises(Stopped):
        run(on_progress=on_progress, should_stop=should_stop)
    assert not (run.folder / "adapter").exists()
    report = run()
    assert report.resumed_from_step == n_steps
    assert [p.step for p in report.curve] == list(range(1, 7))
    assert equal(run.weights(), uninterrupted.weights())
    assert content_digest(run.folder / "adapter") == content_digest(
        uninterrupted.folder / "adapter"
    )


def test_a_crash_loses_only_the_steps_since_the_last_saved_state(
    run: Run, uninterrupted: Run
) -> None:
    def crash(progress: TrainProgress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(replace(CONFIG, save_every_s=1e9), on_progress=crash)
    report = run(replace(CONFIG, save_every_s=1e9))
    assert report.resumed_from_step == 4  # the end of the second epoch
    assert equal(run.weights(), uninterrupted.weights())


def test_a_finished_training_is_not_repeated(run: Run) -> None:
    first = run()
    steps: list[TrainProgress] = []
    again = run(on_progress=steps.append)
    assert steps == []
    assert replace(again, resumed_from_step=None) == first


@pytest.mark.parametrize("damage", ["other settings", "torn"])
def test_a_state_of_another_training_or_a_torn_one_is_not_resumed(run: Run, damage: str) -> None:
    on_progress, should_stop = stop_after(3)
    with pytest.raises(Stopped):
        run(on_progress=on_progress, should_stop=should_stop)
    state = run.folder / "state" / "state.pt"
    config = CONFIG
    if damage == "torn":
        state.write_bytes(state.read_bytes()[:-500])
    else:
        config = replace(CONFIG, learning_rate=1e-3)
    other = run.folder / "state" / "notes.txt"
    other.write_text("not ours")
    report = run(config)
    assert report.resumed_from_step is None
    assert report.n_steps == 6
    assert other.read_text() == "not ours"


def test_accumulated_batches_train_like_one_large_batch(
    llava: Vlm, rows: list[Example], tmp_path: Path
) -> None:
    lora = replace(LORA, dropout=0.0)
    weights = []
    for size, accumulation in ((4, 1), (2, 2), (1, 4)):
        run = Run(llava, rows, tmp_path / str(size))
        run(replace(CONFIG, batch_size=size, gradient_accumulation=accumulation), lora=lora)
        weights.append(run.weights())
    for other in weights[1:]:
        for name, tensor in weights[0].items():
            assert torch.allclose(tensor, other[name], atol=2e-4), name


def test_gradient_checkpointing_changes_nothing_but_memory(run: Run, uninterrupted: Run) -> None:
    run(replace(CONFIG, gradient_checkpointing=True))
    assert not run.vlm.model.is_activation_checkpointing
    assert not run.vlm.model.get_input_embeddings()._forward_hooks
    for name, tensor in uninterrupted.weights().items():
        assert torch.allclose(tensor, run.weights()[name], atol=1e-5), name


def test_shared_prompts_and_cached_features_change_nothing_but_time(
    run: Run, rows: list[Example]
) -> None:
    """Three rationales of an item in one sequence without pixels train as three plain rows do."""
    more = [with_rationale(rows[0], text) for text in ("there is a cube", "no")]
    lora = replace(LORA, dropout=0.0)
    config = replace(CONFIG, batch_size=6)
    plain = replace(config, share_prefixes=False, feature_cache_mb=0)
    expected = run(plain, rows=[*rows, *more], lora=lora)
    weights = run.weights()
    for fast in (replace(plain, share_prefixes=True), replace(plain, feature_cache_mb=64), config):
        report = run(fast, rows=[*rows, *more], lora=lora)
        for one, other in zip(report.curve, expected.curve, strict=True):
            assert one.loss == pytest.approx(other.loss, abs=1e-4)
            assert one.losses == pytest.approx(other.losses, abs=1e-4)
        assert report.validations[-1].loss == pytest.approx(expected.validations[-1].loss, abs=1e-3)
        for name, tensor in run.weights().items():
            assert torch.allclose(tensor, weights[name], atol=2e-3), name


@pytest.mark.parametrize(
    ("lora", "parts", "per_module"),
    [
        (LoraSettings(rank=2), {"language_model"}, {"lora_A", "lora_B"}),
        pytest.param(
            LoraSettings(rank=2, targets=("q_proj",)),
            {"language_model"},
            {"lora_A", "lora_B"},
            marks=pytest.mark.slow,
        ),
        (
            LoraSettings(rank=2, tower=True),
            {"language_model", "vision_tower"},
            {"lora_A", "lora_B"},
        ),
        (
            LoraSettings(rank=2, projector=True),
            {"language_model", "multi_modal_projector"},
            {"lora_A", "lora_B"},
        ),
        pytest.param(
            LoraSettings(rank=2, rslora=True),
            {"language_model"},
            {"lora_A", "lora_B"},
            marks=pytest.mark.slow,
        ),
        pytest.param(
            LoraSettings(rank=2, dora=True),
            {"language_model"},
            {"lora_A", "lora_B", "lora_magnitude_vector"},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["plain", "by name", "tower", "projector", "rsLoRA", "DoRA"],
)
def test_every_lora_setting_learns_where_it_should(
    run: Run, lora: LoraSettings, parts: set[str], per_module: set[str]
) -> None:
    report = run(replace(CONFIG, epochs=8, learning_rate=1e-2), lora=lora)
    assert report.curve[-1].loss < report.curve[0].loss
    names = [name.removeprefix("base_model.model.model.") for name in run.weights()]
    assert {name.split(".")[0] for name in names} == parts
    assert {kind for kind in per_module if any(f".{kind}" in name for name in names)} == per_module
    if lora.targets != "all-linear":
        assert all(".q_proj." in name for name in names)
    moved = [name for name, tensor in run.weights().items() if "lora_B" in name and tensor.any()]
    assert len(moved) == sum("lora_B" in name for name in names)


def test_an_adapted_tower_is_not_taken_from_the_cache(run: Run) -> None:
    """With LoRA in the tower the features change at every step."""
    run.vlm.memo["can_take_features"] = True
    lora = replace(LORA, tower=True, dropout=0.0)
    with_cache = run(lora=lora)
    without = run(replace(CONFIG, feature_cache_mb=0), lora=lora)
    assert [p.loss for p in with_cache.curve] == [p.loss for p in without.curve]


def test_rows_without_rationales_train_answers(run: Run, rows: list[Example]) -> None:
    report = run(rows=rows[2:], validation=[])
    assert all(set(p.losses) == {"answer"} for p in report.curve)
    assert all(p.loss == p.loss for p in report.curve)
    assert report.n_parts == {"answer": 2}
    assert report.chosen_epoch == 3  # nothing measured: the last


def test_going_on_from_an_adapter(run: Run, uninterrupted: Run, rows: list[Example]) -> None:
    parent = uninterrupted.folder / "adapter"
    lora = replace(LORA, dropout=0.0)
    one_batch = replace(CONFIG, epochs=1, batch_size=4)
    started = run(one_batch, start_from=parent, lora=lora)
    fresh = run(one_batch, lora=lora, state_dir=run.folder / "other")
    assert started.curve[0].loss < fresh.curve[0].loss
    with pytest.raises(AdapterError, match="other LoRA settings"):
        run(one_batch, start_from=parent, lora=replace(LORA, rank=2))
    assert run.vlm.adapter is None


def test_the_callers_measure_chooses_the_epoch_and_patience_ends_early(run: Run) -> None:
    scores = {1: 0.2, 2: 0.9, 3: 0.5, 4: 0.4, 5: 1.0}
    texts = []

    def validate(vlm: Vlm, epoch: int) -> float:
        prompt = Prompt(run.rows[0].image, run.rows[0].question, "red", OPENER)
        texts.append(sample(vlm, [Draw(prompt, 0.9, 3)], SampleConfig(max_new_tokens=6))[0].text)
        return scores[epoch]

    report = run(replace(CONFIG, epochs=5, patience=2), validate=validate)
    assert (report.chosen_epoch, report.epochs_run, report.stopped_early) == (2, 4, True)
    assert [entry.score for entry in report.validations] == [0.2, 0.9, 0.5, 0.4]
    chosen = run.folder / "state" / "epochs" / "0002"
    assert content_digest(chosen) == content_digest(run.folder / "adapter")
    prompt = Prompt(run.rows[0].image, run.rows[0].question, "red", OPENER)
    with adapter_attached(run.vlm, run.folder / "adapter"):
        again = sample(run.vlm, [Draw(prompt, 0.9, 3)], SampleConfig(max_new_tokens=6))[0].text
    assert again == texts[1]  # what is loaded is what was measured


def test_measuring_does_not_disturb_the_training(run: Run, uninterrupted: Run) -> None:
    run(validate=lambda *_: float(torch.rand(())))
    last = run.folder / "state" / "epochs" / "0003" / "adapter_model.safetensors"
    theirs = uninterrupted.folder / "state" / "epochs" / "0003" / "adapter_model.safetensors"
    assert last.read_bytes() == theirs.read_bytes()


def test_the_callers_random_numbers_are_left_alone(run: Run) -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    run(replace(CONFIG, epochs=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_to_train_on(run: Run) -> None:
    with pytest.raises(MlError, match="There are no rows to train on"):
        run(rows=[])


def test_a_loss_that_is_not_finite_ends_with_advice(run: Run, rows: list[Example]) -> None:
    with pytest.raises(MlError, match="Lower the learning rate"):
        run(rows=[replace(rows[0], weight=float("inf"))])
    attach_adapter(run.vlm, None)


@pytest.mark.slow
def test_training_in_bfloat16(run: Run) -> None:
    report = run(replace(CONFIG, dtype="bfloat16", epochs=10, learning_rate=2e-2))
    assert report.curve[-1].loss < report.curve[0].loss
    assert {tensor.dtype for tensor in run.weights().values()} == {torch.float32}
    assert "forward" not in run.vlm.model.__dict__
    assert run(replace(CONFIG, epochs=1)).n_steps == 2  # and float32 right after it
