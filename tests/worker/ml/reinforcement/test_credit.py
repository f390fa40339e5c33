"""The advantage of each part of a draw, and the places of its tokens in a row."""

import pytest

from worker.ml.inputs.encode import encoder_of
from worker.ml.inputs.prompts import DEFAULT_STYLE
from worker.ml.model.loading import Vlm
from worker.ml.reinforcement.credit import advantages_by_part, in_columns
from worker.ml.reinforcement.scores import Row
from worker.ml.reinforcement.types import Rolled
from worker.ml.training.losses import encode_example
from worker.ml.types import Example, Part


def worth(end: float, *earned: float) -> Rolled:
    return Rolled(None, end + sum(earned), "right", 1, earned)


def test_draws_whose_parts_earned_nothing_are_compared_as_a_whole() -> None:
    assert advantages_by_part([worth(1.0), worth(0.0)], 2) is None
    assert advantages_by_part([], 2) is None


def test_a_part_answers_for_what_came_from_it_on() -> None:
    group = [worth(1.0, 0.5, -0.5), worth(1.0, -0.5, -0.5), worth(0.0, 0.5, 0.5), worth(0.0)]
    by_part = advantages_by_part(group, 4)
    assert by_part is not None
    came = [[1.0, 0.5, 1.0], [0.0, 0.5, 1.0], [1.0, 0.5, 0.0], [0.0, 0.0, 0.0]]
    for part, values in enumerate(zip(*came, strict=True)):
        mean = sum(values) / 4
        spread = (sum((value - mean) ** 2 for value in values) / 3) ** 0.5 + 1e-4
        expected = [(value - mean) / spread for value in values]
        assert [one[part] for one in by_part] == pytest.approx(expected)


def test_where_all_end_alike_only_what_was_earned_tells_them_apart() -> None:
    (first, second) = advantages_by_part([worth(1.0, 0.5), worth(1.0, -0.5)], 2) or ()
    assert first[0] > 0.7
    assert second[0] < -0.7
    assert (first[1], second[1]) == (0.0, 0.0), "the answers were the same"


def test_groups_are_compared_among_themselves() -> None:
    high, low = [worth(1.0, 0.2), worth(1.0, 0.1)], [worth(0.0, 0.2), worth(0.0, 0.1)]
    by_part = advantages_by_part([*high, *low], 2)
    assert by_part is not None
    assert by_part[:2] == [pytest.approx(one, abs=1e-3) for one in by_part[2:]]


def test_every_sampled_token_has_the_advantage_of_its_part(llava: Vlm) -> None:
    parts = (
        Part("is it red", "question", (20, 21, 22)),
        Part(" see: yes.", None, is_apart=True),
        Part("it is", "answer", (30, 31)),
    )
    example = Example(None, "what colour is the cube ?", parts)
    [encoded] = encode_example(llava, encoder_of(llava), example, 0, DEFAULT_STYLE)
    row = Row.of(encoded, end=1)
    spread = in_columns([[0.5, -1.0]], [row], len(row.tokens) + 2)
    said = [value for value in spread[0].tolist() if value]
    assert said == [0.5] * 4 + [-1.0] * 3, "three tokens and their end, two and theirs"
    assert row.is_said == [int(bool(value)) for value in spread[0, : len(row.tokens)]]
    nothing = Row.of(None, end=1)
    assert in_columns([[0.5]], [nothing], 3).tolist() == [[0.0, 0.0, 0.0]]
