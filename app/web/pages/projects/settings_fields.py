"""The settings of a loop in the groups of their form; rare ones are folded away."""

from dataclasses import dataclass

from app.round_settings import LoopSettings, SettingField, list_fields


@dataclass(frozen=True)
class SettingGroup:
    """One part of the form: what is always seen of a group, and what its fold (`more`) holds."""

    title: str
    fields: tuple[SettingField, ...]
    rare: tuple[SettingField, ...]
    more: str


FIELDS = tuple(list_fields(LoopSettings))

GROUPS = tuple(
    SettingGroup(
        title=group.title,
        fields=tuple(field for field in FIELDS if field.group is group and not field.is_rare),
        rare=tuple(field for field in FIELDS if field.group is group and field.is_rare),
        more=group.more,
    )
    for group in dict.fromkeys(field.group for field in FIELDS)
)
