"""What each way of sampling brought: by temperature, prompt and strategy, and each combination."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.evidence import YieldFigures, YieldLine
from app.kit.sentences import Sentence
from app.lifecycle import EvidenceKind
from app.measures import Interval, wilson_interval
from app.models import Round
from app.queries.quality.evidence import list_evidence
from app.web.render.bars import Bar, Bars, lay_out_bars


@dataclass(frozen=True)
class YieldRow:
    """What one way of sampling brought. Rates are None where nothing is known of what it cost."""

    label: str
    admitted: float
    shown: float
    share: float | None
    interval: Interval
    """Of the share."""
    per_minute: float | None
    """Admitted rationales per minute of people."""
    per_thousand_tokens: float | None
    per_machine_minute: float | None
    n_draws: int


@dataclass(frozen=True)
class YieldGroup:
    title: str
    heading: str
    rows: Sequence[YieldRow]


@dataclass(frozen=True)
class YieldPart:
    at: datetime
    by_people: bool
    groups: Sequence[YieldGroup]
    combinations: YieldGroup
    bars: Bars | None
    """By temperature; None where one alone was sampled."""


def yield_part(session: Session, round_: Round) -> YieldPart | None:
    """Returns what is stored; None before anything was admitted."""
    stored = list_evidence(session, [round_.id], [EvidenceKind.YIELD]).get(
        (round_.id, EvidenceKind.YIELD)
    )
    figures = YieldFigures.read(stored.figures if stored else {})
    if stored is None or not sum(line.admitted for line in figures.lines):
        return None
    ways: tuple[tuple[str, str, Callable[[YieldLine], str]], ...] = (
        (Sentence("By temperature"), Sentence("Temperature"), lambda line: f"{line.temperature:g}"),
        (Sentence("By prompt"), Sentence("Prompt"), lambda line: line.prompt),
        (Sentence("By strategy"), Sentence("Strategy"), lambda line: line.strategy),
    )
    groups = [
        YieldGroup(title, heading, rows)
        for title, heading, key in ways
        if len(rows := _rows(figures, key)) > 1
    ]
    combinations = _rows(
        figures, lambda line: f"{line.prompt} · {line.temperature:g} · {line.strategy}"
    )
    return YieldPart(
        at=stored.at,
        by_people=figures.by_people,
        groups=groups,
        combinations=YieldGroup(
            Sentence("Each combination"),
            Sentence("Prompt, temperature and strategy"),
            sorted(combinations, key=lambda row: -(row.share or 0.0)),
        ),
        bars=_bars(_rows(figures, ways[0][2]), by_people=figures.by_people),
    )


def _rows(figures: YieldFigures, key: Callable[[YieldLine], str]) -> list[YieldRow]:
    """Returns the lines that have the same key as one row, in the order in which they come."""
    found: dict[str, list[YieldLine]] = {}
    for line in figures.lines:
        found.setdefault(key(line), []).append(line)
    all_tokens = sum(line.n_tokens for line in figures.lines)
    return [
        _row(label, lines, figures, figures.machine_seconds / all_tokens if all_tokens else 0.0)
        for label, lines in found.items()
    ]


def _row(
    label: str, lines: Sequence[YieldLine], figures: YieldFigures, seconds_per_token: float
) -> YieldRow:
    admitted, shown = sum(line.admitted for line in lines), sum(line.shown for line in lines)
    minutes = sum(line.human_ms for line in lines) / 60_000 if figures.by_people else 0.0
    tokens = sum(line.n_tokens for line in lines)
    n_shown = max(round(shown), round(admitted))
    return YieldRow(
        label=label,
        admitted=admitted,
        shown=shown,
        share=admitted / shown if shown else None,
        interval=wilson_interval(round(admitted), n_shown),
        per_minute=_rate(admitted, minutes),
        per_thousand_tokens=_rate(admitted, tokens / 1000),
        per_machine_minute=_rate(admitted, tokens * seconds_per_token / 60),
        n_draws=sum(line.n_draws for line in lines),
    )


def _rate(n: float, cost: float) -> float | None:
    return n / cost if cost > 0 else None


def _bars(rows: Sequence[YieldRow], *, by_people: bool) -> Bars | None:
    """Returns a bar for each temperature: per minute of people, or the share where a critic judged.

    The whiskers are those of the share, in the unit of the bar.
    """
    if len(rows) < 2:
        return None
    bars = []
    for row in rows:
        value = row.per_minute if by_people else row.share
        scale = value / row.share if value and row.share else 0.0
        low, high = row.interval
        bars.append(Bar(row.label, value or 0.0, low * scale, high * scale))
    title = (
        Sentence("Admitted rationales per minute of people, by temperature")
        if by_people
        else Sentence("Share of shown rationales that are admitted, by temperature")
    )
    return lay_out_bars(title, bars, as_percent=not by_people)
