"""What the card of a release tells of how far the judgements of its rounds can be trusted.

It is what was stored when the release was made, frozen with it. A further kind of evidence is a
line in `_TOLD`: what of its figures may leave the house, which is never a number of a person.
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from sqlalchemy.orm import Session

from app.check_score import score_checks
from app.evidence import AgreementFigures, PositionFigures
from app.lifecycle import EvidenceKind
from app.models import Json, Round
from app.queries.quality.checks import list_counts
from app.queries.quality.evidence import list_evidence
from app.queries.releases.rounds import RoundSource


def describe_evidence(session: Session, rounds: Sequence[RoundSource]) -> list[Json]:
    """Returns what is stored about the rounds, an entry for each round that has any."""
    stored = list_evidence(session, [source.round.id for source in rounds])
    found = []
    for source in rounds:
        told = {
            kind.value: tell(stored[source.round.id, kind].figures)
            for kind, tell in _TOLD.items()
            if (source.round.id, kind) in stored
        }
        told |= _checks(session, source.round)
        if told:
            found.append({"round": source.round.number, **told})
    return found


def _agreement(figures: Json) -> Json:
    told = AgreementFigures.read(figures)
    return told.model_dump(mode="json", exclude={"people"})


def _positions(figures: Json) -> Json:
    told = PositionFigures.read(figures)
    return told.model_dump(mode="json", exclude={"people"})


def _checks(session: Session, round_: Round) -> Json:
    """The spread of the scores on check items; nothing where nobody has one."""
    counts = list_counts(session, round_.project_id, round_id=round_.id).values()
    scores = sorted(score.value for one in counts if (score := score_checks(one)))
    if not scores:
        return {}
    return {
        "checks": {
            "n_people": len(scores),
            "lowest": scores[0],
            "median": median(scores),
            "highest": scores[-1],
        }
    }


_TOLD: Mapping[EvidenceKind, Callable[[Json], Json]] = {
    EvidenceKind.AGREEMENT: _agreement,
    EvidenceKind.POSITIONS: _positions,
}
