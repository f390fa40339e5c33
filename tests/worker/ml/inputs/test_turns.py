"""Dialogues: turns in the model's own words, and a role that is a row of its own."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.models.families import FAMILIES
from worker.host.models import resolve
from worker.ml.abilities import Ability, why_not
from worker.ml.errors import ModelUnusableError
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, said_tokens, train_text
from worker.ml.inputs.sight import fit_adapter
from worker.ml.model.adapters import content_digest
from worker.ml.model.attached import adapter_attached
from worker.ml.model.contents import adapts_vision, add_new_adapter, remove_adapters
from worker.ml.model.loading import Vlm, load_reader, load_vlm
from worker.ml.model.modules.placing import find_row
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import encode_example
from worker.ml.training.train import train_lora
from worker.ml.types import (
    ASKER,
    WORDS,
    AdapterSettings,
    Draw,
    Example,
    LoraSettings,
    ModuleSettings,
    Part,
    Prompt,
    SampleConfig,
    TrainConfig,
)

DESCRIBED = Part("a red ball", None, is_apart=True)
USERS, ASSISTANTS = Part("", None, turn="user"), Part("", None, turn="assistant")
ASKERS = Part("", None, turn=ASKER)
ASKED = (USERS, ASKERS, Part("how many ?", "question", is_apart=True), ASSISTANTS)
ANSWERED = Part("two", "answer", is_apart=True)
WITH_ROW = AdapterSettings(
    LoraSettings(rank=2, dropout=0.0),
    modules={"asker": ModuleSettings("rows", WORDS, {"names": [ASKER]})},
)


def dialogue(picture: Path) -> Example:
    return Example(picture, "what is it ?", (DESCRIBED, *ASKED, ANSWERED))


@pytest.mark.parametrize(
    ("family", "written"),
    [
        ("llava", "<image>Q: what is it ? A: a red ball Q: you ask: how many ? A: two"),
        (
            "internvl",
            "<|im_start|>user\n<IMG_CONTEXT>\nwhat is it ?<|im_end|>\n<|im_start|>assistant\n"
            "a red ball<|im_end|>\n<|im_start|>user\nyou ask: how many ?<|im_end|>\n"
            "<|im_start|>assistant\ntwo<|im_end|>\n",
        ),
    ],
)
def test_turns_are_written_as_the_model_writes_them(
    family: str, written: str, tmp_path: Path, pictures: list[Path]
) -> None:
    FAMILIES[family](tmp_path)
    reader = load_reader(str(tmp_path))
    assert train_text(reader, dialogue(pictures[0])).text == written


def test_the_demo_ends_what_was_said_before_the_next_question(pictures: list[Path]) -> None:
    vlm = load_vlm(resolve("demo"), device="cpu")
    text = train_text(vlm, dialogue(pictures[0])).text
    assert text == "<image>Q: what is it ? A: a red ball</s>Q: you ask: how many ? A: two"
    assert why_not(vlm, Ability.TURNS) is None


@pytest.mark.parametrize("family", list(FAMILIES))
def test_what_is_asked_is_scored_as_it_was_sampled(family: str, tmp_path: Path) -> None:
    FAMILIES[family](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    assert why_not(vlm, Ability.TURNS) is None


def test_a_template_that_takes_one_question_alone_says_so(
    tmp_path: Path, pictures: list[Path]
) -> None:
    FAMILIES["internvl"](tmp_path)
    vlm = load_vlm(str(tmp_path), device="cpu")
    one = "{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}"
    vlm.processor.chat_template = one + vlm.processor.chat_template
    with pytest.raises(ModelUnusableError, match="no second question behind its first answer"):
        train_text(vlm, dialogue(pictures[0]))


def test_a_row_stands_where_the_model_is_to_ask(llava: Vlm, pictures: list[Path]) -> None:
    words = llava.model.get_input_embeddings()
    prompt = Prompt(pictures[0], "what is it ?", None, "", said=(DESCRIBED, USERS, ASKERS))
    in_words = said_tokens(llava, prompt)
    add_new_adapter(llava.model, fit_adapter(llava, WITH_ROW))
    try:
        number = words.num_embeddings
        assert find_row(llava.model, ASKER) == number
        assert not adapts_vision(llava.model)
        with_row = said_tokens(llava, prompt)
        assert with_row[-1] == number
        assert in_words[: len(with_row) - 1] == with_row[:-1]
        assert len(in_words) > len(with_row)
        ids = torch.tensor([[1, number, 2]])
        looked_up = words(ids)
        assert torch.equal(looked_up[0, ::2], words.weight[[1, 2]])
        assert not torch.equal(looked_up[0, 1], words.weight[0])
    finally:
        remove_adapters(llava.model)
    assert said_tokens(llava, prompt) == in_words


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3", "paligemma"])
def test_the_row_is_trained_saved_and_sampled_with(
    family: str, tmp_path: Path, pictures: list[Path]
) -> None:
    FAMILIES[family](tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    before = {name: tensor.clone() for name, tensor in vlm.model.state_dict().items()}
    rows = [dialogue(picture) for picture in pictures[:2]]
    config = TrainConfig(epochs=2, batch_size=2, learning_rate=1e-2, patience=None, seed=1)
    out = tmp_path / "adapter"
    report = train_lora(
        vlm, rows, [], config, WITH_ROW, start_from=None, state_dir=tmp_path / "s", out_dir=out
    )
    assert report.n_parts == {"question": 2, "answer": 2}
    assert all(torch.equal(before[name], t) for name, t in vlm.model.state_dict().items())
    [(name, row)] = load_file(out / "modules.safetensors").items()
    assert (name, row.shape) == ("asker/rows", (1, vlm.model.get_input_embeddings().embedding_dim))
    first = load_file(tmp_path / "s" / "epochs" / "0001" / "modules.safetensors")[name]
    assert not torch.equal(first, row), "it learns"
    digest = content_digest(out)
    prompt = Prompt(pictures[0], "what is it ?", None, "", said=(DESCRIBED, USERS, ASKERS))
    draws = [Draw(prompt, 0.9, seed) for seed in range(3)]
    with adapter_attached(vlm, out):
        [sequence] = encode_example(vlm, encoder_of(vlm), rows[0], 0, DEFAULT_STYLE)
        assert vlm.model.get_input_embeddings().num_embeddings in sequence.row.continuation
        assert len(sample(vlm, draws, SampleConfig(max_new_tokens=4))) == 3
    tensors = {name: row + 1}
    save_file(tensors, out / "modules.safetensors", metadata={"format": "pt"})
    assert content_digest(out) != digest
