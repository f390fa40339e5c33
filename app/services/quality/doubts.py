"""How far the doubts of a model about its own rationales foretell what people, or a critic, say."""

import numpy as np
from sqlalchemy.orm import Session

from app.evidence import DoubtFigures, Figure
from app.lifecycle import EvidenceKind, UserKind
from app.metrics.warnings import Warned, measure_warning
from app.models import Round
from app.queries.quality.doubts import DoubtedVotes, list_doubted_votes
from app.queries.quality.evidence import store_evidence
from app.round_settings import LoopSettings
from app.strategies import SELF_QUESTIONING


def measure_doubts(session: Session, round_: Round) -> DoubtFigures:
    """Returns precision and recall of the warning over the verdicts of the round; figures of
    nothing where the model questioned no rationale."""
    settings = LoopSettings.model_validate(round_.settings)
    own, by_people = settings.self_questioning, settings.judging.judges.are_people
    found = DoubtFigures(by_people=by_people, was_shown=by_people and own.probe_warns)
    if SELF_QUESTIONING.name not in settings.shares or not own.probe_questions:
        return found
    kind = UserKind.PERSON if by_people else UserKind.CRITIC
    rows = list_doubted_votes(session, round_.id, kind)
    columns = np.array(rows, dtype=np.int64).reshape(len(rows), len(DoubtedVotes._fields))
    _, item, is_doubted, n_fits, n_votes = columns.T
    warned = Warned(item, is_doubted.astype(np.bool_), n_votes, n_votes - n_fits)
    worth = measure_warning(warned)
    return found.model_copy(
        update={
            "n_candidates": len(rows),
            "n_items": len(np.unique(item)),
            "n_doubted": int(is_doubted.sum()),
            "n_verdicts": int(n_votes.sum()),
            "n_against": int(warned.n_against.sum()),
            "precision": Figure.of(worth.precision),
            "recall": Figure.of(worth.recall),
            "above": Figure.of(worth.above),
            "precision_by_chance": worth.precision_by_chance,
            "recall_by_chance": worth.recall_by_chance,
        }
    )


def store_doubts(session: Session, round_: Round, *, run_id: int, attempt: int) -> None:
    """Measure and store it in a run that is not there to gather evidence."""
    figures = measure_doubts(session, round_).dump()
    store_evidence(session, round_.id, EvidenceKind.DOUBTS, figures, run_id=run_id, attempt=attempt)
