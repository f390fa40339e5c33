"""Who judges is a value of its own, and stored as the text that it was."""

import pytest
from pydantic import ValidationError

from app.round_settings import PEOPLE, Judges, JudgingSettings


def test_settings_know_whether_people_judge_and_store_a_text() -> None:
    people, critic = JudgingSettings(), JudgingSettings.model_validate({"judges": "rouge:0.5"})
    assert people.judges.are_people
    assert people.judges == PEOPLE
    assert not critic.judges.are_people
    assert type(critic.judges) is Judges
    assert people.model_dump(mode="json")["judges"] == "people"
    assert type(critic.model_dump(mode="json")["judges"]) is str
    assert JudgingSettings.model_validate(critic.model_dump()) == critic


@pytest.mark.parametrize(("value", "fault"), [("x" * 101, "string_too_long"), (3, "string_type")])
def test_who_judges_is_a_text_of_some_length(value: object, fault: str) -> None:
    with pytest.raises(ValidationError) as refused:
        JudgingSettings.model_validate({"judges": value})
    assert [error["type"] for error in refused.value.errors()] == [fault]
