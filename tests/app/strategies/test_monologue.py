"""Which base model each role of a monologue stands on."""

import pytest

from app.round_settings import LoopSettings, NamedBase
from app.strategies import DIRECT, MONOLOGUE, list_bases


def settings_of(**monologue: object) -> LoopSettings:
    return LoopSettings.model_validate(
        {
            "base_model": "org/writer",
            "revision": "abc",
            "strategy": "monologue",
            "monologue": monologue,
        }
    )


def test_both_roles_stand_on_one_base_unless_the_observer_has_its_own() -> None:
    one = settings_of()
    writer = NamedBase("org/writer", "abc")
    assert [MONOLOGUE.base_of(one, role) for role in MONOLOGUE.roles] == [writer, writer]
    assert MONOLOGUE.list_bases(one) == list_bases(one) == (writer,)

    two = settings_of(observer_model="org/seer", observer_revision="def")
    seer = NamedBase("org/seer", "def")
    assert [MONOLOGUE.base_of(two, role) for role in MONOLOGUE.roles] == [writer, seer]
    assert list_bases(two) == (writer, seer)


def test_no_other_strategy_looks_at_the_model_of_the_observer() -> None:
    two = settings_of(observer_model="org/seer").model_copy(update={"strategy": "direct"})
    assert DIRECT.list_bases(two) == list_bases(two) == (NamedBase("org/writer", "abc"),)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"observer_model": " "}, "Name the model of the observer, or leave it empty"),
        ({"observer_revision": "def"}, "is there without the model"),
    ],
)
def test_a_model_that_is_named_by_half_is_refused(given: dict[str, str], refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        settings_of(**given)
