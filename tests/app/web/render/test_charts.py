import math
import re

import pytest
from bs4 import BeautifulSoup

from app.kit.resources import STATIC
from app.kit.sentences import Sentence
from app.web.pages.rounds.rounds import LOSS_LABELS
from app.web.render.charts import MOST_LINES, MOST_ROWS, line_chart, nice_step
from app.web.render.templating import make_environment


@pytest.mark.parametrize(
    ("span", "step"), [(1.0, 0.5), (3.9, 1.0), (0.04, 0.01), (1000, 500), (0, 1.0), (7, 2.0)]
)
def test_steps_are_round_numbers(span: float, step: float) -> None:
    assert nice_step(span, 4) == pytest.approx(step)


def test_points_lie_inside_the_frame_in_their_order() -> None:
    points = [(float(x), math.sin(x) + 1) for x in range(50)]
    chart = line_chart("wave", [("a", points)], x_label="step")
    assert chart is not None
    placed = [tuple(map(float, pair.split(","))) for pair in chart.lines[0].path.split()]
    assert len(placed) == 50
    assert [x for x, _ in placed] == sorted(x for x, _ in placed)
    assert all(chart.left <= x <= chart.right and chart.top <= y <= chart.bottom for x, y in placed)
    ticks = [tick.at for tick in chart.y_ticks]
    assert ticks == sorted(ticks, reverse=True)
    assert 3 <= len(ticks) <= 7


def test_higher_values_lie_higher_and_percent_is_said() -> None:
    chart = line_chart(
        "share", [("fit", [(0, 0.1), (1, 0.3)])], x_label="round", as_percent=True, with_dots=True
    )
    assert chart is not None
    (line,) = chart.lines
    assert line.dots[1][1] < line.dots[0][1]
    assert (line.last, chart.as_percent) == (0.3, True)
    assert [tick.value for tick in chart.x_ticks] == [0, 1]
    drawn = make_environment().get_template("_chart.html").render(chart=chart)
    assert "fit <strong>30.0\u00a0%</strong>" in drawn
    assert 'text-anchor="end">0\u00a0%</text>' in drawn
    assert 'text-anchor="middle">1</text>' in drawn


def test_nothing_to_draw_is_no_chart_and_one_point_is_one() -> None:
    assert line_chart("none", [("a", []), ("b", [(0, math.nan)])], x_label="") is None
    chart = line_chart("one", [("a", []), ("b", [(3, 0.0)])], x_label="")
    assert chart is not None
    assert [line.name for line in chart.lines] == ["b"]
    assert len(chart.lines[0].dots) == 1


def test_the_numbers_of_a_chart_stand_in_a_table_that_is_thinned() -> None:
    chart = line_chart(
        Sentence("Loss, by step"),
        [("one", [(x, x / 100) for x in range(1, 101)]), ("other", [(1, 0.5)])],
        x_label="step",
    )
    assert chart is not None
    assert len(chart.rows) <= MOST_ROWS + 1
    assert chart.rows[0] == (1, (0.01, 0.5))
    assert chart.rows[-1] == (100, (1.0, None))
    assert chart.key == "loss-by-step"


def test_no_two_lines_of_a_chart_look_alike() -> None:
    """A training shows each of its losses, and validation beside them."""
    names = [*LOSS_LABELS, "validation"]
    assert len(names) <= MOST_LINES
    chart = line_chart(
        "loss", [(name, [(0, 1.0), (1, at)]) for at, name in enumerate(names)], x_label="step"
    )
    assert chart is not None
    page = BeautifulSoup(
        make_environment().get_template("_chart.html").render(chart=chart), "html.parser"
    )
    drawn = [" ".join(line.parent["class"]) for line in page.select(".chart > g > .chart__line")]
    keys = [" ".join(key["class"][1:]) for key in page.select(".legend__key")]
    assert drawn == keys
    assert len(set(drawn)) == len(names)
    style = (STATIC / "css/components/chart.css").read_text(encoding="utf-8")
    strokes = dict(re.findall(r"  \.(series[-\d]*) \{\n\s*(--stroke[^}]*)\}", style))
    looks = [strokes[classes.split()[-1]] for classes in drawn]
    assert len(set(looks)) == len(names)
    dashes = [look.split("--dash:")[1] for look in looks]
    assert len(set(dashes)) == len(names), "told apart by colour alone"


def test_more_lines_than_strokes_are_drawn_all_the_same() -> None:
    series = [(str(at), [(0.0, float(at))]) for at in range(MOST_LINES + 1)]
    chart = line_chart("many", series, x_label="step")
    assert chart is not None
    assert [line.number for line in chart.lines] == [*range(1, MOST_LINES + 1), 1]
