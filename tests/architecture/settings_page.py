"""The page that lists the settings of the loop (docs/settings.md), written from their fields.

Run as `python -m tests.architecture.settings_page` after a change to `app/round_settings/`.
"""

from typing import Any

from app.kit.numbers import LARGEST
from app.kit.processes.programs import run_program
from app.round_settings import LoopSettings, SettingField, list_fields
from tests.architecture.lock import REPOSITORY

PAGE = REPOSITORY / "docs" / "settings.md"
HEADER = """\
# Settings of the loop

Each project has these settings, on its page *Settings*. A round keeps those that it was started
with. The form folds away the settings in *italics*. What is empty by default may be left empty.
README lists the settings of the installation, which are something else.

This page is written from the fields in `app/round_settings/`, as the form is.
"""


def write_page() -> str:
    """Returns the whole page: one table for each group, in the order of the form."""
    fields = list(list_fields(LoopSettings))
    parts = [HEADER]
    for group in dict.fromkeys(field.group for field in fields):
        parts.append(f"## {group.title}\n")
        parts.append("| Setting | Name | Default | Values | What it does |")
        parts.append("| --- | --- | --- | --- | --- |")
        parts += [_row(field) for field in fields if field.group is group]
        parts.append("")
    return "\n".join(parts)


def _row(field: SettingField) -> str:
    label = f"*{field.label}*" if field.is_rare else str(field.label)
    cells = (label, f"`{field.name}`", _default(field), _values(field), str(field.hint))
    return "| " + " | ".join(cells) + " |"


def _default(field: SettingField) -> str:
    value: Any = field.info.default
    match value:
        case None:
            return ""
        case bool():
            return "on" if value else "off"
        case tuple():
            return "`" + " ".join(str(entry) for entry in value) + "`"
        case float():
            return f"`{value:g}`"
    return f"`{value}`"


def _values(field: SettingField) -> str:
    """Returns what may be entered: the choices, or the limits and the unit of a number."""
    if field.choices:
        return ", ".join(
            f"`{value}`" if value == word else f"`{value}` ({word})"
            for value, word in field.choices
        )
    return f"{_limits(field)} {field.unit}".strip()


def _limits(field: SettingField) -> str:
    """Returns the limits of a number, or of how many values or characters there may be."""
    limits = {
        name: limit
        for entry in field.info.metadata
        for name in ("gt", "ge", "lt", "le", "min_length", "max_length")
        if (limit := getattr(entry, name, None)) is not None and limit != LARGEST
    }
    form = _FORMS.get(tuple(limits), "")
    return form.format(*(f"{limit:,}" for limit in limits.values()))


_FORMS = {
    ("min_length", "max_length"): "{} to {} of them",
    ("max_length",): "at most {} characters",
    ("ge", "le"): "{} to {}",
    ("ge", "lt"): "from {}, less than {}",
    ("gt", "le"): "more than {}, up to {}",
    ("ge",): "from {}",
}
"""How limits are said, by the names that they have in a field."""


def main() -> None:
    """Writes the page."""
    PAGE.write_text(write_page(), encoding="utf-8")


if __name__ == "__main__":
    run_program(main, name="settings_page")
