"""How a draw of interactive perception came to its text, as it is stored and shown."""

import pytest

from app.strategies.perception import Look, PerceptionTrace

LOOK = Look(rows=2, columns=3, attention=(0.1, 0.1, 0.1, 0.1, 0.5, 0.1))


def test_a_look_peaks_where_it_counts_most() -> None:
    assert LOOK.peak == (1, 1)
    measured = LOOK.model_copy(update={"occlusion": (0.0, 0.0, 4.0, 0.0, 1.0, -0.5)})
    assert measured.peak == (0, 2)


def test_a_trace_has_a_way_and_a_turn_to_mark_for_each_look() -> None:
    trace = PerceptionTrace(looks=(LOOK, LOOK))
    assert trace.way == ((1, 1), (1, 1))
    assert trace.observed == ("", "")
    assert PerceptionTrace.model_validate(trace.model_dump(mode="json")) == trace


def test_a_draw_is_read_whether_or_not_it_was_stored_with_what_it_served() -> None:
    look = {"rows": 2, "columns": 3, "attention": list(LOOK.attention), "occlusion": None}
    for stored in (look, look | {"served": None}):
        trace = PerceptionTrace.model_validate({"kind": "perception", "looks": [stored]})
        assert trace.looks == (LOOK,)


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
