"""The part of a round's page that says what the doubts of a model about its own rationales are
worth. Nothing is measured here: what a worker stored is put into words."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from app.evidence import DoubtFigures, Figure
from app.kit.sentences import Points, Sentence
from app.lifecycle import EvidenceKind
from app.models import Round
from app.queries.quality.evidence import list_evidence


@dataclass(frozen=True)
class DoubtLine:
    """A figure of the warning, beside that of a warning at random."""

    label: Sentence
    note: Sentence
    figure: Figure
    by_chance: float | None


@dataclass(frozen=True)
class DoubtsPart:
    at: datetime
    figures: DoubtFigures
    words: Sentence
    lines: Sequence[DoubtLine]


def doubts_part(session: Session, round_: Round) -> DoubtsPart | None:
    """Returns what is stored; None where the model doubted nothing that was judged."""
    stored = list_evidence(session, [round_.id], [EvidenceKind.DOUBTS]).get(
        (round_.id, EvidenceKind.DOUBTS)
    )
    figures = DoubtFigures.read(stored.figures if stored else {})
    if stored is None or not figures.n_candidates:
        return None
    return DoubtsPart(stored.at, figures, words_of_doubts(figures), _lines(figures))


def words_of_doubts(found: DoubtFigures) -> Sentence:
    """Returns whether a warning says more than one that is given at random as often."""
    if not found.n_doubted:
        return Sentence("Its two answers never differed, so nobody was warned of anything.")
    if not found.n_against:
        return Sentence("Every rationale was judged to fit, so no warning could be right.")
    above = found.above
    if above.value is None or above.low is None or above.high is None:
        return Sentence("Too few items are judged to say whether its warnings are worth something.")
    parts = {
        "points": Points(abs(above.value)),
        "low": Points(above.low),
        "high": Points(above.high),
    }
    if above.low > 0:
        return Sentence(
            "A warning says something: what is warned of is judged not to fit %(points)s points "
            "more often than rationales on the whole (interval %(low)s to %(high)s).",
            **parts,
        )
    if above.high < 0:
        return Sentence(
            "A warning misleads: what is warned of is judged not to fit %(points)s points less "
            "often than rationales on the whole (interval %(low)s to %(high)s).",
            **parts,
        )
    return Sentence(
        "No sign that a warning says more than one at random: %(points)s points of difference "
        "(interval %(low)s to %(high)s).",
        **parts,
    )


def _lines(found: DoubtFigures) -> Sequence[DoubtLine]:
    return (
        DoubtLine(
            Sentence("Precision"),
            Sentence("of verdicts on what is warned of, those that say that it does not fit"),
            found.precision,
            found.precision_by_chance,
        ),
        DoubtLine(
            Sentence("Recall"),
            Sentence("of verdicts that say that it does not fit, those on what is warned of"),
            found.recall,
            found.recall_by_chance,
        ),
    )
