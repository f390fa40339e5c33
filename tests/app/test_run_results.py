"""Results, progress and figures are read whichever version stored them, and stored as before."""

from typing import Any

import pytest

from app.kit.sentences import Sentence, pack
from app.lifecycle import FailureKind
from app.run_results import (
    ClosingResult,
    CriticFigures,
    EvaluationResult,
    ImportErrors,
    ImportResult,
    LeftOutItem,
    Preparation,
    ReleaseResult,
    RoundFigures,
    SamplingResult,
    StoredJson,
    TrainingProgress,
    TrainingResult,
    TrainingStep,
    Validated,
    WorkProgress,
)

KINDS = [
    ClosingResult, CriticFigures, EvaluationResult, ImportErrors, ImportResult, Preparation,
    ReleaseResult, RoundFigures, SamplingResult, TrainingProgress, TrainingResult, WorkProgress,
]  # fmt: skip

# --- Rows of the first version --------------------------------------------------------------

STEP = {
    "epoch": 1, "step": 1, "n_steps": 2, "loss": 0.75, "answer_loss": 0.5, "rationale_loss": None,
    "learning_rate": 1e-3,
}  # fmt: skip
OLD_TRAINING: dict[str, Any] = {
    "chosen_epoch": 1, "epochs_run": 2, "n_steps": 8, "n_rows": 12, "n_rationale_rows": 9,
    "n_written_rows": 0, "n_unreadable": 2, "n_left_out": 1,
    "left_out": [{"item_id": 7, "external_id": "a", "reason": "It is cut off.", "n_rows": 2}],
    "trainable_parameters": 1000, "resumed_from_step": None,
    "validations": [{"epoch": 1, "score": 0.5, "loss": None}],
    "curve": [STEP, STEP | {"step": 2, "rationale_loss": 0.25}], "seconds": 1.5,
}  # fmt: skip
OLD_FIGURES: dict[str, Any] = {
    "n_items": 10, "n_open": 8, "n_covered": 4, "newly_covered": 2, "improved": 3, "regressed": 1,
    "validation_accuracy": None, "baseline_accuracy": 0.5, "n_admitted": 5, "n_written_trained": 0,
    "n_draws_fitting": 1, "n_draws_judged": 4,
}  # fmt: skip
OLD_CRITIC: dict[str, Any] = {
    "draws": 40, "fitting_draws": 10, "candidates": 20, "fitting_candidates": 4, "items": 8,
    "items_with_fit": 3, "faults": {"unclear": 30},
}  # fmt: skip
OLD_IMPORT: dict[str, Any] = {
    "n_rows": 3, "n_added": 1, "n_unchanged": 1, "n_updated": 0, "n_images": 1,
    "splits": {"train": 3}, "changed": ["b"], "n_changed": 1, "refused": ["c: has been judged"],
    "n_refused": 1, "warnings": ["a is blank"], "sentences": {"refused": [], "warnings": []},
}  # fmt: skip


def test_a_training_of_the_first_version_is_read() -> None:
    read = TrainingResult.read(OLD_TRAINING)
    assert (read.n_rows, read.n_steps, read.steps_per_epoch) == (12, 8, 4)
    assert [step.losses for step in read.curve] == [
        {"answer": 0.5},
        {"answer": 0.5, "rationale": 0.25},
    ]
    (left_out,) = read.left_out
    assert (left_out.kind, left_out.reason) == (FailureKind.IMAGE, "It is cut off.")
    assert read.validations == (Validated(epoch=1, score=0.5),)
    progress = {"step": 2, "n_steps": 8, "seconds_left": 3.5, "curve": OLD_TRAINING["curve"]}
    assert TrainingProgress.read(progress).curve == read.curve


def test_figures_of_the_first_version_are_read_with_those_of_a_critic_or_without() -> None:
    people = RoundFigures.read(OLD_FIGURES)
    assert people.is_complete
    assert people.critic is None
    assert (people.covered_share, people.fitting_share) == (0.4, 0.25)
    spread = {f"critic_{name}": value for name, value in OLD_CRITIC.items()}
    critic = RoundFigures.read(OLD_FIGURES | spread).critic
    assert critic == CriticFigures.read(OLD_CRITIC)
    assert critic is not None
    assert critic.fitting_share == 0.25


