"""Whether another round is worth it: a pure rule on what the rounds brought."""

from app.kit.sentences import Amount, CountedSentence, Sentence, Share
from app.lifecycle import Decision
from app.round_settings import StopSettings
from app.run_results import RoundFigures

DEFAULT_FLOOR_DROP = 0.05


def decide(number: int, history: list[RoundFigures], stop: StopSettings) -> tuple[Decision, str]:
    """Decide on the last of `history` (oldest first). Reasons are sentences for people."""
    last = history[-1]
    ended = _covered(last, stop) or _under_floor(last, stop) or _no_progress(history, stop)
    if ended is not None:
        return ended
    if number >= stop.round_limit:
        return _at_the_limit(stop)
    if last.n_covered >= last.n_items:
        return Decision.CONTINUE, _what_is_left(last)
    return Decision.CONTINUE, _what_it_brought(last)


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


Ended = tuple[Decision, str] | None


def _covered(last: RoundFigures, stop: StopSettings) -> Ended:
    if _has_questions_left(last) or not last.n_items:
        return None
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
    return None


def _under_floor(last: RoundFigures, stop: StopSettings) -> Ended:
    why = _why_under_floor(last, stop)
    return (Decision.UNDER_FLOOR, why) if why else None


def _no_progress(history: list[RoundFigures], stop: StopSettings) -> Ended:
    last = history[-1]
    recent = history[-stop.patience :]
    is_waiting = last.questions is not None and last.questions.n_waiting > 0
    if (
        not is_waiting
        and len(recent) == stop.patience
        and not any(_has_progress(figures, stop.min_progress) for figures in recent)
    ):
        return Decision.NO_PROGRESS, _what_was_too_little(last, stop)
    return None


def decide_after_prior(number: int, stop: StopSettings) -> tuple[Decision, str]:
    """Decide on a round that trained on the prior alone: it covers nothing, and only the limit of
    rounds ends the loop there."""
    if number >= stop.round_limit:
        return _at_the_limit(stop)
    return (
        Decision.CONTINUE,
        Sentence("The model has learned from the prior; the next round samples from it."),
    )


def decide_untrained(number: int, last: RoundFigures, stop: StopSettings) -> tuple[Decision, str]:
    """Decide on a round that had nothing to train on. It ends the loop, unless questions that its
    model asked were kept, or wait for people."""
    asked = last.questions
    if asked is None or not asked.n_proposed:
        return Decision.NO_PROGRESS, Sentence(
            "No rationale has been admitted so far, so there is nothing to train on."
        )
    if not asked.n_kept and not asked.n_waiting:
        return Decision.NO_PROGRESS, CountedSentence(
            "The %(n)s question that the model asked was not kept, and no rationale has been "
            "admitted so far, so there is nothing to train on. Import some questions and answers, "
            "from which it can learn to ask.",
            "None of the %(n)s questions that the model asked was kept, and no rationale has been "
            "admitted so far, so there is nothing to train on. Import some questions and answers, "
            "from which it can learn to ask.",
            n=asked.n_proposed,
        )
    if number >= stop.round_limit:
        return _at_the_limit(stop)
    if not asked.n_kept:
        return Decision.CONTINUE, _what_is_left(last)
    return Decision.CONTINUE, CountedSentence(
        "%(n)s question that the model asked was kept and is an item now; the next round samples "
        "rationales of it.",
        "%(n)s questions that the model asked were kept and are items now; the next round samples "
        "rationales of them.",
        n=asked.n_kept,
    )


def can_go_on(last: RoundFigures) -> bool:
    """Whether the next round has something to sample or to ask; else it waits for people."""
    return last.n_covered < last.n_items or last.n_alone > 0


def _what_it_brought(last: RoundFigures) -> Sentence:
    counts = {
        "covered": Amount(last.newly_covered),
        "left": Amount(last.n_items - last.n_covered),
    }
    if last.is_fit_unknown:
        return Sentence(
            "%(covered)s items newly covered; %(left)s train items are still without a fitting "
            "rationale. No validation item has a verdict both now and before: the loop goes by new "
            "coverage and right answers alone.",
            **counts,
        )
    return Sentence(
        "%(improved)s items improved, %(regressed)s regressed, %(covered)s newly covered; "
        "%(left)s train items are still without a fitting rationale.",
        improved=Amount(last.improved),
        regressed=Amount(last.regressed),
        **counts,
    )


def _what_was_too_little(last: RoundFigures, stop: StopSettings) -> Sentence:
    counts = {"covered": Amount(last.newly_covered), "open": Amount(last.n_open)}
    if last.is_fit_unknown:
        return Sentence(
            "No progress for %(n)s round(s): %(covered)s newly covered of %(open)s open ones. No "
            "validation item has a verdict both now and before: the loop goes by new coverage and "
            "right answers alone.",
            n=stop.patience,
            **counts,
        )
    return Sentence(
        "No progress for %(n)s round(s): %(improved)s items improved, %(regressed)s regressed, "
        "%(covered)s newly covered of %(open)s open ones.",
        n=stop.patience,
        improved=Amount(last.improved),
        regressed=Amount(last.regressed),
        **counts,
    )


def _has_questions_left(last: RoundFigures) -> bool:
    """Whether questions wait for people, or images for questions."""
    return last.n_alone > 0 or (last.questions is not None and last.questions.n_waiting > 0)


def _what_is_left(last: RoundFigures) -> Sentence:
    return Sentence(
        "Of the questions that the model asked, %(waiting)s wait for people; train images without "
        "any question: %(alone)s.",
        waiting=Amount(last.questions.n_waiting if last.questions else 0),
        alone=Amount(last.n_alone),
    )


def _at_the_limit(stop: StopSettings) -> tuple[Decision, str]:
    return (
        Decision.ROUND_LIMIT,
        Sentence("The limit of %(n)s rounds is reached.", n=stop.round_limit),
    )


def _has_progress(figures: RoundFigures, min_progress: float) -> bool:
    """Whether more measured items got better than worse, enough items were newly covered, or
    questions were kept. Where no measured item has a verdict, new coverage is no surplus over
    what got worse: it has to be enough."""
    if figures.questions is not None and figures.questions.n_kept:
        return True
    is_better = figures.improved - figures.regressed > 0 and not figures.is_fit_unknown
    is_enough = figures.newly_covered >= min_progress * figures.n_open
    return is_better or (figures.newly_covered > 0 and is_enough)
