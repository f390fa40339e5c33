"""What a round asked about images, and what became of it: by people, by a critic, or not yet."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.lifecycle import QuestionState
from app.models import Round
from app.queries.rounds import questions as queries
from app.queries.rounds.questions import Fate
from app.run_results import KindTally, QuestionTally, RoundFigures


def count_questions(session: Session, round_: Round) -> QuestionTally | None:
    """Returns what a round asked about its images and what became of it; None where it asked
    nothing."""
    stored = RoundFigures.find(round_.figures)
    if stored and (tally := stored.questions) and not (tally.n_waiting or tally.n_by_people):
        return tally  # a critic decided on all of them, and nothing changes any more
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


def _of_people(fates: Sequence[Fate]) -> dict[str, int]:
    kept = [one for one in fates if one.state is QuestionState.KEPT]
    return {
        "n_by_people": sum(one.n for one in fates),
        "n_kept_by_people": sum(one.n for one in kept),
        "n_edited": sum(one.n for one in kept if one.is_edited),
        "n_not_in_image": sum(one.n for one in fates if one.is_about_image is False),
        "n_not_worth": sum(one.n for one in fates if one.is_worth_asking is False),
    }
