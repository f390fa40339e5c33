"""How a draw of interactive perception came to its text, as it is stored and shown."""

import pytest

from app.strategies.perception import Look, PerceptionTrace

LOOK = Look(rows=2, columns=3, attention=(0.1, 0.1, 0.1, 0.1, 0.5, 0.1))


def test_a_look_peaks_where_it_counts_most() -> None:
    assert LOOK.peak == (1, 1)
    measured = LOOK.model_copy(update={"occlusion": (0.0, 0.0, 4.0, 0.0, 1.0, -0.5)})
    assert measured.peak == (0, 2)


def test_a_trace_has_a_way_and_one_text_for_each_look() -> None:
    trace = PerceptionTrace(looks=(LOOK, LOOK.model_copy(update={"served": "it is red"})))
    assert trace.way == ((1, 1), (1, 1))
    assert trace.observed == ("", "it is red")
    assert PerceptionTrace.model_validate(trace.model_dump(mode="json")) == trace


@pytest.mark.parametrize(
    "numbers",
    [
        {"attention": (0.5, 0.5)},
        {"attention": LOOK.attention, "occlusion": (1.0,)},
        {"attention": (*LOOK.attention[:5], float("nan"))},
        {"attention": LOOK.attention, "rows": 10},
    ],
)
def test_a_look_that_fills_no_map_is_refused(numbers: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"fill|finite|less than"):
        Look.model_validate({"rows": 2, "columns": 3} | numbers)