def test_imports_of_the_first_version_are_read_in_english() -> None:
    read = ImportResult.read(OLD_IMPORT)
    assert (read.n_added, read.changed, read.n_changed) == (1, ("b",), 1)
    assert (read.refused, read.warnings) == (("c: has been judged",), ("a is blank",))
    refused = {"errors": ["line 4: no image"], "sentences": {"errors": []}}
    assert ImportErrors.read(refused).errors == ("line 4: no image",)


def test_an_evaluation_of_the_first_version_is_read() -> None:
    read = EvaluationResult.read({"n_leaked_images": 2, "meteor_note": "Java is not installed."})
    assert (read.n_leaked_images, read.meteor_note) == (2, "Java is not installed.")


# --- Rows of any version --------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_without_anything_is_read(kind: type[StoredJson]) -> None:
    assert kind.read({}) == kind()
    assert kind.find({}) is None


@pytest.mark.parametrize("kind", KINDS)
def test_keys_that_nobody_knows_are_left_out(kind: type[StoredJson]) -> None:
    stored = {"of_a_later_version": {"a": [1]}}
    assert kind.read(stored) == kind()
    assert kind.find(stored) == kind()


@pytest.mark.parametrize("kind", KINDS)
def test_null_is_as_good_as_nothing(kind: type[StoredJson]) -> None:
    assert kind.read(dict.fromkeys(kind.model_fields)) == kind()


def test_figures_of_which_some_are_missing_decide_nothing() -> None:
    for name in ("n_items", "n_open", "n_covered", "newly_covered", "improved", "regressed"):
        assert not RoundFigures.read(OLD_FIGURES | {name: None}).is_complete


def test_a_share_of_nothing_is_none() -> None:
    assert RoundFigures.read({"n_items": 0, "n_draws_judged": 0}).covered_share is None
    assert RoundFigures.read({"n_items": 0, "n_draws_judged": 0}).fitting_share is None
    assert CriticFigures.read({"draws": 0}).fitting_share is None
    assert TrainingResult.read({"n_steps": 3}).steps_per_epoch == 3


# --- What is stored -------------------------------------------------------------------------


def test_sentences_are_stored_with_their_parts_and_come_back_as_sentences() -> None:
    told = Sentence("%(n)s rows", n=3)
    for value in (
        ImportErrors(errors=(told,)),
        ImportResult(warnings=(told,), refused=(told,)),
        EvaluationResult(meteor_note=told),
        TrainingResult(left_out=(LeftOutItem(item_id=1, external_id="a", reason=told),)),
    ):
        assert type(value).read(value.dump()) == value
    stored = ImportErrors(errors=(told, "of a library")).dump()
    assert stored == {"errors": [pack(told), "of a library"]}
    (line, plain) = ImportErrors.read(stored).errors
    assert isinstance(line, Sentence)
    assert (line.template, line.parts, plain) == ("%(n)s rows", {"n": 3}, "of a library")


def test_the_keys_that_are_stored_are_those_of_before() -> None:
    step = {"epoch": 1, "step": 1, "n_steps": 2, "loss": 0.5, "losses": {"answer": 0.5},
            "learning_rate": 0.1, "n_tokens": 9}  # fmt: skip
    left_out = OLD_TRAINING["left_out"][0] | {"kind": "prompt"}
    validation = {"epoch": 1, "score": 0.5, "loss": None, "losses": {}}
    training = OLD_TRAINING | {
        "curve": [step], "left_out": [left_out], "validations": [validation], "n_prior_rows": 0
    }  # fmt: skip
    assert TrainingResult.read(training).dump() == training
    assert TrainingStep.read(step).dump() == step
    spread = {f"critic_{name}": value for name, value in OLD_CRITIC.items()}
    for figures in (OLD_FIGURES, OLD_FIGURES | spread):
        assert RoundFigures.read(figures).dump() == figures
    assert CriticFigures.read(OLD_CRITIC).dump() == OLD_CRITIC
    stored_import = {key: value for key, value in OLD_IMPORT.items() if key != "sentences"}
    assert ImportResult.read(stored_import).dump() == stored_import


def test_what_is_not_said_is_not_stored() -> None:
    assert EvaluationResult(n_leaked_images=0).dump() == {"n_leaked_images": 0}
    assert Preparation(doing=None).dump() == {}
    assert SamplingResult().dump() == {}


def test_steps_of_a_work_are_stored_in_english() -> None:
    progress = WorkProgress(step=Sentence("adding items"), done=1, total=2)
    assert progress.dump() == {"step": "adding items", "done": 1, "total": 2}
