"""`illume model check`: a process of its own that tries a model and says what it found."""

import json
from pathlib import Path

import pytest

from tests.support.command_line import output_of, refusal_of, run_illume

pytestmark = pytest.mark.usefixtures("database")


@pytest.mark.slow
def test_the_demo_model_is_shown_to_people() -> None:
    text = output_of("model", "check", "demo")
    assert "demo (llava, a chat model" in text
    assert "28 modules (down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj)" in text
    assert text.count("seeing that'") == 3  # the exact prompts of three items
    assert text.count("rationale ") >= 3
    assert "This model can be used." in text


@pytest.mark.slow
def test_programs_get_the_same_as_json() -> None:
    found = json.loads(output_of("model", "check", "demo", "--json"))
    assert found["usable"] is True
    assert [target["part"] for target in found["targets"]] == ["language"]
    assert len(found["items"]) == 3
    assert found["parameters"] == 1_628_416


@pytest.mark.slow
def test_a_model_that_is_not_there_is_refused_in_one_sentence(tmp_path: Path) -> None:
    assert "holds no config.json" in refusal_of("model", "check", str(tmp_path))
    refusal = refusal_of("model", "check", "nobody/has-such-a-model")
    assert "the hub cannot be reached" in refusal or "There is no hub model" in refusal


@pytest.mark.slow
def test_a_refusal_is_json_as_well(tmp_path: Path) -> None:
    ended = run_illume("model", "check", str(tmp_path / "nowhere"), "--json")
    assert ended.returncode == 1
    found = json.loads(ended.stdout)
    assert found["usable"] is False
    assert found["reason"].startswith("There is no folder")
    assert len(ended.stderr.splitlines()) == 1
