"""Keys of the judging page: one registry without clashes, and each person's own choice of them."""

import pytest

from app.kit.errors import InvalidInput
from app.models import User
from app.services.judging.keys import USUAL_KEYS, clashes, keys_of, reset_keys, set_keys


def person() -> User:
    return User(name="Noor", judging_keys={})


def key_for(user: User, action: str) -> str:
    return next(key.key for key in keys_of(user) if key.action == action)


def test_no_usual_key_does_two_things() -> None:
    assert clashes(list(USUAL_KEYS)) == []


def test_own_keys_are_kept_where_they_differ() -> None:
    user = person()
    set_keys(user, {"skip": "X", "submit": "arrowdown", "none": "n", "previous": "↑"})
    assert user.judging_keys == {"skip": "x", "submit": "ArrowDown", "previous": "ArrowUp"}
    assert (key_for(user, "skip"), key_for(user, "zoom")) == ("x", "z")
    reset_keys(user)
    assert keys_of(user) == USUAL_KEYS


def test_a_new_action_takes_no_key_that_somebody_chose_for_another() -> None:
    user = User(judging_keys={"none": "f"})  # before there was an action for this key
    found = {key.action: key.key for key in keys_of(user)}
    assert (found["none"], found["flag"]) == ("f", "")


def test_two_actions_may_trade_their_keys() -> None:
    user = person()
    set_keys(user, {"skip": "n", "none": "s"})
    assert (key_for(user, "skip"), key_for(user, "none")) == ("n", "s")


def test_a_clash_is_named_and_nothing_is_kept() -> None:
    user = person()
    with pytest.raises(InvalidInput) as refused:
        set_keys(user, {"skip": "N", "zoom": "x"})
    assert refused.value.errors == [
        "“n” is the key for “None fits” and “Skip, with a reason”."
    ]  # fmt: skip
    assert user.judging_keys == {}


@pytest.mark.parametrize("key", ["", "  ", "Tab", "Escape", "ab", "F1", "\x00"])
def test_what_is_no_key_or_the_browsers_own_is_refused(key: str) -> None:
    user = person()
    with pytest.raises(InvalidInput, match="Skip, with a reason"):
        set_keys(user, {"skip": key})
    assert user.judging_keys == {}


def test_an_unknown_action_is_refused() -> None:
    with pytest.raises(InvalidInput, match="dance"):
        set_keys(person(), {"dance": "d"})
