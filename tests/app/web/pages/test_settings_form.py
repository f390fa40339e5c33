"""The form covers the settings, all of them, and reads back what it shows."""

from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from app.round_settings import LoopSettings, SamplingSettings, StopSettings, TrainingSettings
from app.web.pages.projects.settings_fields import FIELDS
from app.web.pages.projects.settings_form import form_of, read_form


def leaf_names(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from leaf_names(annotation, f"{prefix}{name}.")
        else:
            yield prefix + name


def test_every_setting_has_its_field() -> None:
    names = [field.name for field in FIELDS]
    assert sorted(names) == sorted(leaf_names(LoopSettings))
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "settings",
    [
        LoopSettings(),
        LoopSettings(
            base_model="org/model",
            revision="abc",
            max_items=7,
            auto_advance=False,
            sampling=SamplingSettings(openers=(" because", ", so"), temperatures=(0.01, 1.5)),
            training=TrainingSettings(
                learning_rate=2e-5,
                dora=True,
                targets="q_proj,v_proj",
                gradient_checkpointing=True,
                feature_cache_mb=0,
                processes=2,
            ),
            stop=StopSettings(accuracy_floor=0.5),
        ),
    ],
)
def test_shown_and_read_back_is_the_same(settings: LoopSettings) -> None:
    form = form_of(settings)
    again, checked = read_form(form.values)
    assert again == settings
    assert checked.errors == {}


def test_an_empty_form_names_the_fields_that_are_missing() -> None:
    settings, form = read_form({})
    assert settings is None
    assert "judging.overlap" in form.errors
    assert "revision" not in form.errors


def test_errors_of_folded_fields_open_their_fold() -> None:
    values = dict(form_of(LoopSettings()).values) | {"training.dropout": "2"}
    _, form = read_form(values)
    assert form.has_rare_errors["Training"]
    assert not form.has_rare_errors["Sampling"]
