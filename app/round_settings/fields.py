"""Describes a setting beside its type, and lists the described settings of a model."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import NoneType
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

Kind = Literal["text", "number", "integer", "checkbox", "choice", "lines", "numbers"]


@dataclass(frozen=True)
class Group:
    """Settings that are shown together under a title; `more` is on the fold of the rare ones."""

    title: str
    more: str


@dataclass(frozen=True)
class Shown:
    """Describes a setting for people; it stands beside the type of the setting's field.

    Texts are Sentences, so that pages can translate them. `choices` has a word for each value of a
    choice; a setting that `is_rare` is folded away in forms; a group is named where it is not that
    of the model.
    """

    label: str
    hint: str = ""
    _: KW_ONLY
    unit: str = ""
    choices: Mapping[str, str] = field(default_factory=dict, hash=False)
    is_rare: bool = False
    group: Group | None = None

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Lets the JSON schema of a model say the same, in English."""
        described: dict[str, Any] = {**handler(schema), "title": str(self.label)}
        if self.hint:
            described["description"] = str(self.hint)
        if self.unit:
            described["x-unit"] = str(self.unit)
        return described


class SettingsModel(BaseModel):
    """A set of settings whose fields are described; all in one group unless a field says else."""

    # Neither infinity nor "not a number" is a setting, and JSON has no word for them.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    group: ClassVar[Group]


@dataclass(frozen=True)
class SettingField:
    """A setting as forms, help texts and documentation need it.

    name: the path to it, such as `training.rank`. choices: (value, word for it).
    """

    name: str
    label: str
    hint: str
    unit: str
    kind: Kind
    choices: tuple[tuple[str, str], ...]
    is_optional: bool
    is_rare: bool
    group: Group
    info: FieldInfo

    @property
    def help(self) -> str:
        """Returns the label, hint and choices in English, as the help of a command shows them."""
        known = f" ({', '.join(value for value, _ in self.choices)})" if self.choices else ""
        return f"{self.label}{known}: {self.hint}" if self.hint else f"{self.label}{known}."


def list_fields(model: type[SettingsModel], prefix: str = "") -> Iterator[SettingField]:
    """Yields all settings of a model and of the models inside it, in the order of their fields.

    Raises TypeError for a field that nobody has described.
    """
    for name, info in model.model_fields.items():
        path = prefix + name
        if isinstance(info.annotation, type) and issubclass(info.annotation, SettingsModel):
            yield from list_fields(info.annotation, f"{path}.")
            continue
        shown = next((entry for entry in info.metadata if isinstance(entry, Shown)), None)
        if shown is None:
            raise TypeError(f"The setting {path} has no label: describe it with Shown.")
        kind, values, is_optional = _read_type(info.annotation)
        yield SettingField(
            name=path,
            label=shown.label,
            hint=shown.hint,
            unit=shown.unit,
            kind=kind,
            choices=tuple((value, shown.choices.get(value, value)) for value in values),
            is_optional=is_optional,
            is_rare=shown.is_rare,
            group=shown.group or model.group,
            info=info,
        )


def find_field(model: type[SettingsModel], name: str) -> SettingField:
    """Returns the setting with this path. Raises KeyError if there is none."""
    for entry in list_fields(model):
        if entry.name == name:
            return entry
    raise KeyError(name)


_KINDS: Mapping[Any, Kind] = {bool: "checkbox", int: "integer", float: "number", str: "text"}


def _read_type(annotation: Any) -> tuple[Kind, tuple[str, ...], bool]:
    """Returns how a value of this type is entered, its choices, and whether it may be empty."""
    members = get_args(annotation)
    if NoneType in members:
        (wanted,) = (member for member in members if member is not NoneType)
        kind, values, _ = _read_type(wanted)
        return kind, values, True
    if get_origin(annotation) is Annotated:
        return _read_type(members[0])
    if get_origin(annotation) is Literal:
        return "choice", members, False
    if get_origin(annotation) is tuple:
        return ("lines" if members[0] is str else "numbers"), (), False
    return next(_KINDS[base] for base in annotation.__mro__ if base in _KINDS), (), False
