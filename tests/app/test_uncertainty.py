"""How sure people and the model are, as numbers."""

import pytest

from app.uncertainty import (
    N_LEVELS,
    ItemVotes,
    disagreement,
    is_contested,
    judged_priority,
    spread,
    untouched_priority,
)


def votes(*fits: tuple[int, int], n: int = 2, n_wrong: int = 0) -> ItemVotes:
    return ItemVotes(n, n_wrong, fits)


def test_the_spread_of_draws_goes_from_none_to_all() -> None:
    assert spread([25]) == 0.0
    assert spread([1] * 25) == pytest.approx(1.0)
    assert spread([]) == 0.0
    assert spread([1]) == 0.0
    assert 0 < spread([20, 5]) < spread([15, 10]) < spread([9, 8, 8]) < 1


def test_disagreement_is_none_where_all_say_the_same_and_one_where_all_are_split() -> None:
    assert disagreement(votes((2, 2), (0, 2))) == 0.0
    assert disagreement(votes((1, 2), (1, 2), n_wrong=1)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("yes", "n", "contested"),
    [(1, 1, False), (1, 2, True), (1, 3, False), (2, 4, True), (1, 4, False), (2, 5, True)],
)
def test_contested_is_what_over_a_third_sees_otherwise(yes: int, n: int, contested: bool) -> None:
    assert is_contested(votes((yes, n), n=n)) is contested
    assert is_contested(votes(n=n, n_wrong=yes)) is contested


def test_people_who_disagree_come_before_the_untouched_and_those_who_agree_after() -> None:
    split, agreed = judged_priority(votes((1, 2))), judged_priority(votes((2, 2)))
    assert agreed < untouched_priority([25]) < untouched_priority([1] * 25) < split


def test_there_are_few_levels() -> None:
    found = {untouched_priority([n, 50 - n]) for n in range(51)}
    assert len(found) <= N_LEVELS + 1
