"""Settings of the loop are described beside their types, and the docs are written from that."""

from typing import Annotated

import pytest

from app.kit.sentences import Sentence
from app.round_settings import LoopSettings, Shown, find_field, list_fields
from app.round_settings.fields import Group, SettingsModel
from tests.architecture.settings_page import PAGE, write_page


def test_the_page_of_the_settings_is_as_their_fields_say() -> None:
    """After a change to a setting: `python -m tests.architecture.settings_page`."""
    assert PAGE.read_text(encoding="utf-8") == write_page()


def test_every_choice_is_a_value_of_its_setting() -> None:
    for field in list_fields(LoopSettings):
        shown = next(entry for entry in field.info.metadata if isinstance(entry, Shown))
        assert set(shown.choices) <= {value for value, _ in field.choices}, field.name


def test_the_json_schema_of_the_settings_says_the_same() -> None:
    schema = LoopSettings.model_json_schema()
    cache = schema["$defs"]["TrainingSettings"]["properties"]["feature_cache_mb"]
    assert cache["title"] == "Vision cache"
    assert cache["description"].startswith("Of each process;")
    assert cache["x-unit"] == "MB"


def test_help_texts_name_the_choices() -> None:
    said = find_field(LoopSettings, "dtype").help
    assert said == "Number format (auto, float32, bfloat16, float16, 4bit)."


def test_a_setting_that_nobody_described_is_refused() -> None:
    class Two(SettingsModel):
        group = Group("Two", "More")

        said: Annotated[int, Shown(Sentence("Seed"))] = 1
        unsaid: int = 2

    with pytest.raises(TypeError, match="unsaid"):
        list(list_fields(Two))
