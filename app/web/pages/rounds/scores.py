"""The scores of a round beside those of the base model, of people, and of blank pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.models import Score
from app.services.critic_verdicts import tell_unjudged
from app.services.evaluation.score_names import Series, score_name


@dataclass(frozen=True)
class Metric:
    name: str
    label: str
    as_percent: bool = False


ANSWER_ACCURACY = "answer_accuracy"
SOFT_ACCURACY = "soft_accuracy"
FIT = "fit"
METRICS = (
    Metric(ANSWER_ACCURACY, Sentence("Answer is right"), as_percent=True),
    Metric(SOFT_ACCURACY, Sentence("Soft VQA accuracy"), as_percent=True),
    Metric(FIT, Sentence("Rationale fits"), as_percent=True),
    Metric("bleu4", "BLEU-4"),
    Metric("rouge_l", "ROUGE-L"),
    Metric("cider", "CIDEr"),
    Metric("meteor", "METEOR"),
)

ScoresByName = Mapping[tuple[Split, str], Score]


@dataclass(frozen=True)
class Cell:
    """A score with its interval, or a change of one; without a value there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Line:
    label: str
    cells: tuple[Cell, ...]
    n: int | None = None
    n_explained: int | None = None
    """Items, and of them those that have references where not all do."""
    n_answered: int | None = None
    """Of the items, those that came with several people's answers where not all do."""
    n_judged: int | None = None
    """Of the items, those that the critic could judge where it could not all."""
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
    """Returns one table per split that has scores; rows and columns without any are left out."""
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


@dataclass(frozen=True)
class Move:
    """A score of the model before and after, and whether it moved by more than chance explains."""

    split: Split
    metric: Metric
    before: Cell
    after: Cell

    @property
    def change(self) -> float:
        return (self.after.value or 0.0) - (self.before.value or 0.0)

    @property
    def is_beyond(self) -> bool:
        """Whether each of the two values lies outside the interval of the other."""
        return _is_outside(self.before, self.after) and _is_outside(self.after, self.before)


def _is_outside(cell: Cell, other: Cell) -> bool:
    if cell.value is None or other.low is None or other.high is None:
        return False
    return not other.low <= cell.value <= other.high


def list_moves(base: Sequence[Score], now: Sequence[Score]) -> list[Move]:
    """Returns the scores of the model that were measured before and after, over all items."""
    before, after = _by_name(base), _by_name(now)
    return [
        Move(split, metric, _cell(both[0]), _cell(both[1]))
        for split in (Split.VALIDATION, Split.TEST)
        for metric in METRICS
        if (both := _find_both(before, after, split, metric))
    ]


def _find_both(
    before: ScoresByName, after: ScoresByName, split: Split, metric: Metric
) -> tuple[Score, Score] | None:
    """The scores before and after; None where one is missing, and of fit where the critic could
    judge other items then: the change would be one of the items."""
    old, new = before.get((split, metric.name)), after.get((split, metric.name))
    if old is None or new is None:
        return None
    if metric.name == FIT and _judged_share(before, split) != _judged_share(after, split):
        return None
    return old, new


def _judged_share(scores: ScoresByName, split: Split) -> float:
    every = scores.get((split, ANSWER_ACCURACY))
    return scores[split, FIT].n / every.n if every else 1.0


def list_notes(tables: Sequence[ScoreTable]) -> list[tuple[str, str]]:
    """Returns (title, what it means) of the groups that are shown, each once."""
    groups = [group for table in tables for group in table.groups]
    return list(dict.fromkeys((group.title, group.note) for group in groups if group.note))


def tell_fit(scores: Sequence[Score], critic: str) -> Sentence | None:
    """Returns of how many items an evaluation tells the fit, and what that means; None where it
    does of all, or there was no evaluation."""
    n_items, n_judged = (
        sum(score.n for score in scores if score.name == name) for name in (ANSWER_ACCURACY, FIT)
    )
    return tell_unjudged(critic, n_judged=n_judged, n_items=n_items)


def _by_name(scores: Sequence[Score]) -> ScoresByName:
    return {(score.split, score.name): score for score in scores}


def _groups(
    base: ScoresByName, now: ScoresByName, split: Split, metrics: Sequence[Metric]
) -> Iterator[LineGroup]:
    def lines_of(series: Series) -> list[Line]:
        models = ((Sentence("Base model"), base), (Sentence("This round"), now))
        lines = (_line(label, scores, split, series, metrics) for label, scores in models)
        return [line for line in lines if line]

    changes = _change(base, now, split, metrics)
    yield LineGroup(Sentence("All items"), "", (*lines_of(Series.MODEL), *changes))
    yield LineGroup(
        Sentence("Answered right"),
        Sentence("only the items that the model answered right."),
        tuple(lines_of(Series.FILTERED)),
    )
    # The newest evaluation knows the data as it is now.
    human = [
        line
        for scores in (now, base)
        if (line := _line(Sentence("People"), scores, split, Series.HUMAN, metrics))
    ]
    yield LineGroup(
        Sentence("One reference left out"),
        Sentence(
            "each person's text against the others of its item, and the model against the same "
            "ones."
        ),
        (*lines_of(Series.LEAVE_ONE_OUT), *human[:1]),
    )
    yield LineGroup(
        Sentence("Blank picture"),
        Sentence("what the model says when it is shown an even grey instead."),
        tuple(lines_of(Series.BLANK)),
    )


def _line(
    label: str, scores: ScoresByName, split: Split, series: Series, metrics: Sequence[Metric]
) -> Line | None:
    found = [scores.get((split, score_name(series, metric.name))) for metric in metrics]
    if not any(found):
        return None
    cells = tuple(_cell(score) for score in found)
    return Line(label, cells, *_counts(metrics, found))


def _cell(score: Score | None) -> Cell:
    return Cell(score.value, score.low, score.high) if score else Cell()


_OF_SOME = {SOFT_ACCURACY: "answered", FIT: "judged"}
"""Metrics of the model that not every item has."""


def _counts(
    metrics: Sequence[Metric], scores: Sequence[Score | None]
) -> tuple[int, int | None, int | None, int | None]:
    """Says how many items were scored, how many have references, how many came with several
    people's answers, and how many were judged; the last three where not all are."""
    numbers: dict[str, int] = {}
    for metric, score in zip(metrics, scores, strict=True):
        if score:
            kind = "all" if metric.as_percent else "explained"
            kind = _OF_SOME.get(metric.name, kind)
            numbers[kind] = max(numbers.get(kind, 0), score.n)
    n = max(numbers.values())
    some = {kind: own for kind, own in numbers.items() if own != n}
    return n, some.get("explained"), some.get("answered"), some.get("judged")


def _change(
    base: ScoresByName, now: ScoresByName, split: Split, metrics: Sequence[Metric]
) -> list[Line]:
    cells = []
    for metric in metrics:
        both = _find_both(base, now, split, metric)
        cells.append(Cell(both[1].value - both[0].value) if both else Cell())
    has_any = any(cell != Cell() for cell in cells)
    return [Line(Sentence("Change"), tuple(cells), is_change=True)] if has_any else []
