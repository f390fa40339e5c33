"""A map has few rows whatever the number of items, and its pieces add up."""

import pytest

from app.web.render.maps import N_ROWS, count_by_round, in_order, lay_out


def test_a_hundred_thousand_items_are_forty_rows_whose_pieces_add_up() -> None:
    trails = in_order({"uic": 60_000, "uuu": 39_990, "-rs": 10})
    found = lay_out(trails, 3)
    assert (found.n_items, found.per_row, len(found.rows)) == (100_000, 2_500, N_ROWS)
    assert [row.first for row in found.rows][:2] == [1, 2_501]
    for row in found.rows:
        for cell in row.cells:
            assert sum(piece.n for piece in cell) == row.last - row.first + 1
            assert sum(piece.width for piece in cell) == pytest.approx(found.cell_width, abs=0.3)
    first = found.rows[0].cells[2]
    assert [(piece.kind, piece.n) for piece in first] == [("set_aside", 10), ("uncovered", 2_490)]


def test_what_needs_a_look_in_the_last_round_comes_first() -> None:
    trails = in_order({"cc": 1, "uc": 1, "cr": 1, "ii": 1, "cu": 1, "zz": 1})
    assert [trail for trail, _ in trails] == ["cr", "cu", "ii", "uc", "cc", "zz"]


def test_a_stretch_goes_down_to_single_items() -> None:
    trails = in_order({"u": 70, "c": 30})
    found = lay_out(trails, 1, 61, 80)
    assert [(row.first, row.last) for row in found.rows] == [(n, n) for n in range(61, 81)]
    letters = [row.cells[0][0].letter for row in found.rows]
    assert letters == ["·"] * 10 + ["✓"] * 10


@pytest.mark.parametrize(
    ("first", "last", "shown"), [(0, 0, (1, 5)), (4, 99, (4, 5)), (9, 3, (3, 3)), (7, 9, (5, 5))]
)
def test_a_stretch_beyond_the_items_is_cut(first: int, last: int, shown: tuple[int, int]) -> None:
    found = lay_out([("u", 5)], 1, first, last)
    assert (found.first, found.last) == shown


def test_without_items_there_are_no_rows() -> None:
    assert lay_out([], 2).rows == ()
    assert len(lay_out([], 2).columns) == 2
    assert count_by_round([], 2) == [{}, {}]


def test_items_are_counted_by_round() -> None:
    counts = count_by_round([("uc", 3), ("cc", 2)], 2)
    assert counts == [{"u": 3, "c": 2}, {"c": 5}]
