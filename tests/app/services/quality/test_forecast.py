"""How much judging is left: hours of people with their interval, and the end by their pace."""

import math
import random
from datetime import UTC, datetime, timedelta

import pytest

from app.queries.rounds.pace import PersonPace
from app.services.quality.forecast import forecast_end, forecast_hours

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def test_nothing_is_known_before_somebody_was_timed() -> None:
    assert forecast_hours(10, []) is None
    assert forecast_hours(10, [PersonPace(3, [0.0, 0.0])]) is None


def test_people_count_by_their_shares_of_the_judgements() -> None:
    found = forecast_hours(3600, [PersonPace(30, [10.0] * 5), PersonPace(10, [30.0] * 50)])
    assert found is not None
    assert found.seconds_each == pytest.approx(15)
    assert found.hours == pytest.approx(15)
    assert (found.n_people, found.n_timed) == (2, 55)


def test_the_interval_by_hand_for_two_people_who_differ() -> None:
    """Equal shares, means of 10 and 20: the mean 15 is off by sqrt(2 · (¼·25 + ¼·25)) = 5, one
    judgement by sqrt(25) = 5."""
    found = forecast_hours(100, [PersonPace(20, [10.0] * 20), PersonPace(20, [20.0] * 20)])
    assert found is not None
    assert found.interval is not None
    off = 1.959964 * math.sqrt(25 + 25 / 100) / 15
    hours = 100 * 15 / 3600
    assert found.interval == pytest.approx((hours * math.exp(-off), hours * math.exp(off)))


def test_one_person_has_the_spread_of_their_own_judgements() -> None:
    found = forecast_hours(10**9, [PersonPace(4, [8.0, 12.0, 8.0, 12.0])])
    assert found is not None
    assert found.interval is not None
    off = 1.959964 * math.sqrt((16 / 3) / 4) / 10
    assert found.interval[1] / found.hours == pytest.approx(math.exp(off), rel=1e-6)


def test_one_judgement_alone_has_no_interval() -> None:
    found = forecast_hours(10, [PersonPace(1, [9.0])])
    assert found is not None
    assert found.interval is None


@pytest.mark.parametrize("n_people", [1, 3, 10])
def test_the_interval_holds_what_simulated_people_take(n_people: int) -> None:
    """People of different speed share the rest anew, in shares that are drawn."""
    draw = random.Random(n_people)
    n_inside = 0
    for _ in range(200):
        speeds = [draw.lognormvariate(2.5, 0.35) for _ in range(n_people)]
        shares = [draw.gammavariate(5, 1) for _ in range(n_people)]
        done = [max(3, round(400 * share / sum(shares))) for share in shares]
        paces = [
            PersonPace(n, [own * draw.lognormvariate(0, 0.7) for _ in range(min(50, n))])
            for n, own in zip(done, speeds, strict=True)
        ]
        found = forecast_hours(300, paces)
        assert found is not None
        assert found.interval is not None
        later = [draw.gammavariate(n / 80, 1) for n in done]
        who = draw.choices(speeds, weights=later, k=300)
        taken = sum(own * draw.lognormvariate(0, 0.7) for own in who) / 3600
        n_inside += found.interval[0] <= taken <= found.interval[1]
    assert n_inside >= 180


def test_the_end_follows_the_pace_of_the_last_days() -> None:
    began = NOW - timedelta(days=30)
    end = forecast_end(300, [110, 90, 100, 100], NOW, began_at=began)
    assert end is not None
    assert end.per_day == pytest.approx(100)
    assert end.at == NOW + timedelta(days=3)
    assert end.earliest is not None
    assert end.latest is not None
    off = math.exp(1.959964 * math.sqrt(200 / 3 / 4) / 100)
    assert end.latest - NOW == pytest.approx(timedelta(days=3) * off, abs=timedelta(seconds=1))
    assert end.earliest - NOW == pytest.approx(timedelta(days=3) / off, abs=timedelta(seconds=1))


def test_a_round_that_began_this_morning_is_not_taken_for_a_whole_day() -> None:
    end = forecast_end(200, [50], NOW, began_at=NOW - timedelta(hours=6))
    assert end is not None
    assert end.at == NOW + timedelta(days=1)
    assert end.earliest is None


def test_without_a_judgement_in_the_last_days_there_is_no_end() -> None:
    assert forecast_end(200, [], NOW, began_at=NOW - timedelta(days=20)) is None


def test_days_on_which_nobody_judged_count() -> None:
    end = forecast_end(100, [0, 0, 100, 100], NOW, began_at=NOW - timedelta(days=9))
    assert end is not None
    assert end.per_day == pytest.approx(50)
