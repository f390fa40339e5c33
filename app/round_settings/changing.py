"""Changes settings by their names, as a command line gives them: `training.rank=16`."""

import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from app.kit.errors import AppError
from app.round_settings.fields import SettingField, list_fields
from app.round_settings.loop import LoopSettings

_YES_NO = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def read_changes(changes: Sequence[str]) -> dict[str, Any]:
    """Returns values by the name of their setting, of texts such as `NAME=VALUE`.

    A value is written as in docs/settings.md; a list as JSON (`["a", "b"]`), or numbers with commas
    between them. Raises AppError where a name is not known, or a text is no value of a list.
    """
    fields = {field.name: field for field in list_fields(LoopSettings)}
    values: dict[str, Any] = {}
    for change in changes:
        name, is_set, value = (part.strip() for part in change.partition("="))
        if not is_set:
            raise AppError(f"`{change}` is no setting with its value: write NAME=VALUE.")
        if name not in fields:
            raise AppError(_unknown(name, list(fields)))
        values[name] = _read(fields[name], value)
    return values


def with_changes(settings: LoopSettings, values: Mapping[str, Any]) -> LoopSettings:
    """Returns the settings with other values. Raises AppError where one is refused, or they do not
    go together."""
    data = settings.model_dump(mode="json")
    for name, value in values.items():
        *groups, last = name.split(".")
        place: dict[str, Any] = data
        for group in groups:
            place = place[group]
        place[last] = value
    try:
        return LoopSettings.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        about = ".".join(part for part in problem["loc"] if isinstance(part, str))
        refused = f"{about} cannot be that" if about else "These settings do not go together"
        raise AppError(f"{refused}: {problem['msg']}.") from error


def _read(field: SettingField, value: str) -> Any:
    if field.is_optional and not value:
        return None
    if field.kind == "checkbox":
        return _YES_NO.get(value.lower(), value)
    if field.kind == "numbers":
        return value.strip("[]").replace(",", " ").split()
    if field.kind == "lines":
        try:
            return json.loads(value)
        except ValueError as error:
            raise AppError(
                f'{field.name} is a list of texts: write ["first", "second"].'
            ) from error
    return value


def _unknown(name: str, names: Sequence[str]) -> str:
    near = get_close_matches(name, names, n=3) or [n for n in names if n.endswith(f".{name}")]
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no setting `{name}`.{meant} docs/settings.md lists them."
