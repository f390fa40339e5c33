import pytest

from app.metrics import tokenize


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It's the dog's ball.", "it 's the dog 's ball"),
        ("they don't and can't and cannot", "they do n't and ca n't and can not"),
        ("a black-clad man -- with (two) hats", "a black-clad man with -lrb- two -rrb- hats"),
        (
            "Mr. Smith waits, at 3:30 p.m. in the U.S. today.",
            "mr. smith waits at 3:30 p.m. in the u.s. today",
        ),
        ("50% of 1,000 costs $5.00", "50 % of 1,000 costs $ 5.00"),
        ("red,blue and green...", "red blue and green"),
        ("what?! wow!", "what ?! wow"),
        ("“curly” it’s", "curly it 's"),
        ("from the mid 1800's", "from the mid 1800 's"),
        ("a green m&m", "a green m & m"),
        ("word-,word -start end-", "word word start end"),
        ("He said: \"yes\"; 'no'.", "he said yes no"),
        ("rock'n'roll at 5'10\"", "rock 'n' roll at 5 10"),
        ("it's/that, the man's-hat", "it 's / that the man 's hat"),
        ("the man 's hat isn't/wasn't", "the man 's hat is n't / was n't"),
        ("old-looking.there is a hat.it is red", "old-looking there is a hat.it is red"),
        ("it is -5, +5 or .50", "it is -5 +5 or .50"),
        ("½ a cake, 3–4 slices", "1/2 a cake 3 4 slices"),
        ("he smiles :-) and winks ;)", "he smiles :--rrb- and winks ;-rrb-"),
        ("on mon. and sat. at no.5", "on mon. and sat at no. 5"),
        ("happy 😀 dog", "happy dog"),
        ("   ", ""),
        ("...", ""),
    ],
)
def test_text_is_cut_by_the_treebank_conventions(text: str, tokens: str) -> None:
    assert tokenize(text) == tokens.split()


def test_sentence_end_and_abbreviation_are_told_apart() -> None:
    assert tokenize("This is no. 5") == ["this", "is", "no.", "5"]
    assert tokenize("The answer is no.") == ["the", "answer", "is", "no"]


def test_a_single_letter_keeps_its_dot_unless_a_sentence_begins_behind_it() -> None:
    assert tokenize("plan b. is good") == ["plan", "b.", "is", "good"]
    assert tokenize("It is plan B. The man waits") == [
        "it",
        "is",
        "plan",
        "b",
        "the",
        "man",
        "waits",
    ]
    assert tokenize("the letter i.") == ["the", "letter", "i."]
