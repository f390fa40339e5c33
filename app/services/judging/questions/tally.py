"""What a round asked about images, and what became of it: by people, by a critic, or not yet."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.lifecycle import EvidenceKind, QuestionState
from app.models import Round
from app.queries.quality.evidence import store_evidence
from app.queries.rounds import questions as queries
from app.queries.rounds.questions import Fate
from app.run_results import KindTally, QuestionTally


def count_questions(session: Session, round_: Round) -> QuestionTally | None:
    """Returns what a round asked about its images and what became of it; None where it asked
    nothing. It reads every question of the round: pages show what is stored of it."""
    n_images, n_drawn, n_known, n_empty, n_over = queries.count_images(session, round_.id)
    if not n_images:
        return None
    kinds: dict[str, dict[str, int]] = {}
    states = dict.fromkeys(QuestionState, 0)
    n_reviews, counted_ms = queries.sum_reviews(session, round_.id)
    fates = queries.list_fates(session, round_.id)
    for one in fates:
        states[one.state] += one.n
        if one.kind is not None:
            counts = kinds.setdefault(one.kind, {"asked": 0, "grounded": 0, "elsewhere": 0})
            counts["asked"] += one.n
            counts["grounded"] += one.n * bool(one.is_grounded)
            counts["elsewhere"] += one.n * bool(one.is_elsewhere)
    return QuestionTally(
        n_images=n_images,
        n_drawn=n_drawn,
        n_known=n_known,
        n_empty=n_empty,
        n_over=n_over,
        n_proposed=sum(states.values()),
        n_kept=states[QuestionState.KEPT],
        n_dropped=states[QuestionState.DROPPED],
        kinds={kind: KindTally(**counts) for kind, counts in sorted(kinds.items())},
        n_reviews=n_reviews,
        counted_ms=counted_ms,
        **_of_people([one for one in fates if one.by_people]),
    )


def measure_questions(session: Session, round_: Round) -> QuestionTally:
    """Returns the same as a kind of evidence: a tally of nothing where the round asked nothing."""
    return count_questions(session, round_) or QuestionTally()


def store_questions(session: Session, round_: Round, *, run_id: int, attempt: int) -> None:
    """Count the questions of a round that asked any, and store it in a run that is not there to
    gather evidence."""
    tally = count_questions(session, round_)
    if tally is not None:
        kind = EvidenceKind.QUESTIONS
        store_evidence(session, round_.id, kind, tally.dump(), run_id=run_id, attempt=attempt)


def _of_people(fates: Sequence[Fate]) -> dict[str, int]:
    kept = [one for one in fates if one.state is QuestionState.KEPT]
    return {
        "n_by_people": sum(one.n for one in fates),
        "n_kept_by_people": sum(one.n for one in kept),
        "n_edited": sum(one.n for one in kept if one.is_edited),
        "n_not_in_image": sum(one.n for one in fates if one.is_about_image is False),
        "n_not_worth": sum(one.n for one in fates if one.is_worth_asking is False),
    }
