"""A model is shown of a picture what it asks for: in training and sampling, of several families."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.strategies.perception import PerceptionTrace
from tests.support.models.families import FAMILIES, write_pictures
from tests.support.models.more_families import FURTHER_FAMILIES
from worker.ml.abilities import Ability, why_not
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.perceiving import find_perception, perceive, perception_modules
from worker.ml.inputs.prompts import DEFAULT_STYLE, prompt_text
from worker.ml.model.attached import adapter_attached, attach_adapter
from worker.ml.model.contents import parameters_by_part, read_adapter
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.memory import free_bytes
from worker.ml.occlusion import make_map
from worker.ml.sampling.generate import sample
from worker.ml.training.requests import cuts_requests
from worker.ml.training.train import train_lora
from worker.ml.training.trainer import Trainer
from worker.ml.types import (
    ANSWER,
    POINTING,
    AdapterSettings,
    Draw,
    Example,
    LoraSettings,
    Part,
    Prompt,
    SampleConfig,
    TrainConfig,
)

ASKED = ("what is it ?", "what colour is the cube ?")
_WORDS = (ASKED[1], None, "")
CONFIG = SampleConfig(max_new_tokens=6, top_k_share=1.0)
FROZEN = AdapterSettings(None, modules=perception_modules())
TRAIN = TrainConfig(epochs=2, batch_size=4, learning_rate=1e-2, patience=None, seed=1)


def load(family: str, folder: Path) -> Vlm:
    (FAMILIES | FURTHER_FAMILIES)[family](folder)
    return load_vlm(str(folder), device="cpu")


def examples(folder: Path, *, boxes: bool = False) -> list[Example]:
    """Two questions about each of two pictures, answered by the half that is coloured."""
    return [
        Example(
            picture,
            question,
            (Part(answer, ANSWER),),
            boxes=((0.0, 0.0, 0.5, 0.5),) if boxes else (),
        )
        for picture, answer in zip(write_pictures(folder, 2), ("red", "blue"), strict=True)
        for question in ASKED
    ]


def train(
    vlm: Vlm, rows: list[Example], folder: Path, adapter: AdapterSettings = FROZEN, **more: object
) -> Path:
    out = folder / "adapter"
    train_lora(
        vlm,
        rows,
        [],
        replace(TRAIN, **more),  # type: ignore[arg-type]
        adapter,
        start_from=None,
        state_dir=folder / "state",
        out_dir=out,
    )
    return out


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "qwen3_vl", "gemma3", "paligemma"])
def test_only_the_perception_learns_and_a_base_loaded_anew_says_the_same_with_it(
    family: str, tmp_path: Path
) -> None:
    vlm = load(family, tmp_path / "model")
    assert why_not(vlm, Ability.PERCEPTION) is None
    before = {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}
    rows = examples(tmp_path / "pictures")
    folder = train(vlm, rows, tmp_path)
    assert all(torch.equal(before[n], t) for n, t in vlm.model.state_dict().items())
    assert not (folder / "adapter_config.json").exists()
    draws = [
        Draw(Prompt(row.image, row.question, None, ""), 1.0, number)
        for row in rows
        for number in range(2)
    ]
    attach_adapter(vlm, folder)
    texts = [(one.text, one.trace) for one in sample(vlm, draws, CONFIG)]
    again = load_vlm(str(tmp_path / "model"), device="cpu")
    attach_adapter(again, folder)
    assert [(one.text, one.trace) for one in sample(again, draws, CONFIG)] == texts
    for _, trace in texts:
        (look,) = PerceptionTrace.model_validate(trace).looks
        assert sum(look.attention) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize(
    ("family", "reason"),
    [
        ("idefics3", "the 20 tokens of a picture do not stand in rows and columns"),
        ("llava_next", "the 24 tokens of a picture do not stand in rows and columns"),
        ("idefics2", "a summary of it and stand for no places"),
        ("blip2", "takes no features of pictures that were made before"),
        ("mllama", "takes no features of pictures that were made before"),
    ],
)
def test_others_say_why_they_cannot_ask(family: str, reason: str, tmp_path: Path) -> None:
    vlm = load(family, tmp_path)
    said = why_not(vlm, Ability.PERCEPTION)
    assert said is not None
    assert reason in said
    assert not parameters_by_part(vlm.model).keys() - {""}


def test_what_is_sampled_does_not_depend_on_what_it_is_sampled_with(
    llava: Vlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = examples(tmp_path / "pictures")
    folder = train(llava, rows, tmp_path)
    draws = [
        Draw(Prompt(row.image, row.question, answer, ", seeing that"), 0.9, number)
        for row in rows
        for answer in ("red", None)
        for number in range(3)
    ]
    with adapter_attached(llava, folder):
        together = sample(llava, draws, CONFIG)
        alone = [sample(llava, [draw], CONFIG)[0] for draw in draws]
        monkeypatch.setitem(llava.memo, "sharing", "none")
        plain = sample(llava, draws, CONFIG)
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.text for one in together] == [one.text for one in plain]
    for one, other in zip(together, plain, strict=True):
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-3)


def test_a_model_is_trained_on_what_it_is_sampled_from(llava: Vlm, tmp_path: Path) -> None:
    """The log-probability of a sampled text is the loss of a training on it."""
    rows = examples(tmp_path / "pictures")
    folder = train(llava, rows, tmp_path)
    with adapter_attached(llava, folder):
        [said] = sample(llava, [Draw(Prompt(rows[0].image, ASKED[0], None, ""), 1.0, 7)], CONFIG)
    assert said.tokens
    part = Part(said.text, ANSWER, tokens=said.tokens, is_apart=True, is_open=bool(said.is_cut))
    trainer = Trainer(
        llava,
        [Example(rows[0].image, ASKED[0], (part,)), *rows],
        [Example(rows[0].image, ASKED[0], (part,))],
        config=TRAIN,
        adapter=FROZEN,
        start_from=folder,
        style=DEFAULT_STYLE,
    )
    try:
        measured = trainer.validation_losses()
    finally:
        trainer.close()
        attach_adapter(llava, None)
    assert measured is not None
    assert said.n_tokens is not None
    assert said.log_probability is not None
    assert measured[0] == pytest.approx(-said.log_probability / said.n_tokens, abs=1e-3)


def test_few_vectors_are_shown_and_stand_where_they_were_found(llava: Vlm, tmp_path: Path) -> None:
    rows = examples(tmp_path / "pictures")
    folder = train(llava, rows, tmp_path)
    row = encoder_of(llava).row(rows[0].image, prompt_text(llava, Prompt(rows[0].image, *_WORDS)))
    with adapter_attached(llava, folder), torch.no_grad():
        [basic] = perceive(llava, [row], "none").rows
        shown = perceive(llava, [row])
        [other] = perceive(llava, [row], "zero").rows
    features = shown.rows[0].image["features"].reshape(4, -1)
    assert len(basic.image["features"].reshape(4, -1).unique(dim=0)) == 1
    assert torch.linalg.matrix_rank(features - features.mean(0)) <= 1  # two vectors, mixed
    assert not torch.equal(other.image["features"], shown.rows[0].image["features"])


def test_boxes_lead_the_attention_and_need_no_words_for_it(llava: Vlm, tmp_path: Path) -> None:
    rows = examples(tmp_path / "pictures", boxes=True)
    folder = train(llava, rows, tmp_path, epochs=30, loss_weights={ANSWER: 0.0})
    draws = [Draw(Prompt(row.image, row.question, None, ""), 0.01, 0) for row in rows]
    with adapter_attached(llava, folder):
        traces = [PerceptionTrace.model_validate(one.trace) for one in sample(llava, draws, CONFIG)]
    assert all(trace.looks[0].peak == (0, 0) for trace in traces)
    assert rows[0].losses == (ANSWER, POINTING)


def test_a_request_whose_gradient_is_cut_stays_as_it_begins(llava: Vlm, tmp_path: Path) -> None:
    rows = examples(tmp_path / "pictures")
    moved = {}
    for cut in ("off", "on"):
        config = replace(TRAIN, cut_requests=cut)
        trainer = Trainer(
            llava, rows, [], config=config, adapter=FROZEN, start_from=None, style=DEFAULT_STYLE
        )
        try:
            begun = {n: p[0].clone() for n, p in parameters_by_part(llava.model).items() if p}
            trainer.step(1)
            moved[cut] = {
                name
                for name, parameters in parameters_by_part(llava.model).items()
                if parameters and not torch.equal(parameters[0], begun[name])
            }
        finally:
            trainer.close()
            attach_adapter(llava, None)
    assert "modules/request" in moved["off"]
    assert "modules/request" not in moved["on"]
    assert "modules/perception" in moved["on"]


def test_where_memory_is_short_the_first_pass_goes_without_a_gradient(
    llava: Vlm, tmp_path: Path
) -> None:
    """Batches that would keep more than a quarter of what is free, and such that would not."""
    rows = examples(tmp_path / "pictures")
    large = 10**9
    assert TRAIN.cut_requests == "auto"
    reports = {
        size: train_lora(
            llava, rows, [], replace(TRAIN, batch_size=size), FROZEN,
            start_from=None, state_dir=tmp_path / f"state-{size}", out_dir=tmp_path / f"{size}",
        )
        for size in (4, large)
    }  # fmt: skip
    assert {size: one.are_requests_cut for size, one in reports.items()} == {4: False, large: True}
    learned = {size: read_adapter(tmp_path / f"{size}").weights for size in reports}
    requests = [name for name in learned[4] if "request" in name]
    assert requests
    for name in requests:
        assert not torch.equal(learned[4][name], learned[large][name])


def test_what_is_short_is_what_is_free(llava: Vlm, tmp_path: Path) -> None:
    folder = train(llava, examples(tmp_path / "pictures"), tmp_path)
    with adapter_attached(llava, folder):
        module = find_perception(llava.model)
        assert module is not None
        # What the first pass of an example keeps: 34 numbers for each layer, token and unit.
        kept = 34 * module.layer * 1024 * 32 * 4
        fits = free_bytes(llava.device) // 4 // kept

        def cuts(size: int, **more: object) -> bool:
            config = replace(TRAIN, batch_size=size, **more)  # type: ignore[arg-type]
            return cuts_requests(llava, config, module)

        assert not cuts(fits // 2)
        assert cuts(fits * 2)
        assert not cuts(fits * 2, gradient_checkpointing=True)
        assert not cuts(fits * 2, cut_requests="off")
        assert cuts(1, cut_requests="on")
        assert not cuts_requests(llava, replace(TRAIN, cut_requests="on"), None)


def test_free_is_more_than_what_nothing_uses_and_less_than_all_that_there_is() -> None:
    """What the machine keeps of files can be had, too; what programs hold cannot."""
    page = os.sysconf("SC_PAGE_SIZE")
    free = free_bytes(torch.device("cpu"))
    assert 0.5 * os.sysconf("SC_AVPHYS_PAGES") * page < free < os.sysconf("SC_PHYS_PAGES") * page


def test_with_lora_the_base_learns_beside_it(llava: Vlm, tmp_path: Path) -> None:
    both = AdapterSettings(LoraSettings(rank=2, dropout=0.0), modules=perception_modules())
    folder = train(llava, examples(tmp_path / "pictures"), tmp_path, both)
    assert (folder / "adapter_config.json").exists()
    with adapter_attached(llava, folder):
        assert {"", "modules/perception", "modules/request"} <= parameters_by_part(
            llava.model
        ).keys()


def test_the_pooled_path_looks_at_no_place(llava: Vlm, tmp_path: Path) -> None:
    pooled = AdapterSettings(None, modules=perception_modules(path="pooled"))
    rows = examples(tmp_path / "pictures")
    folder = train(llava, rows, tmp_path, pooled)
    with adapter_attached(llava, folder):
        [said] = sample(llava, [Draw(Prompt(rows[0].image, *_WORDS), 0.01, 0)], CONFIG)
        found = make_map(llava, Path(str(rows[0].image)), ASKED[1], "red")
    assert said.trace is None
    assert found.attention is None
    assert len(found.occlusion) == 4
