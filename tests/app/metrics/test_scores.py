"""Values worked out by hand from the published definitions."""

import math
import unicodedata
from collections.abc import Callable

import numpy as np
import pytest

from app.metrics import (
    bleu,
    bleu_per_item,
    cider,
    cider_per_item,
    count_bleu,
    rouge_l,
    rouge_l_per_item,
)


def test_bleu_multiplies_clipped_precisions_and_the_brevity_penalty() -> None:
    scores = bleu(["the cat sat on mat"], [["the cat sat on the mat"]])
    penalty = math.exp(1 - 6 / 5)
    assert scores == pytest.approx(
        [
            penalty,
            penalty * (3 / 4) ** (1 / 2),
            penalty * (3 / 4 * 2 / 3) ** (1 / 3),
            penalty * (3 / 4 * 2 / 3 * 1 / 2) ** (1 / 4),
        ],
        abs=1e-8,
    )


def test_bleu_clips_a_repeated_word() -> None:
    assert bleu(["the the the the"], [["the cat is here", "a the the b"]])[0] == pytest.approx(0.5)


def test_bleu_is_of_the_corpus_and_not_a_mean_of_items() -> None:
    hypotheses = ["red ball", "a b c d e f"]
    references = [["red ball"], ["x y z u v w"]]
    assert bleu(hypotheses, references)[0] == pytest.approx(2 / 8)
    assert [scores[0] for scores in bleu_per_item(hypotheses, references)] == pytest.approx(
        [1.0, 0.0], abs=1e-6
    )


def test_bleu_measures_length_against_the_closest_reference() -> None:
    # Equally close below and above: the shorter counts, so there is no penalty.
    assert bleu(["a b c"], [["a b", "a b c d"]])[0] == pytest.approx(1.0)


def test_resampled_counts_score_like_the_resampled_corpus() -> None:
    hypotheses = ["the ball is red", "it is a cube", "two cubes are blue"]
    references = [["the ball is red"], ["it is a small cube"], ["there are two blue cubes"]]
    chosen = [2, 0, 2]
    counts = count_bleu(hypotheses, references)
    assert counts.score(np.array(chosen)) == pytest.approx(
        bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen])
    )


def test_rouge_l_weighs_recall_with_beta_1_2() -> None:
    # One common word in order: precision 1/3, recall 1/4.
    expected = (1 + 1.44) * (1 / 3) * (1 / 4) / (1 / 4 + 1.44 / 3)
    assert rouge_l(["a red ball"], [["the ball is red"]]) == pytest.approx(expected)


def test_rouge_l_takes_best_precision_and_best_recall_over_references() -> None:
    # Precision 2/2 against the long reference, recall 1/1 against the short one.
    assert rouge_l(["red ball"], [["a red shiny ball lies here", "ball"]]) == pytest.approx(1.0)


def test_rouge_l_of_nothing_in_common_is_zero() -> None:
    assert rouge_l_per_item(["cube", ""], [["ball"], ["ball"]]) == [0.0, 0.0]


def test_cider_of_equal_short_texts_is_half_because_long_grams_are_missing() -> None:
    assert cider(["red ball", "blue cube"], [["red ball"], ["blue cube"]]) == pytest.approx(5.0)


def test_cider_counts_a_shared_word() -> None:
    scores = cider_per_item(["red ball", "green cone"], [["red cube"], ["blue ring"]])
    # Unigram cosine 1/2, nothing for longer grams: 10 · (1/2) / 4.
    assert scores == pytest.approx([1.25, 0.0])


def test_cider_damps_texts_of_another_length() -> None:
    first, _ = cider_per_item(["red cube is here now ok", "x"], [["red cube"], ["blue ring"]])
    damping = math.exp(-(4**2) / (2 * 6**2))
    expected = 10 / 4 * damping * (2 / math.sqrt(6 * 2) + 1 / math.sqrt(5))
    assert first == pytest.approx(expected)


def test_cider_ignores_what_every_reference_says() -> None:
    scores = cider_per_item(["it is", "it is"], [["it is red"], ["it is blue"]])
    assert scores == [0.0, 0.0]


@pytest.mark.parametrize("metric", [bleu, rouge_l, cider])
def test_lists_that_do_not_match_are_refused(metric: object) -> None:
    assert callable(metric)
    with pytest.raises(ValueError, match="1 hypotheses stand against 2"):
        metric(["a"], [["a"], ["b"]])
    with pytest.raises(ValueError, match="item 0 has no list of references"):
        metric(["a"], [[]])


def test_an_empty_corpus_scores_zero() -> None:
    assert rouge_l([], []) == 0.0
    assert cider([], []) == 0.0
    assert bleu([], []) == pytest.approx([0.0] * 4, abs=1e-3)


@pytest.mark.parametrize("metric", [bleu, rouge_l, cider])
def test_decomposed_accents_score_as_composed_ones(metric: Callable[..., object]) -> None:
    texts, gold = (
        ["le ballon est coloré là"],
        [
            ["le ballon coloré est là"],
        ],
    )
    decomposed = [unicodedata.normalize("NFD", texts[0])]
    decomposed_gold = [[unicodedata.normalize("NFD", gold[0][0])]]
    expected = pytest.approx(metric(texts, gold))
    assert metric(decomposed, gold) == expected
    assert metric(texts, decomposed_gold) == expected
    # Also where somebody cuts the words otherwise.
    blanks = pytest.approx(metric(texts, gold, str.split))
    assert metric(texts, decomposed_gold, str.split) == blanks
