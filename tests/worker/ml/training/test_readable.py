"""Draws that cannot be made fail alone."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support.models.families import build_llava
from worker.ml.errors import ModelUnusableError, PromptError
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, PromptStyle, explained, frame_of, prompt_text
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.model.vocabulary import vocabulary_size
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import encode_example
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled


def test_a_damaged_image_fails_and_the_other_texts_stay_the_same(tmp_path: Path) -> None:
    build_llava(tmp_path / "model")
    vlm = load_vlm(str(tmp_path / "model"), device="cpu")
    assert (
        vocabulary_size(str(tmp_path / "model")) == vlm.model.get_output_embeddings().out_features
    )
    paths = [tmp_path / f"{number}.png" for number in range(4)]
    for number, path in enumerate(paths):
        Image.new("RGB", (56, 56), (60 * number, 90, 10)).save(path)
    draws = [
        Draw(Prompt(path, "what is it?", "red", ", seeing that"), 0.9, 10 * number + k)
        for number, path in enumerate(paths)
        for k in range(2)
    ]
    config = SampleConfig(max_new_tokens=5, top_k_share=1.0)
    whole = sample(vlm, draws, config)
    for number in (1, 3):
        paths[number].write_bytes(paths[number].read_bytes()[:30])
    made = sample_readable(vlm, draws, config)
    assert [isinstance(one, Failed) for one in made] == [False, False, True, True] * 2
    assert made[:2] + made[4:6] == whole[:2] + whole[4:6]
    assert all("cannot be read" in one.reason for one in made if isinstance(one, Failed))
    assert all(isinstance(one, Failed) for one in sample_readable(vlm, draws[2:4], config))


def test_a_prompt_longer_than_the_model_costs_its_own_draws(
    llava: Vlm, pictures: list[Path]
) -> None:
    """The tiny model has 2048 places, and a letter takes one."""
    config = SampleConfig(max_new_tokens=5, top_k_share=1.0)

    def ask(n_letters: int) -> Draw:
        return Draw(Prompt(pictures[0], "x" * n_letters, None, ""), 0.9, 1)

    row = encoder_of(llava).row(pictures[0], prompt_text(llava, ask(9).prompt))
    most = 2048 - 5 - (row.length - 9)
    short, fits, long = sample_readable(llava, [ask(3), ask(most), ask(most + 1)], config)
    assert isinstance(short, Sampled)
    assert isinstance(fits, Sampled)
    assert isinstance(long, Failed)
    assert long.cause == "prompt"
    assert long.reason == (
        "With its picture the item's texts have 2044 tokens and up to 5 more are written, but the "
        "model has places for 2048. Shorten its texts, or let the model write fewer."
    )
    learned = explained(pictures[0], "what is it ?", "x" * 2048, None, "")
    with pytest.raises(PromptError, match="the model has places for 2048"):
        encode_example(llava, encoder_of(llava), learned, 0, DEFAULT_STYLE)


def test_the_one_to_blame_is_found(
    llava: Vlm, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A processor may refuse a picture, a text, or everything that this program writes."""
    own = type(llava.processor).__call__

    def picky(processor: Any, images: Any, text: Any, **options: Any) -> Any:
        if images[0].size == (56, 56) and "wide" in text[0]:
            raise ValueError("absolute aspect ratio must be smaller than 200")
        if "odd" in text[0]:
            raise KeyError("odd")
        return own(processor, images=images, text=text, **options)

    def of(question: str) -> Failed:
        (made,) = sample_readable(
            llava, [Draw(Prompt(pictures[1], question, None, ""), 0.9, 1)], SampleConfig()
        )
        assert isinstance(made, Failed)
        return made

    monkeypatch.setattr(type(llava.processor), "__call__", picky)
    assert of("is it wide ?").cause == "image"
    assert "refuses the image 1.png: absolute aspect ratio" in of("is it wide ?").reason
    assert of("is it odd ?").cause == "prompt"
    style = PromptStyle(plain_context="Q: {question} A:")
    draw = Draw(Prompt(pictures[1], "?", None, ""), 0.9, 1)
    monkeypatch.setattr("worker.ml.inputs.encode.frame_of", lambda vlm, q: frame_of(vlm, q, style))
    with pytest.raises(ModelUnusableError, match="takes no prompt as this program writes it"):
        sample(llava, [draw], SampleConfig(), style=style)
