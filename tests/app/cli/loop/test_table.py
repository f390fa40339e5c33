"""The table that `illume loop` ends with."""

from typing import Any

import pytest

from app.cli.loop.table import print_table


def score(value: float) -> dict[str, Any]:
    return {"value": value, "n": 100, "low": value - 0.05, "high": value + 0.05}


FIGURES: dict[str, Any] = {
    **{"project": "scenes", "critic": "exact", "control": "none", "seed": 0, "seconds": 1.0},
    "rounds": [
        {
            "round": 0,
            "scores": {
                "test": {"cider": score(0.4), "blank_answer_accuracy": score(0.3)},
            },
        },
        {
            "round": 1,
            "figures": {"n_covered": 3, "n_items": 5},
            "scores": {
                "test": {
                    "cider": score(0.9),
                    "leave_one_out_cider": score(0.8),
                    "human_cider": score(1.1),
                },
            },
        },
    ],
}


def test_people_and_blank_pictures_follow_the_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(FIGURES)
    rows = [line for line in capsys.readouterr().out.splitlines() if "(" in line]
    found = [next(text for text in ("0.40", "0.90", "30.0%", "0.80", "1.10") if text in row)
             for row in rows]  # fmt: skip
    assert found == ["0.40", "0.90", "30.0%", "0.80", "1.10"]
    out = capsys.readouterr().out
    assert "Ended" not in out


def test_a_loop_that_measured_nothing_prints_its_rounds(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(FIGURES | {"rounds": [{"round": 1, "scores": {}, "figures": {}}]})
    assert "people" not in capsys.readouterr().out


def test_it_says_of_how_many_items_the_fit_is(capsys: pytest.CaptureFixture[str]) -> None:
    def told(**scores: dict[str, Any]) -> str:
        entry = {"round": 0, "scores": {"test": scores}}
        print_table(FIGURES | {"critic": "rouge:0.5", "rounds": [entry]})
        return " ".join(capsys.readouterr().out.split())

    every = score(0.8)
    said = told(answer_accuracy=every)
    assert "Fit is not measured: the critic rouge:0.5 judges by a gold rationale" in said
    assert "none of the 100 held-out items" in said
    assert "those 40 of the 100 held-out items" in told(
        answer_accuracy=every, fit=score(0.5) | {"n": 40}
    )
    assert "held-out items" not in told(answer_accuracy=every, fit=score(0.5))
