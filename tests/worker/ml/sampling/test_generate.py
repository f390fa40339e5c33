import random
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.worker.ml.conftest import OPENER
from worker.ml.errors import DeviceError, ImageError, Stopped
from worker.ml.model.loading import Vlm
from worker.ml.sampling import generate
from worker.ml.sampling.batch import Decoding, Group
from worker.ml.sampling.generate import sample
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Prompt, SampleConfig, Sampled

CONFIG = SampleConfig(max_new_tokens=10)
TEMPERATURES = (0.01, 0.1, 0.3, 0.6, 0.9)


@pytest.fixture(scope="module")
def draws(pictures: list[Path]) -> list[Draw]:
    """Items of different lengths, some with two prompts, five temperatures, two draws each."""
    questions = ["what is it ?", "how many are there ?", "is the cube left of the ball ?", "what ?"]
    prompts = [
        Prompt(picture, question, answer, OPENER)
        for picture, question in zip(pictures, questions, strict=True)
        for answer in ("red", None)
    ]
    return [
        Draw(prompt, temperature, derive_seed(place, repr(temperature), number))
        for place, prompt in enumerate(prompts)
        for temperature in TEMPERATURES
        for number in range(2)
    ]


@pytest.fixture(scope="module")
def texts(llava: Vlm, draws: list[Draw]) -> list[str]:
    return [sampled.text for sampled in sample(llava, draws, CONFIG)]


def test_texts_differ_between_draws(texts: list[str]) -> None:
    assert len(set(texts)) > len(texts) // 2


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_a_text_does_not_depend_on_the_batch_size(
    llava: Vlm, draws: list[Draw], texts: list[str], rows: int
) -> None:
    got = sample(llava, draws, replace(CONFIG, batch_rows=rows))
    assert [sampled.text for sampled in got] == texts


def test_a_text_does_not_depend_on_its_partners_or_their_order(
    llava: Vlm, draws: list[Draw], texts: list[str]
) -> None:
    chosen = random.Random(1).sample(range(len(draws)), 23)
    got = sample(llava, [draws[i] for i in chosen], CONFIG)
    assert [sampled.text for sampled in got] == [texts[i] for i in chosen]


