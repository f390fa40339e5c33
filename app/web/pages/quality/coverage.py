"""How many items are covered, round by round: as a plot and a table."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.kit.sentences import Sentence
from app.models import Round
from app.run_results import RoundFigures
from app.web.render.charts import Chart, line_chart


@dataclass(frozen=True)
class CoverageLine:
    number: int
    figures: RoundFigures


@dataclass(frozen=True)
class CoveragePart:
    chart: Chart | None
    """None where one round alone was decided."""
    lines: Sequence[CoverageLine]


def coverage_part(rounds: Sequence[Round], shown: Round) -> CoveragePart | None:
    """Returns what the rounds up to the one that is shown brought; None before one was decided."""
    found = [
        CoverageLine(entry.number, figures)
        for entry in rounds
        if entry.number <= shown.number
        and (figures := RoundFigures.find(entry.figures)) is not None
        and figures.n_items
    ]
    if not found:
        return None
    covered = [(line.number, line.figures.covered_share or 0.0) for line in found]
    new = [(line.number, line.figures.newly_covered / line.figures.n_items) for line in found]
    chart = line_chart(
        Sentence("Train items with a rationale"),
        [(Sentence("covered"), covered), (Sentence("newly covered"), new)],
        x_label=Sentence("by round"),
        as_percent=True,
        with_dots=True,
    )
    return CoveragePart(chart if len(found) > 1 else None, found)
