"""Which observations people found untrue, and which correction stands."""

import pytest

from app.unwanted_looks import SaidOfLook, find_unwanted

YES, NO = "yes", "no"
ASKED = "What size is the cone?"


def said(
    user: int,
    what: str,
    *,
    judgement: int | None = None,
    sample: int = 1,
    asked: str = ASKED,
    observed: str = "small",
) -> SaidOfLook:
    """A mark, or a correction where it is neither yes nor no."""
    return SaidOfLook(
        user_id=user,
        judgement_id=judgement or user,
        sample_id=sample,
        turn=1,
        item_id=1,
        asked=asked,
        observed=observed,
        is_wanted=what == YES,
        correction="" if what in {YES, NO} else what,
    )


@pytest.mark.parametrize(
    ("voices", "is_untrue"),
    [
        ([], False),
        ([YES], False),
        ([NO], True),
        (["large"], True),
        ([YES, NO], True),
        ([YES, "large"], True),
        ([YES, YES, NO], False),
        ([YES, YES, "large"], False),
        ([YES, NO, "large"], True),
    ],
)
def test_a_look_is_untrue_unless_more_people_call_it_true(
    voices: list[str], is_untrue: bool
) -> None:
    found = find_unwanted(said(user, what) for user, what in enumerate(voices, start=1))
    assert bool(found) is is_untrue


def test_who_corrects_what_they_marked_as_true_calls_it_untrue() -> None:
    assert find_unwanted([said(1, YES), said(1, "large")])


def test_a_person_has_one_voice_in_the_newest_of_their_judgements() -> None:
    assert not find_unwanted([said(1, NO, judgement=1), said(1, YES, judgement=2)])
    assert find_unwanted([said(1, YES, judgement=3), said(1, NO, judgement=4), said(2, YES)])
    assert not find_unwanted([said(1, NO, sample=1), said(1, "large", sample=2), *yes_of(2, 3)])


def yes_of(*users: int) -> list[SaidOfLook]:
    return [said(user, YES) for user in users]


def test_the_same_words_are_one_look_whichever_draw_they_stand_in() -> None:
    others = [said(1, YES), said(2, YES, asked="what size is the CONE", sample=2)]
    assert not find_unwanted([*others, said(3, NO, observed="Small.", sample=3)])
    assert find_unwanted([*others, said(3, NO, observed="enormous")])
    assert find_unwanted([*others, said(3, NO, asked="what size is the ball?")])


def test_the_correction_that_most_people_wrote_stands() -> None:
    [look] = find_unwanted([said(1, "huge"), said(2, "Large"), said(3, "large."), said(4, NO)])
    assert look.corrected is not None
    assert look.corrected.correction == "Large"


def test_of_as_many_the_first_stands_and_without_any_there_is_none() -> None:
    [look] = find_unwanted([said(2, "large"), said(1, "huge"), *yes_of(3)])
    assert look.corrected is not None
    assert look.corrected.correction == "huge"
    [look] = find_unwanted([said(2, NO)])
    assert look.corrected is None
    assert look.said.judgement_id == 2
