"""The strategies of a mixed round: what each found, how right its answers are, what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.evidence import Figure, StrategyFind, StrategyFinds
from app.kit.sentences import Sentence, Share
from app.lifecycle import EvidenceKind, RoundStatus, Split
from app.models import Round, Score
from app.queries.quality.evidence import StoredEvidence, list_evidence
from app.queries.rounds.rounds import list_sampled_strategies, list_scores
from app.queries.runs.runs import find_evaluation
from app.round_settings import LoopSettings
from app.run_results import RoundFigures
from app.web.render.bars import Bar, Bars, lay_out_bars

LABEL_WIDTH = 120


@dataclass(frozen=True)
class FoundRow:
    """One strategy."""

    name: str
    share: float
    sits_out: bool
    find: StrategyFind
    validation: Score | None
    """Answer accuracy on held-out items; None before it was measured in this round."""
    test: Score | None


@dataclass(frozen=True)
class FoundPart:
    rows: Sequence[FoundRow]
    by_people: bool
    at: datetime | None
    """When it was measured; None before judging is over."""
    n_items: int
    n_shared: int
    bars: Sequence[Bars]
    notes: Sequence[str]
    """Who sits out, and what to do."""


def found_part(session: Session, round_: Round) -> FoundPart | None:
    """Returns what is stored about the strategies of a round; None in a round of one."""
    settings = LoopSettings.model_validate(round_.settings)
    if not settings.is_mixed:
        return None
    stored = _stored(session, round_)
    found = StrategyFinds.read(stored.figures if stored else {})
    finds = {find.strategy: find for find in found.strategies}
    sampled = list_sampled_strategies(session, round_.id)
    rows = []
    for name, share in settings.shares.items():
        validation, test = _accuracies(session, round_, name)
        find = finds.get(name) or StrategyFind(strategy=name)
        rows.append(FoundRow(name, share, name not in sampled, find, validation, test))
    by_people = settings.judging.judges.are_people
    return FoundPart(
        rows=rows,
        by_people=by_people,
        at=stored.at if stored else None,
        n_items=found.n_items,
        n_shared=found.n_shared,
        bars=_bars(rows, by_people=by_people) if stored else (),
        notes=[
            *[_sits_out(row.name) for row in rows if row.sits_out],
            *_will_sit_out(round_, settings),
        ],
    )


def cost_of_one(session: Session, round_: Round) -> StrategyFind | None:
    """Returns what an admitted rationale cost in a round of one strategy; None before anything was
    admitted, and in a round of several, which stand side by side."""
    stored = _stored(session, round_)
    found = StrategyFinds.read(stored.figures if stored else {}).strategies
    return found[0] if len(found) == 1 and found[0].n_admitted else None


def _stored(session: Session, round_: Round) -> StoredEvidence | None:
    kind = EvidenceKind.FOUND
    return list_evidence(session, [round_.id], [kind]).get((round_.id, kind))


def _accuracies(
    session: Session, round_: Round, strategy: str
) -> tuple[Score | None, Score | None]:
    run = find_evaluation(session, round_.id, strategy)
    scores = list_scores(session, run.id) if run is not None else ()
    by_split = {score.split: score for score in scores if score.name == "answer_accuracy"}
    return by_split.get(Split.VALIDATION), by_split.get(Split.TEST)


def _sits_out(name: str) -> Sentence:
    return Sentence(
        "%(name)s sits out this round: its answers were under the floor after the round before. "
        "It was not sampled, but learns with the others and is measured, and takes part again "
        "once it is over the floor.",
        name=name,
    )


def _will_sit_out(round_: Round, settings: LoopSettings) -> list[Sentence]:
    """Who sits out the round after this one, with what to do; nothing where all would."""
    if round_.status is not RoundStatus.COMPLETED:
        return []
    figures = RoundFigures.read(round_.figures).strategies
    under = [one for one in figures if one.is_under_floor]
    if len(under) == len(settings.shares):
        return []
    return [
        Sentence(
            "%(name)s answers %(accuracy)s of the validation items rightly, under the floor of "
            "%(floor)s: it sits out the next round. To keep it from that, give it something to "
            "learn from (a prior, more answer-only rows), restart its training from the base, "
            "lower the floor, or take it out of the strategies.",
            name=one.strategy,
            accuracy=Share(one.validation_accuracy or 0.0),
            floor=Share(one.floor or 0.0),
        )
        for one in under
    ]


def _bars(rows: Sequence[FoundRow], *, by_people: bool) -> list[Bars]:
    """A drawing of the fit rates, and one of what an admitted rationale costs; none of what is not
    known of two strategies."""
    cost = (
        Sentence("Minutes of people per admitted rationale")
        if by_people
        else Sentence("Generated tokens per admitted rationale")
    )
    drawings = (
        (Sentence("Share of shown rationales that fit"), True, [row.find.fit_rate for row in rows]),
        (
            cost,
            False,
            [row.find.minutes if by_people else row.find.tokens for row in rows],
        ),
    )
    found = []
    for title, as_percent, figures in drawings:
        named = zip(rows, figures, strict=True)
        bars = [_bar(row.name, figure) for row, figure in named if figure.value is not None]
        if len(bars) > 1:
            found.append(lay_out_bars(title, bars, as_percent=as_percent, left=LABEL_WIDTH))
    return found


def _bar(name: str, figure: Figure) -> Bar:
    value = figure.value or 0.0
    low = value if figure.low is None else figure.low
    high = value if figure.high is None else figure.high
    return Bar(name, value, low, high)
