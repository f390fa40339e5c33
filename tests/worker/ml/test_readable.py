"""Draws of damaged images fail alone."""

from pathlib import Path

from PIL import Image

from tests.worker.ml.families import build_llava
from worker.ml.generate import sample
from worker.ml.loading import load_vlm
from worker.ml.readable import sample_readable
from worker.ml.types import Draw, Failed, Prompt, SampleConfig
from worker.ml.vocabulary import vocabulary_size


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
