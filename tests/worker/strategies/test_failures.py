"""From draws and rows that failed to items, with what is at fault."""

from pathlib import Path

from app.lifecycle import FailureKind
from worker.ml.errors import ImageError, PromptError
from worker.ml.inputs.prompts import explained
from worker.ml.types import Failed, Sampled
from worker.stages.left_out import Owner, TrainingInputs, leave_out
from worker.strategies.failures import collect_failures

WHOLE = Sampled("it is red", 4, -1.0, is_cut=False)


def test_an_item_failed_for_what_its_first_failed_draw_did() -> None:
    made = [
        *((1, draw) for draw in (Failed("cut short.", "image"), Failed("later.", "server"))),
        *((2, draw) for draw in (WHOLE, Failed("too long.", "prompt"))),
        (3, Failed("no answer.", "server")),
        (4, WHOLE),
    ]
    assert [(one.item_id, one.kind, one.reason) for one in collect_failures(made)] == [
        (1, FailureKind.IMAGE, "cut short."),
        (2, FailureKind.PROMPT, "1 of 2 draws are missing. too long."),
        (3, FailureKind.SERVER, "no answer."),
    ]


def test_a_training_says_whether_the_image_or_the_texts_cost_a_row() -> None:
    n_items = 30
    inputs = TrainingInputs(
        rows=[explained(Path("a.png"), "what?", "red", None, "")] * n_items,
        items=[Owner(number, f"item-{number}", is_excluded=False) for number in range(n_items)],
        validation=[],
        validation_items=[],
        n_bytes={},
        parent=None,
        state_name="state",
        is_written=[False] * n_items,
        is_of_prior=[False] * n_items,
    )
    kept = leave_out(
        inputs, {3: ImageError("cut short.", Path("a.png")), 5: PromptError("too long.")}
    )
    assert [(entry.item_id, entry.kind) for entry in kept.left_out] == [
        (3, FailureKind.IMAGE),
        (5, FailureKind.PROMPT),
    ]
    assert len(kept.rows) == n_items - 2
