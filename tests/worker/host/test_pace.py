"""How fast a worker says it is."""

import pytest

from worker.host.pace import WINDOW_SECONDS, Pace, TimeLeft


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(clock: Clock) -> Pace:
    return Pace(clock)


def test_idle_says_nothing(pace: Pace) -> None:
    assert pace.read() == (None, "")


def test_begun_work_is_measured_from_its_beginning(pace: Pace, clock: Clock) -> None:
    with pace.counting("samples"):
        clock.now += 2
        assert pace.read() == (None, "samples")
        pace.count(10)
        clock.now += 2
        pace.count(30)
        assert pace.read() == (10.0, "samples")
    assert pace.read() == (None, "")


def test_only_the_last_half_minute_counts(pace: Pace, clock: Clock) -> None:
    with pace.counting("samples"):
        pace.count(1_000_000)
        clock.now += WINDOW_SECONDS + 5
        pace.count(60)
        assert pace.read() == (60 / WINDOW_SECONDS, "samples")
        clock.now += WINDOW_SECONDS + 5
        assert pace.read() == (None, "samples"), "it stands still"


def test_what_was_done_before_does_not_count_for_the_next(pace: Pace, clock: Clock) -> None:
    with pace.counting("samples"):
        pace.count(500)
        clock.now += 1
    with pace.counting("tokens"):
        clock.now += 4
        pace.count(8)
        assert pace.read() == (2.0, "tokens")


def test_the_time_left_is_judged_by_the_steps_since_a_resume(clock: Clock) -> None:
    time_left = TimeLeft(clock)
    assert time_left.estimate(51, 100) is None
    clock.now += 6
    assert time_left.estimate(53, 100) == 3 * 47
    clock.now += 6
    assert time_left.estimate(100, 100) == 0
