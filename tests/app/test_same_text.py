"""Which texts count as one: how something was typed does not matter, what it says does."""

import pytest

from app.same_text import is_cut, is_same_answer, text_key

DIFFERENT = [
    # signs, comparisons, arithmetic
    ("-5 degrees", "5 degrees"),
    ("it is - 5 degrees", "it is 5 degrees"),
    ("+5", "-5"),
    ("±5", "5"),
    ("–5", "5"),
    ("-$5", "$5"),
    ("-x", "x"),
    ("3 < 5", "3 > 5"),
    ("≤ 5", "≥ 5"),
    ("3 != 5", "3 = 5"),
    ("5 - 3", "5 3"),
    ("x - y", "x y"),
    ("5 · 3", "5 3"),
    ("(2 + 3) * 4", "2 + (3 * 4)"),
    ("a -> b", "a <- b"),
    # numbers
    ("1.5", "15"),
    ("1.5", "1 5"),
    ("15", "1 5"),
    ("1,5", "15"),
    (".5", "5"),
    ("3:1", "31"),
    ("1/2", "12"),
    ("½", "1"),
    ("10²", "102"),
    # currency, units, names
    ("costs $5", "costs €5"),
    ("50%", "50"),
    ("25°C", "25°F"),
    ("5'", '5"'),
    ("C++", "C#"),
    ("C++", "C"),
    ("A-", "A"),
    ("A+", "A-"),
    ("#1", "1"),
    # emoji
    ("👍", "👎"),
    ("👍🏽", "👍🏿"),
    ("👩‍💻", "👨‍💻"),
    ("👨‍👩‍👧", "👨👩👧"),
    ("🇩🇪", "🇺🇸"),
    ("🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"),
    ("1️⃣", "1"),
    ("\U0001fae8", "\U0001fae9"),  # younger than Python's tables
    ("happy :)", "happy :("),
    # letters and marks
    ("कि", "की"),
    ("कमल", "कमाल"),
    ("מלך", "מֶלֶךְ"),
    ("résumé", "resume"),
    ("kız", "kiz"),
    ("in Maßen", "in Massen"),
    ("we're", "were"),
    ("co-op", "coop"),
    ("...", "!!!"),
    ("?", ""),
]
SAME = [
    ("It is red.", "it is red"),
    ("It  is\nred", " it is red "),
    ("“It is red,” he said", "It is red he said"),
    ("„rot“", "«rot»"),
    ("'red'", '"red"'),
    ('said "the 5"', "said the 5"),
    ("red,blue", "red, blue"),
    ("(see left)", "see left"),
    ("the cat - a tabby - sleeps", "the cat — a tabby — sleeps"),
    ("- red", "• red"),
    ("red...", "red…"),
    ("¿Qué?", "qué"),
    ("यह लाल है।", "यह लाल है"),
    ("赤い。犬", "赤い 犬"),
    ("50 %.", "50%"),
    ("$ 5,", "$5"),
    ("3<5", "3 < 5"),
    ("C++.", "C++"),
    ("−5", "-5"),
    ("3–5", "3 - 5"),
    ("don’t", "don't"),
    ("cafe\u0301", "café"),
    ("👍\ufe0f", "👍"),
    ("so\u00adft", "soft"),
    ("\u200fred", "red"),
    ("３ ＤＯＧＳ", "3 dogs"),
    ("٣", "3"),
    ("ｶﾞ", "ガ"),
    ("ﬁsh", "fish"),
    ("STRAẞE", "straße"),
    ("İstanbul", "istanbul"),
    ("ΟΔΟΣ", "οδος"),
    ("...", "..."),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_texts_that_say_something_else_are_two(one: str, other: str) -> None:
    assert text_key(one) != text_key(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_texts_that_are_only_typed_otherwise_are_one(one: str, other: str) -> None:
    assert text_key(one) == text_key(other)


def test_five_hindi_texts_that_differ_in_vowel_signs_are_five() -> None:
    texts = ["कल", "काल", "कील", "कुल", "केला"]
    assert len({text_key(f"यह {text} है।") for text in texts}) == 5


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("50%", "50"),
        ("C++", "C#"),
        ("-5", "5"),
        ("1.5", "15"),
        ("1,5", "15"),
        ("$5", "€5"),
        ("<", ">"),
        ("👍", "👎"),
        ("A", "B"),
        ("its", "it's"),
        ("3/4", "34"),
        ("", "%"),
        ("", "?"),
        ("  ", "  "),
        ("", ""),
        ("...", "%"),
        ("the", "a"),
        ("vitamin A", "vitamin"),
    ],
)
def test_a_wrong_answer_is_wrong(given: str, right: str) -> None:
    assert not is_same_answer(given, right)


@pytest.mark.parametrize(
    ("given", "right"),
    [
        ("Yes.", "yes"),
        ("two dogs", "2 dogs"),
        ("None", "0"),
        ("the red cube", "red cube"),
        ("an apple on a table", "apple on table"),
        ("a", "A."),
        ("dont", "don't"),
        ("couldve", "could’ve"),
        ("T-shirt", "t shirt"),
        ("black/white", "black white"),
        ("U.S.", "US"),
        ("1,000", "1000"),
        ("３", "three"),
        ("50 %", "50%"),
        ("?", "?"),
        ("👍", "👍\ufe0f"),
    ],
)
def test_a_right_answer_is_right_however_it_is_typed(given: str, right: str) -> None:
    assert is_same_answer(given, right)
    assert is_same_answer(right, given)


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        ([True], True),
        ([True, True], True),
        ([True, False], False),
        ([True, None], False),
        ([None], False),
        ([], False),
    ],
)
def test_a_candidate_is_cut_where_all_its_draws_are_known_to_be(
    draws: list[bool | None], expected: bool
) -> None:
    assert is_cut(draws) is expected
