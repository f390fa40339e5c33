"""The form of a loop's settings, filled from them and read back.

Names in the form are the paths in LoopSettings (`training.rank`), so that a validation error finds
its field by its location.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.kit.texts import plain_lines
from app.round_settings import LoopSettings, SettingField
from app.web.language.validation import problem_text
from app.web.pages.projects.settings_fields import FIELDS, GROUPS


@dataclass(frozen=True)
class SettingsForm:
    """Values as typed, and what is wrong with them, by field name; `""` is about the whole."""

    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def has_rare_errors(self) -> Mapping[str, bool]:
        return {
            group.title: any(field.name in self.errors for field in group.rare) for group in GROUPS
        }


def form_of(settings: LoopSettings) -> SettingsForm:
    data = settings.model_dump(mode="json")
    return SettingsForm({field.name: _show(field, _get(data, field.name)) for field in FIELDS}, {})


def read_form(
    posted: Mapping[str, str], current: LoopSettings | None = None
) -> tuple[LoopSettings | None, SettingsForm]:
    """Returns the settings, or None with the errors in the form.

    A field that came back as it was shown keeps its `current` value, whatever the form can show.
    """
    before = current.model_dump(mode="json") if current else None
    data: dict[str, Any] = {}
    values: dict[str, str] = {}
    for field in FIELDS:
        text = posted.get(field.name, "")
        # Openers begin with a comma or a space that matters.
        text = plain_lines(text) if field.kind == "lines" else text.strip()
        values[field.name] = text
        is_kept = before is not None and text == _show(field, _get(before, field.name))
        value = _get(before, field.name) if before and is_kept else _read(field, text)
        _put(data, field.name, value)
    try:
        return LoopSettings.model_validate(data), SettingsForm(values, {})
    except ValidationError as error:
        return None, SettingsForm(values, _errors_by_field(error))


def list_errors(form: SettingsForm) -> list[str]:
    """Returns what is wrong in a form, one line for each field, with the field's name."""
    return [f"{name}: {problem}" if name else problem for name, problem in form.errors.items()]


def _read(field: SettingField, text: str) -> Any:
    """Returns a text of the form for pydantic to check: words stay words where numbers belong."""
    match field.kind:
        case "checkbox":
            return text == "true"
        case "lines":
            lines = [line.replace("\\n", "\n") for line in text.split("\n")]
            return [line for line in lines if line.strip(" \t")]
        case "numbers":
            return text.replace(",", " ").split()
        case _:
            return None if field.is_optional and not text else text


def _show(field: SettingField, value: Any) -> str:
    if value is None:
        return ""
    match field.kind:
        case "checkbox":
            return "true" if value else ""
        case "lines":
            return "\n".join(line.replace("\n", "\\n") for line in value)
        case "numbers":
            return " ".join(map(_show_number, value))
        case "number":
            return _show_number(value)
        case _:
            return str(value)


def _show_number(value: float) -> str:
    """Returns a number as short as people write it, and still the same when it is read back."""
    short = f"{value:.15g}"
    return short if float(short) == value else repr(value)


def _errors_by_field(error: ValidationError) -> dict[str, str]:
    names = {field.name for field in FIELDS}
    errors: dict[str, str] = {}
    for problem in error.errors():
        path = ".".join(part for part in problem["loc"] if isinstance(part, str))
        errors.setdefault(path if path in names else "", problem_text(problem))
    return errors


def _get(data: Mapping[str, Any], path: str) -> Any:
    value: Any = data
    for part in path.split("."):
        value = value[part]
    return value


def _put(data: dict[str, Any], path: str, value: Any) -> None:
    *groups, last = path.split(".")
    for part in groups:
        data = data.setdefault(part, {})
    data[last] = value
