"""The series of figures of an evaluation: each is what its own corpus of pairs comes to."""

import pytest

from app.lifecycle import Split
from app.metrics import bleu, cider, cider_per_item, rouge_l, rouge_l_per_item, why_no_meteor
from app.services.evaluation.text_scores import Figure, Outcome, ScoredItem, measure

REFERENCES = (
    ("the ball is red", "a red ball on the left", "the shiny ball is red"),
    ("two cones stand behind the cube", "behind the cube are two cones"),
    ("the sky is grey",),
    ("a man rides a horse", "he sits on a brown horse", "the man is on a horse"),
)
RATIONALES = ("the ball is red", "two cubes are small", "the sky is grey", "a man on a horse")
RIGHT = (True, False, True, True)


def make_item(number: int, *, blank: Outcome | None = None) -> ScoredItem:
    is_right = RIGHT[number]
    seen = Outcome(RATIONALES[number], answer_is_right=is_right, fits=is_right)
    return ScoredItem(REFERENCES[number], seen, blank)


ITEMS = [make_item(number) for number in range(4)]


def figures_of(items: list[ScoredItem], *, with_meteor: bool = False) -> dict[str, Figure]:
    measured = measure({Split.TEST: items, Split.VALIDATION: []}, with_meteor=with_meteor)
    return {figure.name: figure for figure in measured.get(Split.TEST, [])}


def test_unfiltered_figures_are_of_all_explained_items() -> None:
    unexplained = ScoredItem((), Outcome("no idea", answer_is_right=False, fits=False), None)
    found = figures_of([*ITEMS, unexplained])
    assert found["bleu4"].value == pytest.approx(bleu(RATIONALES, REFERENCES)[3])
    assert found["rouge_l"].value == pytest.approx(rouge_l(RATIONALES, REFERENCES))
    assert found["cider"].value == pytest.approx(cider(RATIONALES, REFERENCES))
    assert {found[name].n for name in ("bleu4", "rouge_l", "cider")} == {4}
    assert (found["answer_accuracy"].value, found["answer_accuracy"].n) == (3 / 5, 5)


def test_filtered_figures_are_those_of_the_items_answered_right_alone() -> None:
    chosen = [number for number in range(4) if RIGHT[number]]
    texts, references = [RATIONALES[i] for i in chosen], [REFERENCES[i] for i in chosen]
    found = figures_of(ITEMS)
    assert found["filtered_bleu4"].value == pytest.approx(bleu(texts, references)[3])
    assert found["filtered_rouge_l"].value == pytest.approx(rouge_l(texts, references))
    # Its own corpus, with its own document frequencies, as published filtered figures are.
    assert found["filtered_cider"].value == pytest.approx(cider(texts, references))
    assert found["filtered_cider"].n == 3


def test_nothing_is_invented_where_no_answer_is_right() -> None:
    wrong = [make_item(1)]
    names = set(figures_of(wrong))
    assert not any(name.startswith("filtered") for name in names)
    assert {"bleu4", "rouge_l", "cider"} <= names


def test_a_person_is_scored_against_the_others_of_the_item() -> None:
    item = make_item(1)
    one, other = item.references
    found = figures_of([item])
    expected = rouge_l_per_item([one, other], [[other], [one]])
    assert found["human_rouge_l"].value == pytest.approx(sum(expected) / 2)
    assert found["human_rouge_l"].n == 1
    expected = rouge_l_per_item([RATIONALES[1]] * 2, [[other], [one]])
    assert found["leave_one_out_rouge_l"].value == pytest.approx(sum(expected) / 2)


def test_a_model_that_writes_like_a_person_scores_like_one() -> None:
    """Both are held against equally many references; against all, the model would get more."""
    seen = Outcome("it is red", answer_is_right=True, fits=True)
    found = figures_of([ScoredItem(("it is red",) * 3, seen, None)])
    assert found["leave_one_out_bleu4"].value == found["human_bleu4"].value
    found = figures_of([make_item(0)])  # the model says what the first person wrote
    assert found["rouge_l"].value == 1.0
    assert found["leave_one_out_rouge_l"].value > found["human_rouge_l"].value


def test_every_item_weighs_the_same_however_many_people_explained_it() -> None:
    items = [ITEMS[0], ITEMS[1]]  # three references and two
    pairs = [
        (text, [*item.references[:place], *item.references[place + 1 :]])
        for item in items
        for place, text in enumerate(item.references)
    ]
    per_pair = cider_per_item([text for text, _ in pairs], [others for _, others in pairs])
    expected = (sum(per_pair[:3]) / 3 + sum(per_pair[3:]) / 2) / 2
    found = figures_of(items)["human_cider"]
    assert (found.value, found.n) == (pytest.approx(expected), 2)


def test_of_equally_many_references_human_bleu_is_that_of_the_corpus_of_pairs() -> None:
    seen = Outcome("it is red", answer_is_right=True, fits=True)
    groups = (
        ("the red ball is on the left", "a ball is on the left side", "the ball is on the left"),
        ("a man is on a brown horse", "the man is on a brown horse", "he sits on a brown horse"),
    )
    pairs = [
        (text, [*texts[:place], *texts[place + 1 :]])
        for texts in groups
        for place, text in enumerate(texts)
    ]
    expected = bleu([text for text, _ in pairs], [others for _, others in pairs])[3]
    found = figures_of([ScoredItem(texts, seen, None) for texts in groups])["human_bleu4"]
    assert (found.value, found.n) == (pytest.approx(expected), 2)
    assert found.value > 0.5


def test_there_is_no_human_line_where_nobody_explained_an_item_twice() -> None:
    names = figures_of([make_item(2)])
    assert not any(name.startswith(("human", "leave_one_out")) for name in names)


def test_blank_pictures_have_shares_and_texts_of_their_own() -> None:
    guess = Outcome("the ball is red", answer_is_right=True, fits=True)
    miss = Outcome("it is nothing", answer_is_right=False, fits=False)
    found = figures_of([make_item(0, blank=guess), make_item(1, blank=miss), make_item(2)])
    assert (found["blank_answer_accuracy"].value, found["blank_answer_accuracy"].n) == (0.5, 2)
    assert found["blank_fit"].value == 0.5
    expected = rouge_l(["the ball is red", "it is nothing"], REFERENCES[:2])
    assert found["blank_rouge_l"].value == pytest.approx(expected)
    assert found["answer_accuracy"].n == 3


def test_intervals_hold_their_figure_and_one_item_has_none() -> None:
    for figure in figures_of(ITEMS).values():
        assert figure.interval is not None
        low, high = figure.interval
        assert low - 1e-9 <= figure.value <= high + 1e-9, figure.name
    assert figures_of([ITEMS[0]])["human_cider"].interval is None


@pytest.mark.slow
@pytest.mark.skipif(why_no_meteor() is not None, reason=str(why_no_meteor()))
def test_meteor_stands_beside_the_others_in_every_series() -> None:
    blank = Outcome("it is nothing", answer_is_right=False, fits=False)
    found = figures_of([make_item(i, blank=blank) for i in range(4)], with_meteor=True)
    for series in ("", "filtered_", "human_", "leave_one_out_", "blank_"):
        assert found[f"{series}meteor"].n == found[f"{series}cider"].n
    assert found["filtered_meteor"].value > found["blank_meteor"].value
