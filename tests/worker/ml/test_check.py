from pathlib import Path

import pytest

from worker.ml.check import check_model
from worker.ml.errors import MlError


def test_the_report_shows_what_a_project_would_get(
    llava_folder: Path, pictures: list[Path]
) -> None:
    report = check_model(
        str(llava_folder),
        images=pictures,
        questions=["what is it ?", "is it red ?", "how many ?"],
        device="cpu",
    )
    assert (report.family, report.device, report.dtype) == ("llava", "cpu", "float32")
    assert report.train_text == "<image>Q: what is it ? A: yes, seeing that it is there"
    assert report.trainable_parameters == sum(t.lora_parameters for t in report.targets) == 8192
    assert [t.part for t in report.targets] == ["language"]
    assert report.targets[0].n_modules == 14
    assert report.weight_bytes == 4 * report.parameters
    assert 0 < report.train_loss < 100
    assert [item.question for item in report.items] == ["what is it ?", "is it red ?", "how many ?"]
    first = report.items[0]
    assert first.answer_prompt == "<image>Q: what is it ? A:"
    assert first.rationale_prompt.startswith(first.answer_prompt + " ")
    assert first.rationale_prompt.endswith(", seeing that")
    assert first.rationale.n_tokens > 0


def test_something_to_look_at_is_needed(llava_folder: Path) -> None:
    with pytest.raises(MlError, match="at least one image and one question"):
        check_model(str(llava_folder), images=[], questions=["?"])
