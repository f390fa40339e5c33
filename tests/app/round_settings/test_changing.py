"""Settings that a command line changes by name."""

import re

import pytest

from app.kit.errors import AppError
from app.round_settings import LoopSettings
from app.round_settings.changing import read_changes, with_changes


def changed(*changes: str) -> LoopSettings:
    return with_changes(LoopSettings(), read_changes(changes))


def test_values_are_read_as_the_type_of_their_setting_is() -> None:
    settings = changed(
        "training.learning_rate=0.002",
        " training.rank = 16 ",
        "training.tower=yes",
        "sampling.temperatures=0.1, 0.9",
        'sampling.openers=[", because", ", seeing that"]',
        "strategy=monologue",
    )
    assert settings.training.learning_rate == 0.002
    assert (settings.training.rank, settings.training.tower) == (16, True)
    assert settings.sampling.temperatures == (0.1, 0.9)
    assert settings.sampling.openers == (", because", ", seeing that")
    assert settings.strategy == "monologue"
    assert settings.evaluation == LoopSettings().evaluation


def test_an_empty_value_is_none_where_there_may_be_none() -> None:
    assert changed("training.processes=2").training.processes == 2
    assert with_changes(changed("training.processes=2"), read_changes(["training.processes="]))
    with pytest.raises(AppError, match=r"training\.rank cannot be that"):
        changed("training.rank=")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("training.rank", "write NAME=VALUE"),
        ("training.rnak=3", "There is no setting `training.rnak`. Did you mean training.rank"),
        ("rank=3", "Did you mean training.rank"),
        ("nonsense=3", "docs/settings.md lists them"),
        ("training.rank=many", "training.rank cannot be that"),
        ("training.rank=0", "training.rank cannot be that"),
        ("training.tower=perhaps", "training.tower cannot be that"),
        ("sampling.openers=, because", 'write ["first", "second"]'),
        ("sampling.temperatures=warm", "sampling.temperatures cannot be that"),
        ("training.start=anew", "training.start cannot be that"),
    ],
)
def test_what_is_not_a_setting_is_refused_with_what_to_do(change: str, says: str) -> None:
    with pytest.raises(AppError, match=re.escape(says)):
        changed(change)


def test_values_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(AppError, match="leave corrected texts out"):
        changed("training.source=gold", "training.written=true")
