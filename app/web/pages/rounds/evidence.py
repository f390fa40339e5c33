"""The part of a round's page that says how far its judgements can be trusted.

Nothing is measured here: what a worker stored is put into words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.evidence import (
    AgreementFigures,
    Figure,
    PersonPositions,
    PositionFigures,
    StrategyFigures,
)
from app.kit.sentences import Sentence, Share
from app.lifecycle import LIVE_RUN, EvidenceKind, Job
from app.measures import LEVEL, Undefined
from app.models import Round
from app.queries.accounts.users import name_people
from app.queries.quality.evidence import StoredEvidence, list_evidence
from app.queries.rounds.progress import RoundProgress
from app.queries.rounds.rounds import list_rounds
from app.web.render.charts import Chart, line_chart

WHY_UNDEFINED: Mapping[Undefined, Sentence] = {
    Undefined.NOTHING: Sentence("undefined: nothing judged"),
    Undefined.ONE_PERSON: Sentence("undefined: one annotator"),
    Undefined.NO_OVERLAP: Sentence("undefined: no overlap"),
    Undefined.ALL_SAME: Sentence("undefined: everybody says the same"),
    Undefined.NOT_TWO: Sentence("undefined: not two annotators"),
}


@dataclass(frozen=True)
class MeasureLine:
    """A measure of agreement over the whole round."""

    label: Sentence
    note: Sentence
    figure: Figure
    words: Sentence
    as_percent: bool = False


@dataclass(frozen=True)
class PersonLine:
    """How far one person agrees with the others, and whether positions matter to them."""

    user_id: int
    name: str
    n_judgements: int
    picked_share: float | None
    figure: Figure
    words: Sentence
    positions: PersonPositions | None
    positions_words: Sentence


@dataclass(frozen=True)
class RoundLine:
    """What was measured of one round of the project."""

    id: int
    number: int
    strategy: str
    is_shown: bool
    """Whether the page is about this round."""
    figures: AgreementFigures
    position_p: float | None


@dataclass(frozen=True)
class StrategyLine:
    """How far people agree on the candidates of one strategy."""

    strategy: str
    n_rounds: int
    figure: Figure
    words: Sentence


@dataclass(frozen=True)
class EvidencePart:
    """What the page shows of a round's evidence. `at` is None where nothing is measured yet."""

    at: datetime | None
    n_judgements: int
    n_people: int
    measures: Sequence[MeasureLine]
    positions: Sentence | None
    position_p: float | None
    position_people: Sequence[str]
    """Names of those whose picks follow positions."""
    people: Sequence[PersonLine]
    strategies: Sequence[StrategyLine]
    """Of the project, where more than one round was measured."""
    rounds: Sequence[RoundLine]
    """Of the project, oldest first; where there is more than this one."""
    chart: Chart | None
    """Alpha over the rounds."""
    can_ask: bool
    is_asked: bool
    low_mark: float = 0.667
    high_mark: float = 0.8
    """Krippendorff's marks: nothing is concluded from less; reliable from here on."""
    least_p: float = 0.001
    """What is less is only told to be less."""


def evidence_part(session: Session, round_: Round, progress: RoundProgress) -> EvidencePart | None:
    """Returns what is stored; None where nobody has judged anything that could be measured."""
    rounds = list_rounds(session, round_.project_id)
    stored = list_evidence(
        session,
        [entry.id for entry in rounds],
        [EvidenceKind.AGREEMENT, EvidenceKind.POSITIONS],
    )
    by_strategy = list_evidence(session, [round_.id], [EvidenceKind.STRATEGIES])
    own = stored.get((round_.id, EvidenceKind.AGREEMENT))
    figures = AgreementFigures.read(own.figures if own else {})
    if not figures.n_judgements and not progress.n_annotators:
        return None
    positions = _positions(stored, round_.id)
    names = name_people(session, [entry.user_id for entry in figures.people])
    people = _people(figures, positions, names)
    is_asked = is_being_measured(progress)
    lines = [line for entry in rounds if (line := _round_line(entry, stored, round_)) is not None]
    return EvidencePart(
        at=own.at if own else None,
        n_judgements=figures.n_judgements,
        n_people=figures.n_people,
        measures=_measures(figures),
        positions=words_of_positions(positions) if own else None,
        position_p=positions.p,
        position_people=[line.name for line in people if _follows(line)],
        people=people,
        strategies=_strategies(by_strategy.get((round_.id, EvidenceKind.STRATEGIES))),
        rounds=lines if len(lines) > 1 else (),
        chart=_chart(lines) if len(lines) > 1 else None,
        can_ask=progress.n_annotators > 0 and not is_asked,
        is_asked=is_asked,
    )


def is_being_measured(progress: RoundProgress) -> bool:
    """Whether a run that gathers the evidence of the round is live."""
    return any(
        entry.run.job is Job.ASSESS and entry.run.status in LIVE_RUN for entry in progress.runs
    )


def words_of(figure: Figure) -> Sentence:
    """Returns what a measure that is 0 by chance says, by its interval."""
    if figure.undefined is not None:
        return WHY_UNDEFINED[figure.undefined]
    if figure.low is None or figure.high is None:
        return Sentence("too few items for an interval")
    if figure.low > 0:
        return Sentence("better than chance")
    if figure.high < 0:
        return Sentence("worse than chance")
    return Sentence("no better than chance")


