"""Whether another round is worth it: a pure rule on what the rounds brought."""

from app.kit.sentences import Amount, Sentence, Share
from app.lifecycle import Decision
from app.round_settings import StopSettings
from app.run_results import RoundFigures

DEFAULT_FLOOR_DROP = 0.05


def decide(number: int, history: list[RoundFigures], stop: StopSettings) -> tuple[Decision, str]:
    """Decide on the last of `history` (oldest first). Reasons are sentences for people."""
    last = history[-1]
    if last.n_covered >= last.n_items:
        return Decision.ALL_COVERED, Sentence(
            "All %(n)s train items have a fitting rationale.", n=Amount(last.n_items)
        )
    if last.n_covered / last.n_items >= stop.enough_covered:
        return Decision.ALL_COVERED, Sentence(
            "%(covered)s of %(n)s train items have a fitting rationale, which is enough.",
            covered=Amount(last.n_covered),
            n=Amount(last.n_items),
        )
    floor = stop.accuracy_floor
    if floor is None and last.baseline_accuracy is not None:
        floor = last.baseline_accuracy - DEFAULT_FLOOR_DROP
    accuracy = last.validation_accuracy
    if floor is not None and accuracy is not None and accuracy < floor:
        return (
            Decision.UNDER_FLOOR,
            Sentence(
                "Validation answer accuracy %(accuracy)s is under the floor of %(floor)s.",
                accuracy=Share(accuracy),
                floor=Share(floor),
            ),
        )
    recent = history[-stop.patience :]
    if len(recent) == stop.patience and not any(
        _has_progress(figures, stop.min_progress) for figures in recent
    ):
        return (
            Decision.NO_PROGRESS,
            Sentence(
                "No progress for %(n)s round(s): %(improved)s items improved, %(regressed)s "
                "regressed, %(covered)s newly covered of %(open)s open ones.",
                n=stop.patience,
                improved=Amount(last.improved),
                regressed=Amount(last.regressed),
                covered=Amount(last.newly_covered),
                open=Amount(last.n_open),
            ),
        )
    if number >= stop.round_limit:
        return (
            Decision.ROUND_LIMIT,
            Sentence("The limit of %(n)s rounds is reached.", n=stop.round_limit),
        )
    return (
        Decision.CONTINUE,
        Sentence(
            "%(improved)s items improved, %(regressed)s regressed, %(covered)s newly covered; "
            "%(left)s train items are still without a fitting rationale.",
            improved=Amount(last.improved),
            regressed=Amount(last.regressed),
            covered=Amount(last.newly_covered),
            left=Amount(last.n_items - last.n_covered),
        ),
    )


def decide_after_prior(number: int, stop: StopSettings) -> tuple[Decision, str]:
    """Decide on a round that trained on the prior alone: it covers nothing, and only the limit of
    rounds ends the loop there."""
    if number >= stop.round_limit:
        return (
            Decision.ROUND_LIMIT,
            Sentence("The limit of %(n)s rounds is reached.", n=stop.round_limit),
        )
    return (
        Decision.CONTINUE,
        Sentence("The model has learned from the prior; the next round samples from it."),
    )


def _has_progress(figures: RoundFigures, min_progress: float) -> bool:
    """Whether more measured items got better than worse, or enough items were newly covered."""
    is_better = figures.improved - figures.regressed > 0
    is_enough = figures.newly_covered >= min_progress * figures.n_open
    return is_better or (figures.newly_covered > 0 and is_enough)