def test_the_plain_way_gives_the_same_texts(
    llava: Vlm, draws: list[Draw], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert llava.memo["sharing"] == "pictures"
    monkeypatch.setitem(llava.memo, "sharing", "none")
    got = sample(llava, draws, CONFIG)
    assert [sampled.text for sampled in got] == texts


@pytest.mark.parametrize("sharing", [None, "pictures", "contexts", "prefix", "copies", "none"])
def test_sampling_from_a_model_in_training_keeps_nothing_for_a_backward_pass(
    llava: Vlm, draws: list[Draw], monkeypatch: pytest.MonkeyPatch, sharing: str | None
) -> None:
    """As between two epochs, when a part of the weights is being trained. None: not tried yet."""
    monkeypatch.setitem(llava.memo, "sharing", sharing)
    keeps: set[bool] = set()
    choose = generate.SeededChooser.__call__

    def looking(self: Any, steps: Any, numbers: Any, logits: torch.Tensor) -> Any:
        keeps.add(logits.requires_grad)
        return choose(self, steps, numbers, logits)

    monkeypatch.setattr(generate.SeededChooser, "__call__", looking)
    weight = llava.model.get_output_embeddings().weight
    weight.requires_grad_(True)
    try:
        sample(llava, draws[:12], CONFIG)
    finally:
        weight.requires_grad_(False)
    assert keeps == {False}


def test_another_seed_gives_another_text_and_near_greedy_ones_agree(
    llava: Vlm, pictures: list[Path]
) -> None:
    prompt = Prompt(pictures[0], "what is it ?", "red", OPENER)
    warm = sample(llava, [Draw(prompt, 0.9, seed) for seed in range(8)], CONFIG)
    cold = sample(llava, [Draw(prompt, 0.0, seed) for seed in range(8)], CONFIG)
    assert len({sampled.text for sampled in warm}) > 4
    assert len({sampled.text for sampled in cold}) == 1


def test_the_log_probability_is_that_of_the_tokens_at_temperature_one(
    llava: Vlm, pictures: list[Path]
) -> None:
    prompt = Prompt(pictures[0], "what is it ?", "red", OPENER)
    draw = Draw(prompt, 0.6, 5)
    one, two = (
        sample(llava, [draw], SampleConfig(max_new_tokens=n, top_k_share=1.0))[0] for n in (1, 2)
    )
    assert (one.n_tokens, two.n_tokens) == (1, 2)
    assert two.log_probability < one.log_probability < 0.0
    hotter = sample(llava, [replace(draw, temperature=0.0)], SampleConfig(max_new_tokens=1))[0]
    assert hotter.log_probability >= one.log_probability  # the most probable token


def test_text_stops_at_the_end_token(
    llava: Vlm, draws: list[Draw], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever token comes second is declared an end token: then texts have one token less."""
    tokenizer = llava.tokenizer
    free = sample(llava, draws[:10], CONFIG)
    second = {tokenizer(f" {s.text}", add_special_tokens=False)["input_ids"][1] for s in free}
    monkeypatch.setitem(llava.memo, "ends", tuple(second))
    ended = sample(llava, draws[:10], CONFIG)
    for before, after in zip(free, ended, strict=True):
        assert after.n_tokens <= 2
        assert before.text.startswith(after.text)
    assert any(after.n_tokens == 2 for after in ended)


def test_text_is_stripped_and_blanks_are_single(llava: Vlm, draws: list[Draw]) -> None:
    for sampled in sample(llava, draws, CONFIG):
        assert sampled.text == " ".join(sampled.text.split())
        assert "<" not in sampled.text or "<eos>" not in sampled.text


def test_progress_reaches_the_total_and_stopping_stops(llava: Vlm, draws: list[Draw]) -> None:
    seen: list[int] = []
    sample(llava, draws, replace(CONFIG, batch_rows=16), on_done=seen.append)
    assert sum(seen) == len(draws)
    assert len(seen) > len(draws) / 16
    with pytest.raises(Stopped):
        sample(llava, draws, CONFIG, should_stop=lambda: True)


def test_no_draws_no_texts(llava: Vlm) -> None:
    assert sample(llava, [], CONFIG) == []


def test_out_of_memory_halves_the_batch(
    llava: Vlm, draws: list[Draw], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sizes = generate.decode_shared, []

    def small_device(
        vlm: Vlm, groups: list[Group], *more: object, limit: int, **how: object
    ) -> None:
        sizes.append(min(limit, sum(len(group.numbers) for group in groups)))
        if sizes[-1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        real(vlm, groups, *more, limit=limit, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(generate, "decode_shared", small_device)
    got: list[Sampled] = sample(llava, draws, CONFIG)
    assert [sampled.text for sampled in got] == texts
    assert sizes[:3] == [80, 40, 20]
    assert llava.memo.pop("batch_rows") == 20


def test_what_was_done_before_memory_ran_out_is_kept(
    llava: Vlm, draws: list[Draw], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, n_calls = Decoding.advance, 0

    def fails_once(self: Decoding) -> None:
        nonlocal n_calls
        n_calls += 1
        if n_calls == 12:  # some have ended, others have entered
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB.")
        real(self)

    monkeypatch.setattr(Decoding, "advance", fails_once)
    seen: list[int] = []
    got = sample(
        llava,
        draws,
        replace(CONFIG, batch_rows=24),
        on_done=seen.append,
    )
    assert [sampled.text for sampled in got] == texts
    assert sum(seen) == len(draws), "what was done is done once"
    assert llava.memo.pop("batch_rows") == 12


def test_a_device_without_room_for_one_row_says_so(
    llava: Vlm, draws: list[Draw], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 TB")

    monkeypatch.setattr(generate, "decode_shared", no_room)
    with pytest.raises(DeviceError, match="does not hold the model and one row"):
        sample(llava, draws[:2], CONFIG)
    llava.memo.pop("batch_rows", None)


def test_an_image_passes_through_the_tower_once(
    llava: Vlm, pictures: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For all prompts, temperatures and draws, and for later calls too."""
    picture = tmp_path / "new.png"
    picture.write_bytes(pictures[0].read_bytes())
    tower, seen = llava.model.base_model.get_image_features, []

    def counted(**inputs: object) -> object:
        seen.append(inputs)
        return tower(**inputs)

    prompts = [
        Prompt(picture, question, answer, OPENER)
        for question in ("what is it ?", "how many ?")
        for answer in ("red", None)
    ]
    draws = [Draw(prompt, t, s) for prompt in prompts for t in (0.1, 0.9) for s in range(3)]
    expected = sample(
        llava, [replace(d, prompt=replace(d.prompt, image=pictures[0])) for d in draws], CONFIG
    )
    monkeypatch.setattr(
        llava.model.base_model, "get_image_features", wraps(tower)(counted), raising=False
    )
    first = sample(llava, draws, CONFIG)
    assert len(seen) == 1
    assert [s.text for s in sample(llava, draws, CONFIG)] == [s.text for s in first]
    assert len(seen) == 1
    assert [s.text for s in first] == [s.text for s in expected]


def test_kept_features_are_dropped_when_there_are_too_many(
    llava: Vlm, draws: list[Draw], texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.ml.inputs.frozen_tower.SAMPLING_BYTES", 1)
    monkeypatch.delitem(llava.memo, "sampling_encoder")
    assert [sampled.text for sampled in sample(llava, draws, CONFIG)] == texts
    llava.memo.pop("sampling_encoder")


def test_a_broken_image_is_named(llava: Vlm, draws: list[Draw], tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(draws[0].prompt.image.read_bytes()[:60])
    draw = replace(draws[0], prompt=replace(draws[0].prompt, image=broken))
    with pytest.raises(ImageError, match=r"broken\.png cannot be read") as caught:
        sample(llava, [*draws[:3], draw], CONFIG)
    assert caught.value.image == broken


def test_a_replaced_picture_is_read_again(llava: Vlm, pictures: list[Path], tmp_path: Path) -> None:
    picture = tmp_path / "one.png"
    picture.write_bytes(pictures[0].read_bytes())
    draws = [Draw(Prompt(picture, "what is it ?", "red", OPENER), 0.9, s) for s in range(5)]
    before = sample(llava, draws, CONFIG)
    picture.write_bytes(pictures[3].read_bytes() + b"\n")
    assert [s.text for s in sample(llava, draws, CONFIG)] != [s.text for s in before]


@pytest.mark.parametrize(
    "wrong", [{"max_new_tokens": 0}, {"top_k_share": 0.0}, {"top_k_share": 1.5}, {"batch_rows": 0}]
)
def test_senseless_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SampleConfig(**wrong)  # type: ignore[arg-type]


def test_a_picture_is_read_once_whatever_is_asked_of_it(
    llava: Vlm, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = [
        Draw(Prompt(picture, question, None, OPENER), 0.6, seed)
        for picture in pictures[:2]
        for question in ("what is it ?", "is it a cube ?", "how many cubes are there ?")
        for seed in range(2)
    ]
    monkeypatch.setitem(llava.memo, "sharing", "none")
    expected = sample(llava, draws, CONFIG)
    n_read: list[int] = []
    forward = llava.model.forward

    @wraps(forward)
    def counting(*args: Any, **inputs: Any) -> Any:
        n_read.append(int((inputs["input_ids"] == llava.model.config.image_token_id).sum()))
        return forward(*args, **inputs)

    monkeypatch.setitem(llava.memo, "sharing", "pictures")
    sample(llava, draws[:1], CONFIG)
    monkeypatch.setattr(llava.model, "forward", counting)
    sample(llava, draws[:1], CONFIG)
    [of_one] = {n for n in n_read if n}
    n_read.clear()
    assert [made.text for made in sample(llava, draws, CONFIG)] == [m.text for m in expected]
    assert sum(n_read) == 2 * of_one


def test_a_prompt_that_ends_at_once_does_not_stop_sharing(
    llava: Vlm, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short answers end after a token or two, sooner than sharing is tried for."""
    prompt = Prompt(pictures[0], "what is it ?", None, OPENER)
    first = sample(llava, [Draw(prompt, 0.01, 1)], replace(CONFIG, max_new_tokens=1))[0]
    token = llava.tokenizer(first.text, add_special_tokens=False)["input_ids"][0]
    monkeypatch.setattr(llava.model.generation_config, "eos_token_id", [token])
    monkeypatch.delitem(llava.memo, "sharing")
    sample(llava, [Draw(prompt, 0.01, 1)], CONFIG)
    assert llava.memo["sharing"] == "pictures"


@pytest.mark.parametrize("sharing", ["contexts", "none"])
def test_a_text_is_cut_where_it_would_go_on_with_more_room(
    llava: Vlm, draws: list[Draw], monkeypatch: pytest.MonkeyPatch, sharing: str
) -> None:
    monkeypatch.setitem(llava.memo, "sharing", sharing)
    warm = [draw for draw in draws if draw.temperature == 0.9]
    few, more = (sample(llava, warm, SampleConfig(max_new_tokens=n)) for n in (4, 5))
    assert [one.is_cut for one in few] == [
        longer.n_tokens > shorter.n_tokens for shorter, longer in zip(few, more, strict=True)
    ]
    # The very last token that there is room for may be the end, and then nothing is missing.
    end_at_once = {*llava.memo["ends"], *range(llava.model.config.text_config.vocab_size)}
    monkeypatch.setitem(llava.memo, "ends", sorted(end_at_once))
    assert not any(one.is_cut for one in sample(llava, warm, SampleConfig(max_new_tokens=1)))
