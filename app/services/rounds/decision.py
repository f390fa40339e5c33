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
    if under_floor := _why_under_floor(last, stop):
        return Decision.UNDER_FLOOR, under_floor
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


def floor_of(stop: StopSettings, baseline_accuracy: float | None) -> float | None:
    """Returns the answer accuracy that a model is not to fall under; None where nothing says."""
    if stop.accuracy_floor is None and baseline_accuracy is not None:
        return baseline_accuracy - DEFAULT_FLOOR_DROP
    return stop.accuracy_floor


def _why_under_floor(figures: RoundFigures, stop: StopSettings) -> Sentence | None:
    """Returns why the loop ends for wrong answers; None where it does not. Of several strategies
    one that is over the floor is enough to go on; the others sit out."""
    if figures.strategies:
        best = max(figures.strategies, key=lambda one: one.validation_accuracy or 0.0)
        if not all(one.is_under_floor for one in figures.strategies):
            return None
        return Sentence(
            "Validation answer accuracy is under the floor of %(floor)s for every strategy; "
            "%(best)s comes closest with %(accuracy)s.",
            floor=Share(best.floor or 0.0),
            best=best.strategy,
            accuracy=Share(best.validation_accuracy or 0.0),
        )
    floor = floor_of(stop, figures.baseline_accuracy)
    accuracy = figures.validation_accuracy
    if floor is None or accuracy is None or accuracy >= floor:
        return None
    return Sentence(
        "Validation answer accuracy %(accuracy)s is under the floor of %(floor)s.",
        accuracy=Share(accuracy),
        floor=Share(floor),
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
