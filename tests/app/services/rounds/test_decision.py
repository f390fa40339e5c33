"""When the loop stops, and what it says."""

from typing import Any

import pytest

from app.lifecycle import Decision
from app.round_settings import StopSettings
from app.run_results import MixedStrategy, QuestionTally, RoundFigures
from app.services.rounds.decision import can_go_on, decide, decide_untrained

GOOD = RoundFigures(
    n_items=100,
    n_open=100,
    n_covered=40,
    newly_covered=20,
    improved=25,
    regressed=5,
    validation_accuracy=0.80,
    baseline_accuracy=0.82,
)


def replace(figures: RoundFigures, **changed: Any) -> RoundFigures:
    return figures.model_copy(update=changed)


IDLE = replace(GOOD, newly_covered=0, improved=3, regressed=3)


def test_progress_goes_on() -> None:
    decision, reason = decide(1, [GOOD], StopSettings())
    assert decision is Decision.CONTINUE
    assert "20 newly covered" in reason
    assert "60 train items" in reason


def test_all_covered_ends_the_loop_even_at_the_limit() -> None:
    figures = replace(GOOD, n_covered=100)
    assert decide(10, [figures], StopSettings())[0] is Decision.ALL_COVERED


@pytest.mark.parametrize(("n_covered", "decision"), [(28, "continue"), (29, "all_covered")])
def test_a_share_that_is_enough_ends_the_loop(n_covered: int, decision: str) -> None:
    figures = replace(GOOD, n_covered=n_covered)
    found, reason = decide(1, [figures], StopSettings(enough_covered=0.29))
    assert found == decision
    assert ("29 of 100 train items" in reason) == (decision == "all_covered")


def test_no_progress_ends_the_loop() -> None:
    decision, reason = decide(3, [GOOD, GOOD, IDLE], StopSettings())
    assert decision is Decision.NO_PROGRESS
    assert "3 items improved, 3 regressed, 0 newly covered of 100 open ones" in reason


def test_patience_waits_for_more_idle_rounds() -> None:
    stop = StopSettings(patience=2)
    assert decide(2, [GOOD, IDLE], stop)[0] is Decision.CONTINUE
    assert decide(1, [IDLE], stop)[0] is Decision.CONTINUE
    assert decide(3, [GOOD, IDLE, IDLE], stop)[0] is Decision.NO_PROGRESS


@pytest.mark.parametrize(("newly_covered", "decision"), [(1, "continue"), (0, "no_progress")])
def test_enough_new_coverage_is_progress_though_as_many_regress(
    newly_covered: int, decision: str
) -> None:
    figures = replace(IDLE, newly_covered=newly_covered)
    assert decide(2, [figures], StopSettings(min_progress=0.01))[0] == decision


def test_too_little_new_coverage_is_no_progress() -> None:
    figures = replace(IDLE, newly_covered=1, n_open=1000)
    assert decide(2, [figures], StopSettings(min_progress=0.01))[0] is Decision.NO_PROGRESS


UNJUDGED = replace(GOOD, improved=20, regressed=0, n_measured=0)


def test_without_a_verdict_the_loop_goes_by_new_coverage_and_says_so() -> None:
    decision, reason = decide(1, [UNJUDGED], StopSettings())
    assert decision is Decision.CONTINUE
    assert reason.startswith("20 items newly covered; 60 train items are still without")
    assert "No validation item has a verdict both now and before" in reason
    assert "regressed" not in reason
    # Figures that an older version stored say nothing of it.
    assert "regressed" in decide(1, [GOOD], StopSettings())[1]


@pytest.mark.parametrize(
    ("newly_covered", "decision"), [(10, "continue"), (9, "no_progress"), (0, "no_progress")]
)
def test_without_a_verdict_new_coverage_has_to_be_enough(newly_covered: int, decision: str) -> None:
    figures = replace(UNJUDGED, newly_covered=newly_covered, improved=newly_covered, n_open=1000)
    found, reason = decide(2, [figures], StopSettings(min_progress=0.01))
    assert found == decision
    assert "regressed" not in reason
    # Where held-out items were judged and none regressed, any item that is new is a surplus.
    known = replace(figures, n_measured=50)
    is_better = decide(2, [known], StopSettings(min_progress=0.01))[0] is Decision.CONTINUE
    assert is_better == (newly_covered > 0)


def test_without_a_verdict_the_floor_of_right_answers_holds_all_the_same() -> None:
    figures = replace(UNJUDGED, validation_accuracy=0.7)
    assert decide(1, [figures], StopSettings())[0] is Decision.UNDER_FLOOR