def words_of_positions(found: PositionFigures) -> Sentence:
    """Returns what the test of positions says, and its effect."""
    if found.p is None or found.effect is None:
        return Sentence(
            "Positions cannot be tested: no answer picks some of its candidates and leaves others."
        )
    parts = {
        "position": found.effect.position,
        "seen": Share(found.effect.seen),
        "expected": Share(found.effect.expected),
    }
    if found.is_biased and found.p_together is not None and found.p_together >= LEVEL:
        return Sentence(
            "Positions matter in the picks of single annotators, though not in those of all "
            "together."
        )
    if found.is_biased:
        return Sentence(
            "Positions matter: of the candidates at position %(position)s, %(seen)s are picked, "
            "where the random order explains %(expected)s.",
            **parts,
        )
    return Sentence(
        "No sign that positions matter: at position %(position)s, the most unlike the others, "
        "%(seen)s are picked where the random order explains %(expected)s.",
        **parts,
    )


def _follows(line: PersonLine) -> bool:
    return line.positions is not None and line.positions.stands_out


def _measures(figures: AgreementFigures) -> tuple[MeasureLine, ...]:
    by_chance = figures.share_by_chance
    are_two = figures.cohen.undefined is not Undefined.NOT_TWO and figures.n_people == 2
    lines = [
        _measure(
            Sentence("Krippendorff's alpha"), Sentence("verdicts on candidates"), figures.alpha
        ),
        _measure(Sentence("MASI alpha"), Sentence("all that is picked of an item"), figures.masi),
        _measure(
            Sentence("Fleiss' kappa"),
            Sentence("candidates with the usual number of verdicts"),
            figures.fleiss,
        ),
    ]
    if are_two:
        lines.append(
            _measure(Sentence("Cohen's kappa"), Sentence("the two annotators"), figures.cohen)
        )
    share = figures.share_same
    if share.undefined is not None:
        words = WHY_UNDEFINED[share.undefined]
    else:
        words = Sentence("random clicking has %(share)s", share=Share(by_chance or 0.0))
    lines.append(
        MeasureLine(
            Sentence("Share of equal verdicts"),
            Sentence("of two people on a candidate; not corrected for chance"),
            share,
            words,
            as_percent=True,
        )
    )
    return tuple(lines)


def _measure(label: Sentence, note: Sentence, figure: Figure) -> MeasureLine:
    return MeasureLine(label, note, figure, words_of(figure))


def _people(
    figures: AgreementFigures, positions: PositionFigures, names: Mapping[int, str]
) -> tuple[PersonLine, ...]:
    """One line for each person, those who agree least with the others first."""
    tested = {entry.user_id: entry for entry in positions.people}
    lines = [
        PersonLine(
            user_id=entry.user_id,
            name=names.get(entry.user_id, ""),
            n_judgements=entry.n_judgements,
            picked_share=entry.picked_share,
            figure=entry.alpha,
            words=words_of(entry.alpha),
            positions=tested.get(entry.user_id),
            positions_words=words_of_person(tested.get(entry.user_id)),
        )
        for entry in figures.people
    ]
    return tuple(sorted(lines, key=lambda line: _last_if_none(line.figure.value)))


def words_of_person(tested: PersonPositions | None) -> Sentence:
    """Returns whether the picks of one person follow positions."""
    if tested is None:
        return Sentence("cannot be tested")
    if not tested.stands_out:
        return Sentence("no sign")
    return Sentence(
        "position %(position)s: %(seen)s instead of %(expected)s",
        position=tested.effect.position,
        seen=Share(tested.effect.seen),
        expected=Share(tested.effect.expected),
    )


def _last_if_none(value: float | None) -> tuple[bool, float]:
    return value is None, value or 0.0


def _positions(stored: Mapping[tuple[int, str], StoredEvidence], round_id: int) -> PositionFigures:
    own = stored.get((round_id, EvidenceKind.POSITIONS))
    return PositionFigures.read(own.figures if own else {})


def _strategies(stored: StoredEvidence | None) -> tuple[StrategyLine, ...]:
    found = StrategyFigures.read(stored.figures if stored else {}).strategies
    if sum(entry.n_rounds for entry in found) < 2:
        return ()
    return tuple(
        StrategyLine(entry.strategy, entry.n_rounds, entry.alpha, words_of(entry.alpha))
        for entry in found
    )


def _round_line(
    entry: Round, stored: Mapping[tuple[int, str], StoredEvidence], shown: Round
) -> RoundLine | None:
    own = stored.get((entry.id, EvidenceKind.AGREEMENT))
    if own is None:
        return None
    return RoundLine(
        id=entry.id,
        number=entry.number,
        strategy=entry.settings["strategy"],
        is_shown=entry.id == shown.id,
        figures=AgreementFigures.read(own.figures),
        position_p=_positions(stored, entry.id).p,
    )


def _chart(lines: Sequence[RoundLine]) -> Chart | None:
    alphas = [(line.number, line.figures.alpha) for line in lines]
    name = Sentence("Krippendorff's alpha")
    return line_chart(
        Sentence("Agreement over the rounds"),
        [(name, [(x, alpha.value) for x, alpha in alphas if alpha.value is not None])],
        x_label=Sentence("by round; 0 is chance"),
        with_dots=True,
        intervals={
            name: [
                (x, alpha.low, alpha.high)
                for x, alpha in alphas
                if alpha.low is not None and alpha.high is not None
            ]
        },
    )
