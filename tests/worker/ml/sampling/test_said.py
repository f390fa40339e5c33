"""Prompts that go on from what was said: what was sampled is what is learned, token by token."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.support.models.families import build_llava, build_qwen
from worker.ml.inputs.encode import collate, encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, prompt_text
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import encode_example
from worker.ml.types import Draw, Example, Part, Prompt, SampleConfig, Sampled

CONFIG = SampleConfig(max_new_tokens=6, top_k_share=1.0)
QUESTION = "what colour is the cube ?"
SEEN = Part(" see: red.", None, is_apart=True)


@pytest.fixture(scope="module", params=[build_llava, build_qwen], ids=["plain", "chat"])
def vlm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    build: Callable[[Path], None] = request.param
    folder = tmp_path_factory.mktemp("model")
    build(folder)
    return load_vlm(str(folder), device="cpu")


def talk(vlm: Vlm, number: int) -> tuple[list[Part], list[Sampled]]:
    """Two sampled turns without a picture, with a thing that is read between them."""
    said: list[Part] = []
    made: list[Sampled] = []
    for turn in range(2):
        prompt = Prompt(None, QUESTION, None, "", said=tuple(said), instruction="Ask first.")
        [sampled] = sample(vlm, [Draw(prompt, 1.0, 100 * number + turn)], CONFIG)
        made.append(sampled)
        said.append(Part(sampled.text, "turn", tokens=sampled.tokens, is_apart=True))
        said.append(SEEN)
    return said, made


def log_probabilities(vlm: Vlm, example: Example, made: list[Sampled]) -> list[float]:
    """Those that training computes of what was sampled, from one plain forward; the end token that
    it asks for behind a text that was cut is left out."""
    [encoded] = encode_example(vlm, encoder_of(vlm), example, 0, DEFAULT_STYLE)
    with torch.no_grad():
        logits = vlm.model(**collate(vlm, [encoded.row], pad="right")).logits[0]
    known = logits.float().log_softmax(-1)
    return [
        sum(float(known[place, token]) for place, token in targets[: one.n_tokens])
        for (_, targets), one in zip(encoded.learned, made, strict=True)
    ]


def test_training_scores_a_sampled_sequence_as_sampling_did(vlm: Vlm) -> None:
    talks = [talk(vlm, number) for number in range(8)]
    sound = [(said, made) for said, made in talks if all(one.tokens is not None for one in made)]
    assert len(sound) > 3
    for said, made in sound:
        example = Example(None, QUESTION, tuple(said), instruction="Ask first.")
        expected = [one.log_probability for one in made]
        found = log_probabilities(vlm, example, made)
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_only_a_chat_model_is_told_what_to_do(vlm: Vlm) -> None:
    prompt = Prompt(None, QUESTION, None, "", instruction="Ask first.")
    assert ("Ask first." in prompt_text(vlm, prompt).text) is vlm.is_chat
    assert QUESTION in prompt_text(vlm, prompt).text


def test_a_text_with_a_control_token_has_no_tokens_to_go_on_from(vlm: Vlm) -> None:
    draw = Draw(Prompt(None, QUESTION, None, ""), 1.0, 3)
    [plain] = sample(vlm, [draw], CONFIG)
    assert plain.tokens
    token = vlm.tokenizer.convert_ids_to_tokens(plain.tokens[0])
    vlm.tokenizer.add_special_tokens({"extra_special_tokens": [token]})
    [again] = sample(vlm, [draw], CONFIG)
    assert again.tokens is None


def test_an_answer_that_follows_a_talk_is_one_of_its_parts() -> None:
    with pytest.raises(ValueError, match="must be one of its parts"):
        Prompt(None, QUESTION, "red", "", said=(SEEN,))
