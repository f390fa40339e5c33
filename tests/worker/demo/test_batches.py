"""What is learned of a row, and what the tokenizer makes of it."""

import random

import pytest

from app.scenes.scene import is_held_out, random_scene
from worker.demo.architecture import N_IMAGE_TOKENS, build_processor
from worker.demo.batches import IGNORED, make_batch
from worker.demo.pixels import CellPixels
from worker.demo.rows import (
    Row,
    answer_row,
    caption_row,
    careful_row,
    draw_question,
    explanation_row,
    look_row,
    rationale_prompt,
    study_row,
)
from worker.demo.vocabulary import EOS, WORDS, build_tokenizer

PROCESSOR = build_processor()
TOKENIZER = PROCESSOR.tokenizer


@pytest.fixture(scope="module")
def cells() -> CellPixels:
    return CellPixels(PROCESSOR)


def learned_text(row: Row, cells: CellPixels) -> str:
    labels = make_batch([row], TOKENIZER, cells).labels[0]
    return str(TOKENIZER.decode(labels[labels != IGNORED]))


def test_only_answer_and_explanation_and_the_end_are_learned(cells: CellPixels) -> None:
    scene = random_scene(random.Random(1))
    parts = (
        ("Q: how many cubes are there? A:", False),
        (" two", True),
        (", seeing that", False),
        (" there are two cubes", True),
    )
    assert learned_text(Row(scene, parts), cells) == f" two there are two cubes{EOS}"


def test_rows_are_padded_on_the_right_and_masked(cells: CellPixels) -> None:
    rng = random.Random(2)
    rows = [answer_row(rng), caption_row(rng), explanation_row(rng), look_row(rng)]
    batch = make_batch(rows, TOKENIZER, cells)
    lengths = batch.attention_mask.sum(dim=1).tolist()
    assert max(lengths) == batch.input_ids.shape[1]
    for number, length in enumerate(lengths):
        assert (batch.input_ids[number, length:] == TOKENIZER.pad_token_id).all()
        assert (batch.labels[number, length:] == IGNORED).all()
        assert batch.labels[number, length - 1] == TOKENIZER.eos_token_id


def test_training_and_processor_agree_on_the_tokens(cells: CellPixels) -> None:
    scene, question = draw_question(random.Random(3))
    prompt = rationale_prompt(question.text, question.answer)
    trained = make_batch([Row(scene, ((prompt, False),))], TOKENIZER, cells).input_ids[0, :-1]
    for text in (f"<image>{prompt}", f"<image>\n{prompt}", f"<image> {prompt}"):
        asked = TOKENIZER(text.replace("<image>", "<image>" * N_IMAGE_TOKENS)).input_ids
        assert asked == trained.tolist()


def test_rows_never_show_held_out_scenes_and_held_out_questions_always_do() -> None:
    rng = random.Random(4)
    for draw in (answer_row, caption_row, explanation_row, look_row, study_row, careful_row):
        assert not any(is_held_out(draw(rng).scene) for _ in range(40))
    assert all(is_held_out(draw_question(rng, held_out=True)[0]) for _ in range(40))


def test_every_word_of_the_rows_is_one_token() -> None:
    rng = random.Random(5)
    for _ in range(300):
        for draw in (answer_row, caption_row, explanation_row, study_row, careful_row):
            words = draw(rng).text.replace("?", "").replace(":", "").replace(",", "").split()
            assert all(len(TOKENIZER.tokenize(word)) == 1 for word in words), words
    assert all(len(TOKENIZER.tokenize(word)) == 1 for word in WORDS)


def test_any_text_survives_the_tokenizer_in_lower_case() -> None:
    text = "zwölf blaue würfel, 3 red cubes & one owl!"
    ids = TOKENIZER(text, add_special_tokens=False).input_ids
    assert TOKENIZER.decode(ids).strip() == text


def test_the_tokenizer_is_the_same_every_time() -> None:
    assert build_tokenizer().get_vocab() == build_tokenizer().get_vocab()


def test_a_continuation_may_be_encoded_with_or_without_its_space() -> None:
    with_space = TOKENIZER(" there are two", add_special_tokens=False).input_ids
    assert with_space == TOKENIZER("there are two", add_special_tokens=False).input_ids