def test_accuracy_under_the_default_floor_ends_the_loop() -> None:
    figures = replace(GOOD, validation_accuracy=0.76)
    decision, reason = decide(1, [figures], StopSettings())
    assert decision is Decision.UNDER_FLOOR
    assert "76.0%" in reason
    assert "77.0%" in reason


def test_a_floor_of_ones_own_replaces_the_default() -> None:
    figures = replace(GOOD, validation_accuracy=0.5)
    assert decide(1, [figures], StopSettings(accuracy_floor=0.4))[0] is Decision.CONTINUE
    assert decide(1, [figures], StopSettings(accuracy_floor=0.6))[0] is Decision.UNDER_FLOOR


def test_no_held_out_items_means_no_floor() -> None:
    figures = replace(GOOD, validation_accuracy=None, baseline_accuracy=None)
    assert decide(1, [figures], StopSettings())[0] is Decision.CONTINUE


def test_the_round_limit_ends_the_loop() -> None:
    decision, reason = decide(3, [GOOD], StopSettings(round_limit=3))
    assert decision is Decision.ROUND_LIMIT
    assert "limit of 3 rounds" in reason


def measured(**accuracies: float) -> RoundFigures:
    return replace(
        GOOD,
        strategies=tuple(
            MixedStrategy(strategy=name, validation_accuracy=accuracy, floor=0.77)
            for name, accuracy in accuracies.items()
        ),
    )


def test_one_strategy_over_the_floor_is_enough_to_go_on() -> None:
    figures = measured(direct=0.80, monologue=0.40)
    assert decide(1, [figures], StopSettings())[0] is Decision.CONTINUE
    assert [one.is_under_floor for one in figures.strategies] == [False, True]


def test_the_loop_ends_where_all_strategies_are_under_the_floor() -> None:
    decision, reason = decide(1, [measured(direct=0.70, monologue=0.40)], StopSettings())
    assert decision is Decision.UNDER_FLOOR
    assert "0.7" in reason or "70" in reason
    assert "direct comes closest" in reason


def test_questions_that_were_kept_are_progress() -> None:
    asked = replace(IDLE, questions=QuestionTally(n_proposed=5, n_kept=1, n_dropped=4))
    assert decide(2, [IDLE, asked], StopSettings())[0] is Decision.CONTINUE
    dropped = replace(IDLE, questions=QuestionTally(n_proposed=5, n_dropped=5))
    assert decide(2, [IDLE, dropped], StopSettings(patience=1))[0] is Decision.NO_PROGRESS


def test_questions_that_wait_end_nothing_but_the_limit_does() -> None:
    waiting = replace(IDLE, n_covered=100, questions=QuestionTally(n_proposed=5, n_dropped=3))
    decision, reason = decide(2, [IDLE, waiting], StopSettings(patience=1))
    assert decision is Decision.CONTINUE
    assert "2 wait for people" in reason
    assert not can_go_on(waiting)
    assert decide(10, [waiting], StopSettings(round_limit=10))[0] is Decision.ROUND_LIMIT


def test_images_without_questions_keep_a_covered_project_open() -> None:
    figures = replace(GOOD, n_covered=100, n_alone=7)
    decision, reason = decide(1, [figures], StopSettings())
    assert decision is Decision.CONTINUE
    assert "train images without any question: 7" in reason
    assert can_go_on(figures)


def test_a_project_without_items_is_not_called_covered() -> None:
    nothing = RoundFigures(
        n_items=0, n_open=0, n_covered=0, newly_covered=0, improved=0, regressed=0
    )
    assert decide(1, [nothing], StopSettings(patience=1))[0] is Decision.NO_PROGRESS
    decision, reason = decide_untrained(1, nothing, StopSettings())
    assert decision is Decision.NO_PROGRESS
    assert "nothing to train on" in reason
    assert not can_go_on(nothing)


def test_an_untrained_round_with_kept_questions_goes_on_to_the_limit() -> None:
    kept = RoundFigures(n_items=2, questions=QuestionTally(n_proposed=3, n_kept=2, n_dropped=1))
    decision, reason = decide_untrained(1, kept, StopSettings(round_limit=2))
    assert decision is Decision.CONTINUE
    assert reason.startswith("2 questions that the model asked were kept")
    assert can_go_on(kept)
    assert decide_untrained(2, kept, StopSettings(round_limit=2))[0] is Decision.ROUND_LIMIT
