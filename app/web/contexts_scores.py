"""The scores of a round beside those of the base model, of people, and of blank pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.lifecycle import Split
from app.models import Score
from app.services.text_scores import Series, score_name
from app.web.templating import number, percent


@dataclass(frozen=True)
class Metric:
    name: str
    label: str
    as_percent: bool = False

    def show(self, value: float) -> str:
        return percent(value) if self.as_percent else number(value, 3)

    def show_change(self, value: float) -> str:
        return f"{value * 100:+.1f} points" if self.as_percent else f"{value:+.3f}"


METRICS = (
    Metric("answer_accuracy", "Answer is right", as_percent=True),
    Metric("fit", "Rationale fits", as_percent=True),
    Metric("bleu4", "BLEU-4"),
    Metric("rouge_l", "ROUGE-L"),
    Metric("cider", "CIDEr"),
    Metric("meteor", "METEOR"),
)

ScoresByName = Mapping[tuple[Split, str], Score]


@dataclass(frozen=True)
class Cell:
    value: str = "–"
    interval: str = ""


@dataclass(frozen=True)
class Line:
    label: str
    cells: tuple[Cell, ...]
    n: str = ""
    is_change: bool = False


@dataclass(frozen=True)
class LineGroup:
    title: str
    note: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class ScoreTable:
    split: Split
    metrics: tuple[Metric, ...]
    groups: tuple[LineGroup, ...]


def score_tables(base: Sequence[Score], now: Sequence[Score]) -> tuple[ScoreTable, ...]:
    """One table per split that has scores; rows and columns without any are left out."""
    before, after = _by_name(base), _by_name(now)
    tables = []
    for split in (Split.VALIDATION, Split.TEST):
        metrics = tuple(
            metric
            for metric in METRICS
            if (split, metric.name) in before or (split, metric.name) in after
        )
        groups = tuple(group for group in _groups(before, after, split, metrics) if group.lines)
        if groups:
            tables.append(ScoreTable(split, metrics, groups))
    return tuple(tables)


def list_notes(tables: Sequence[ScoreTable]) -> list[tuple[str, str]]:
    """(title, what it means) of the groups that are shown, each once."""
    groups = [group for table in tables for group in table.groups]
    return list(dict.fromkeys((group.title, group.note) for group in groups if group.note))


def _by_name(scores: Sequence[Score]) -> ScoresByName:
    return {(score.split, score.name): score for score in scores}


def _groups(
    base: ScoresByName, now: ScoresByName, split: Split, metrics: Sequence[Metric]
) -> Iterator[LineGroup]:
    def lines_of(series: Series) -> list[Line]:
        models = (("Base model", base), ("This round", now))
        lines = (_line(label, scores, split, series, metrics) for label, scores in models)
        return [line for line in lines if line]

    changes = _change(base, now, split, metrics)
    yield LineGroup("All items", "", (*lines_of(Series.MODEL), *changes))
    yield LineGroup(
        "Answered right",
        "only the items that the model answered right.",
        tuple(lines_of(Series.FILTERED)),
    )
    # The newest evaluation knows the data as it is now.
    human = [
        line
        for scores in (now, base)
        if (line := _line("People", scores, split, Series.HUMAN, metrics))
    ]
    yield LineGroup(
        "One reference left out",
        "each person's text against the others of its item, and the model against the same ones.",
        (*lines_of(Series.LEAVE_ONE_OUT), *human[:1]),
    )
    yield LineGroup(
        "Blank picture",
        "what the model says when it is shown an even grey instead.",
        tuple(lines_of(Series.BLANK)),
    )


def _line(
    label: str, scores: ScoresByName, split: Split, series: Series, metrics: Sequence[Metric]
) -> Line | None:
    found = [scores.get((split, score_name(series, metric.name))) for metric in metrics]
    if not any(found):
        return None
    cells = tuple(_cell(metric, score) for metric, score in zip(metrics, found, strict=True))
    return Line(label, cells, _counts(metrics, found))


def _cell(metric: Metric, score: Score | None) -> Cell:
    if score is None:
        return Cell()
    if score.low is None or score.high is None:
        return Cell(metric.show(score.value))
    return Cell(metric.show(score.value), f"{metric.show(score.low)} to {metric.show(score.high)}")


def _counts(metrics: Sequence[Metric], scores: Sequence[Score | None]) -> str:
    """How many items; of them how many have references, where not all do."""
    pairs = list(zip(metrics, scores, strict=True))
    answered = {score.n for metric, score in pairs if score and metric.as_percent}
    explained = {score.n for metric, score in pairs if score and not metric.as_percent}
    if answered and explained and answered != explained:
        return f"{max(answered):,}, {max(explained):,} explained"
    return f"{max(answered | explained):,}"


def _change(
    base: ScoresByName, now: ScoresByName, split: Split, metrics: Sequence[Metric]
) -> list[Line]:
    cells = []
    for metric in metrics:
        before, after = base.get((split, metric.name)), now.get((split, metric.name))
        if before is None or after is None:
            cells.append(Cell())
        else:
            cells.append(Cell(metric.show_change(after.value - before.value)))
    has_any = any(cell != Cell() for cell in cells)
    return [Line("Change", tuple(cells), is_change=True)] if has_any else []
