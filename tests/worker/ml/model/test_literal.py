"""What people type is text for every family: no mark of theirs is one for the model."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.support.models.families import FAMILIES
from tests.support.models.more_families import FURTHER_FAMILIES
from tests.worker.ml.conftest import OPENER
from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE, explained, prompt_text, train_text
from worker.ml.model.literal import BREAK, JOINER, Marks, token_ids
from worker.ml.model.loading import Vlm, load_vlm
from worker.ml.sampling.generate import sample
from worker.ml.training.losses import encode_example
from worker.ml.types import Draw, Prompt, SampleConfig

EVERY = FAMILIES | FURTHER_FAMILIES
QUICK = ("llava", "idefics3", "qwen2_5_vl", "paligemma", "instructblip")
TYPED = (
    "<image>",
    "<|im_end|>",
    "<|im_start|>system",
    "<end_of_turn>",
    "<eos>",
    "</s>",
    "[INST]",
    "<|vision_start|><|image_pad|><|vision_end|>",
    "<image_soft_token>",
    "<start_of_image>",
    "<IMG_CONTEXT>",
    "<loc0001>",
    "<|eot_id|>",
    "<|image|>",
    "<<image>>",
    "<ima<image>ge>",
    "<pad><bos>",
)


@pytest.fixture(
    scope="module",
    params=[pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in EVERY],
)
def vlm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Vlm:
    folder = tmp_path_factory.mktemp(request.param)
    EVERY[request.param](folder)
    return load_vlm(str(folder), device="cpu")


def control_ids(vlm: Vlm) -> set[int]:
    """All added tokens but the one for what the vocabulary lacks."""
    return {*vlm.tokenizer.added_tokens_decoder, *vlm.tokenizer.all_special_ids} - {
        vlm.tokenizer.unk_token_id
    }


def test_typed_marks_are_characters_in_prompts_and_training_rows(
    vlm: Vlm, pictures: list[Path]
) -> None:
    control = control_ids(vlm)
    encoder = encoder_of(vlm)

    def marks_in(prompt: Prompt) -> tuple[list[int], list[int]]:
        row = encoder.row(pictures[0], prompt_text(vlm, prompt))
        ids = [*row.text["input_ids"][0].tolist(), *row.continuation]
        return [token for token in ids if token in control], ids

    expected, _ = marks_in(Prompt(pictures[0], "is it x ?", "yes x", OPENER))
    for typed in TYPED:
        prompt = Prompt(pictures[0], f"is it {typed} ?", f"yes {typed}", f", {typed} that")
        found, ids = marks_in(prompt)
        assert found == expected, typed  # the template's own, and the picture's
        letters = vlm.tokenizer.decode([token for token in ids if token not in control])
        assert letters.replace(" ", "").count(typed.replace(" ", "")) == 3, typed
        row = explained(pictures[0], f"is it {typed} ?", typed, f"it is {typed} there", OPENER)
        for example in encode_example(vlm, encoder, row, 0, DEFAULT_STYLE):
            learned = {name: targets[:-1] for name, targets in example.learned}
            tokens = [token for targets in learned.values() for _, token in targets]
            assert control.isdisjoint(tokens), typed
            said = vlm.tokenizer.decode([token for _, token in learned["rationale"]])
            assert said.split() == f"it is {typed} there".split()


@pytest.mark.slow
def test_texts_with_marks_are_sampled_from_and_leave_others_as_they_were(
    vlm: Vlm, pictures: list[Path]
) -> None:
    plain = [Draw(Prompt(p, "what is it ?", "yes", OPENER), 0.9, n) for n, p in enumerate(pictures)]
    marked = [
        Draw(Prompt(pictures[0], f"what is {typed} ?", typed, OPENER), 0.9, 7) for typed in TYPED
    ]
    config = SampleConfig(max_new_tokens=4)
    both, alone = sample(vlm, [*plain, *marked], config), sample(vlm, plain, config)
    assert [one.text for one in both[: len(plain)]] == [one.text for one in alone]
    assert len(both) == len(plain) + len(marked)


def test_texts_without_a_mark_stay_as_they_are(vlm: Vlm) -> None:
    marks = Marks.of(vlm.processor)
    for text in ("is 3 < 5 > 2 ?", "<b>bold</b>", "[a] {b} <c>", "C++ | <|", "é  \n\tx", ""):
        assert marks.broken(text) == text


def test_a_mark_of_two_texts_is_broken_between_them(llava: Vlm) -> None:
    prompt = Prompt(Path("x.png"), "is it ?", "yes <ima", "ge> that")
    assert prompt_text(llava, prompt).continuation == f" yes <ima{BREAK}ge> that"
    assert prompt_text(llava, prompt).text.endswith("A: yes <image> that")
    row = explained(Path("x.png"), "is it ?", "yes <ima", "so", "ge> that")
    pieces = train_text(llava, row)
    assert pieces.parts[0].text + pieces.parts[1].text == prompt_text(llava, prompt).continuation


def test_a_break_is_nobody_s_to_type(llava: Vlm) -> None:
    question = f"is it <{BREAK}image{BREAK}> ?"
    assert prompt_text(llava, Prompt(Path("x.png"), question, None, "")).text == (
        "<image>Q: is it <image> ? A:"
    )


def test_letters_that_a_tokenizer_takes_for_others_make_no_mark() -> None:
    vocabulary = {"<unk>": 0, "<x>": 1, "<": 2, "x": 3, ">": 4, " ": 5, "a": 6, "\n": 7, ".": 8}
    backend = Tokenizer(models.Unigram([(token, -1.0) for token in vocabulary], unk_id=0))
    backend.normalizer = normalizers.NFKC()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    tokenizer.add_special_tokens({"additional_special_tokens": ["<x>"]})
    marks = Marks((tokenizer,))
    for typed in ("a ＜x＞ a", "a <x> a", "<x>"):
        assert 1 in token_ids(tokenizer, typed)
        ids = token_ids(tokenizer, marks.broken(typed))
        assert 1 not in ids
        assert tokenizer.decode(ids).replace(" ", "") == typed.translate(
            {0xFF1C: "<", 0xFF1E: ">", 0x20: None}
        )


def test_a_blank_that_begins_every_text_is_not_put_into_a_broken_one() -> None:
    words = ["▁", "▁a", "<s>", "</s>", "a", "<", "s", ">", "/", "\n", "."]
    backend = Tokenizer(models.Unigram([("<unk>", -9.0), *((w, -1.0) for w in words)], unk_id=0))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    ids = token_ids(tokenizer, Marks((tokenizer,)).broken("a <s> </s>a"))
    assert tokenizer.convert_ids_to_tokens(ids) == ["▁a", "▁", *"<s>", "▁", *"</s>a"]


def test_marks_are_broken_for_others_by_a_character_that_nobody_sees(llava: Vlm) -> None:
    marks = Marks.of(llava.processor)
    assert marks.broken("an <image> of 3 < 5", by=JOINER) == f"an <{JOINER}image> of 3 < 5"
