import unicodedata
from functools import partial

import pytest

from app.critics import CriticError, CriticItem, Fault, get_critic
from app.kit.errors import InvalidInput

NFD = partial(unicodedata.normalize, "NFD")

ITEM = CriticItem(
    question="what is on the field?",
    answer="a ball",
    gold_rationales=("a round red thing lies on the grass", "there is a red ball on the field"),
)


def test_what_a_gold_rationale_says_fits() -> None:
    texts = ["There is a red ball on the field", "a red ball on the field", "it is sunny", ""]
    verdicts = get_critic("rouge:0.5").judge(ITEM, texts)
    assert [verdict.fits for verdict in verdicts] == [True, True, False, False]
    assert verdicts[0].reason == "ROUGE-L 1.00 against the closest gold rationale"
    assert [verdict.fault for verdict in verdicts[1:3]] == [None, Fault.DOES_NOT_JUSTIFY]


def test_an_accent_typed_as_a_character_of_its_own_is_the_same_word() -> None:
    gold = "le ballon est coloré"
    for reference, text in ((gold, NFD(gold)), (NFD(gold), gold)):
        item = CriticItem("q", "a", gold_rationales=(reference,))
        assert get_critic("rouge:1").judge(item, [text])[0].fits


def test_the_threshold_decides_and_is_part_of_the_name() -> None:
    # Six of eight gold words in order, nothing else: precision 1, recall 3/4.
    score = (1 + 1.44) * 0.75 / (0.75 + 1.44)
    text = ["a red ball on the field"]
    assert get_critic(f"rouge:{score - 0.001:.4f}").judge(ITEM, text)[0].fits
    assert not get_critic(f"rouge:{score + 0.001:.4f}").judge(ITEM, text)[0].fits
    assert get_critic("rouge:0.50").name == "rouge:0.5"


def test_parts_of_two_gold_rationales_do_not_add_up() -> None:
    item = CriticItem("q", "a", gold_rationales=("one two three four", "five six seven eight"))
    verdict = get_critic("rouge:0.5").judge(item, ["one two seven eight nine ten"])[0]
    assert not verdict.fits


def test_an_item_without_gold_rationales_cannot_be_judged() -> None:
    with pytest.raises(CriticError, match=r"needs gold rationales.*“what\?” has none"):
        get_critic("rouge:0.5").judge(CriticItem("what?", "this"), ["because"])


@pytest.mark.parametrize(
    "spec", ["rouge", "rouge:", "rouge:0", "rouge:1.1", "rouge:nan", "rouge:x", "bleu:0.5", ""]
)
def test_another_name_is_refused_with_the_ones_there_are(spec: str) -> None:
    with pytest.raises(InvalidInput, match=r"`exact`|above 0 and at most 1"):
        get_critic(spec)
