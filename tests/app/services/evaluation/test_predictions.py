"""What of an evaluation is measured, and what is said where METEOR is not to be had."""

from pathlib import Path

import pytest

from app.lifecycle import Split
from app.round_settings import LoopSettings
from app.services.evaluation.predictions import measure_outcomes
from app.services.evaluation.text_scores import Outcome, ScoredItem

SEEN = Outcome("it is red", answer_is_right=True, fits=True)
OUTCOMES = {Split.TEST: [ScoredItem(("the ball is red", "it is a red ball"), SEEN, None)]}


def put_in_path(folder: Path, monkeypatch: pytest.MonkeyPatch, java: str | None) -> None:
    """A computer with this Java or none, and the jar of METEOR."""
    meteor = folder / "pycocoevalcap" / "meteor"
    meteor.mkdir(parents=True)
    (meteor.parent / "__init__.py").touch()
    (meteor / "meteor-1.5.jar").touch()
    if java is not None:
        (folder / "java").write_text(f"#!/bin/sh\n{java}\n")
        (folder / "java").chmod(0o755)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PATH", str(folder))


def test_without_java_all_but_meteor_is_measured_and_the_reason_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_path(tmp_path, monkeypatch, None)
    measured = measure_outcomes(OUTCOMES, LoopSettings())
    assert measured.meteor_note == "METEOR is left out: Java is not installed."
    names = {figure.name for figure in measured.figures[Split.TEST]}
    assert {"bleu4", "filtered_bleu4", "human_bleu4"} <= names
    assert not any("meteor" in name for name in names)


def test_a_meteor_that_fails_does_not_cost_the_evaluation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_path(tmp_path, monkeypatch, "echo no memory >&2; exit 1")
    measured = measure_outcomes(OUTCOMES, LoopSettings())
    assert measured.meteor_note == "METEOR is left out: METEOR ended with 1 and said: no memory"
    assert {figure.name for figure in measured.figures[Split.TEST]} >= {"cider", "rouge_l"}


def test_who_does_not_want_meteor_hears_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_path(tmp_path, monkeypatch, None)
    settings = LoopSettings.model_validate({"evaluation": {"meteor": False}})
    assert measure_outcomes(OUTCOMES, settings).meteor_note is None
