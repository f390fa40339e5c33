"""The part of a round's page that tells a better model from people who judge otherwise.

Nothing is measured here: what a worker stored is put into words.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.evidence import AnchorFigures, Figure
from app.kit.sentences import CountedSentence, Points, Sentence
from app.lifecycle import EvidenceKind, Purpose
from app.models import Round
from app.queries.quality.anchors import PlaceCounts, count_places
from app.queries.quality.evidence import list_evidence
from app.queries.rounds.rounds import list_rounds
from app.web.render.charts import Chart, line_chart


@dataclass(frozen=True)
class AnchorLine:
    """What people picked in one round of the project, and of its anchors."""

    id: int
    number: int
    is_shown: bool
    """Whether the page is about this round."""
    fit: Figure
    anchors: Figure
    """Of the round that they come from: what was picked of them there."""
    change: Figure | None
    """None where they come from this round, or were not judged in it."""


@dataclass(frozen=True)
class AnchorsPart:
    """What the page shows of anchors. `words` is None until the round was measured."""

    places: PlaceCounts
    words_of_places: Sentence
    words: Sentence | None
    drift: Sentence | None
    chart: Chart | None
    lines: Sequence[AnchorLine]


def anchors_part(session: Session, round_: Round) -> AnchorsPart | None:
    """Returns what is stored of the anchors of a round and those before and after it; None where no
    round of the project has some."""
    places = count_places(session, round_.id, Purpose.ANCHOR)
    rounds = list_rounds(session, round_.project_id)
    stored = list_evidence(session, [entry.id for entry in rounds], [EvidenceKind.ANCHORS])
    figures = {
        round_id: AnchorFigures.read(evidence.figures) for (round_id, _), evidence in stored.items()
    }
    measured = [found for found in figures.values() if found.first_number is not None]
    if not places.n_items and not measured:
        return None
    own = figures.get(round_.id)
    lines = _lines(rounds, figures, round_)
    return AnchorsPart(
        places=places,
        words_of_places=words_of_places(places),
        words=words_of_change(own) if own and own.first_number is not None else None,
        drift=words_of_drift(own) if own else None,
        chart=_chart(lines) if len(lines) > 1 else None,
        lines=lines,
    )


def words_of_change(found: AnchorFigures) -> Sentence:
    """Returns what people picked of the anchors now, beside the first time."""
    change = found.change
    if change.value is None:
        return Sentence("No anchor has been judged in this round so far.")
    if change.low is None or change.high is None:
        return Sentence("One anchor alone says nothing of people: more have to be judged.")
    parts = {
        "points": Points(abs(change.value)),
        "number": found.first_number,
        "low": Points(change.low),
        "high": Points(change.high),
    }
    if change.low <= 0 <= change.high:
        return Sentence(
            "No sign that people judge otherwise than in round %(number)s: what they picked of the "
            "same texts changed by %(points)s points (interval %(low)s to %(high)s).",
            **parts,
        )
    if change.value > 0:
        return Sentence(
            "People picked %(points)s points more of the same texts than in round %(number)s "
            "(interval %(low)s to %(high)s).",
            **parts,
        )
    return Sentence(
        "People picked %(points)s points less of the same texts than in round %(number)s "
        "(interval %(low)s to %(high)s).",
        **parts,
    )


def words_of_drift(found: AnchorFigures) -> Sentence | None:
    """Returns what follows for the fit rate of the round; None where nothing can be said."""
    gained, change = found.gained, found.change
    if gained is None or change.value is None or change.low is None or change.high is None:
        return None
    parts = {"gained": Points(abs(gained)), "drift": Points(abs(change.value))}
    if gained <= 0:
        return Sentence(
            "The fit rate of the round did not rise since then, but fell by %(gained)s points.",
            **parts,
        )
    if change.high < 0:
        return Sentence(
            "The fit rate rose by %(gained)s points although people are stricter now: the model "
            "may have gained more than that.",
            **parts,
        )
    if change.low <= 0:
        return Sentence(
            "The fit rate rose by %(gained)s points since then; at most %(most)s of them may be "
            "drift.",
            gained=parts["gained"],
            most=Points(min(change.high, gained)),
        )
    if change.value >= gained:
        return Sentence(
            "All of the %(gained)s points gained since then may be drift: the same texts are "
            "picked as much more.",
            **parts,
        )
    return Sentence("%(drift)s of the %(gained)s points gained since then may be drift.", **parts)


def words_of_places(places: PlaceCounts) -> Sentence:
    """Returns how far the anchors of a round are judged."""
    return CountedSentence(
        "The round has %(n)s anchor, of whose judgements %(done)s of %(all)s are there.",
        "The round has %(n)s anchors, of whose judgements %(done)s of %(all)s are there.",
        n=places.n_items,
        done=places.n_submitted,
        all=places.n_slots,
    )


def _lines(
    rounds: Sequence[Round], figures: Mapping[int, AnchorFigures], shown: Round
) -> tuple[AnchorLine, ...]:
    """One line for each measured round, from the one that the anchors come from on."""
    with_anchors = [found for found in figures.values() if found.first_number is not None]
    first = min((found.first_number or 0 for found in with_anchors), default=0)
    lines = []
    for entry in rounds:
        found = figures.get(entry.id)
        if found is None or entry.number < first:
            continue
        is_first = entry.number == first
        lines.append(
            AnchorLine(
                id=entry.id,
                number=entry.number,
                is_shown=entry.id == shown.id,
                fit=found.fit,
                anchors=with_anchors[0].first_anchors if is_first else found.anchors,
                change=None if is_first or found.first_number is None else found.change,
            )
        )
    return tuple(lines)


_FIT = Sentence("fit rate of the round")
_ANCHORS = Sentence("of the anchors")


def _chart(lines: Sequence[AnchorLine]) -> Chart | None:
    series = {
        _FIT: [(line.number, line.fit) for line in lines],
        _ANCHORS: [(line.number, line.anchors) for line in lines],
    }
    return line_chart(
        Sentence("Fit rate and anchors"),
        [
            (name, [(x, figure.value) for x, figure in points if figure.value is not None])
            for name, points in series.items()
        ],
        x_label=Sentence("share picked, by round"),
        as_percent=True,
        with_dots=True,
        intervals={
            name: [
                (x, figure.low, figure.high)
                for x, figure in points
                if figure.low is not None and figure.high is not None
            ]
            for name, points in series.items()
        },
    )
