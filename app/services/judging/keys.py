"""The keys of the judging page: one registry for the page, its hints, the table and the settings.

A person may choose other keys. What is stored with the account is only what differs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.models import User
from app.strategies import Strategy

NAMED_KEYS = {
    "Enter": "Enter",
    "Backspace": "Backspace",
    "ArrowLeft": "←",
    "ArrowRight": "→",
    "ArrowUp": "↑",
    "ArrowDown": "↓",
}
"""Keys that are no character, as browsers name them, and as people read them."""

N_PICKS = 10

SHOW_TRACE, CONTINUE, LAYER, BOX = "trace", "continue", "layer", "box"
TRACED = frozenset({SHOW_TRACE, CONTINUE, LAYER, BOX})
"""The actions that only rounds have whose strategy leaves traces."""


def traced_actions(strategy: Strategy, *, shows_traces: bool) -> frozenset[str]:
    """Returns the actions that rounds of a strategy have because of what people see of traces."""
    is_there = {
        SHOW_TRACE: shows_traces,
        CONTINUE: shows_traces and strategy.branch_template is not None,
        LAYER: shows_traces and strategy.draws_boxes,
        BOX: shows_traces and strategy.draws_boxes,
    }
    return frozenset(action for action, there in is_there.items() if there)


@dataclass(frozen=True)
class Key:
    """A key of the judging page: the action it triggers, the key itself, and the words for it."""

    action: str
    key: str
    label: str

    @property
    def shown(self) -> str:
        return NAMED_KEYS.get(self.key, self.key)


USUAL_KEYS = (
    *(
        Key(
            f"pick-{place}",
            str(place % N_PICKS),
            Sentence("Pick rationale %(place)s, or not", place=place),
        )
        for place in range(1, N_PICKS + 1)
    ),
    Key("submit", "Enter", Sentence("Submit, and bring the next item")),
    Key("none", "n", Sentence("None fits")),
    Key("wrong", "w", Sentence("The answer is wrong")),
    Key("skip", "s", Sentence("Skip, with a reason")),
    Key("take-back", "u", Sentence("Take back the last answer")),
    Key("mend", "e", Sentence("Faults of a rationale, or a better text: then its number")),
    Key(SHOW_TRACE, "t", Sentence("Show how a rationale came about, or not: then its number")),
    Key(
        CONTINUE,
        "b",
        Sentence("Let the model continue from the look that you corrected: then its number"),
    ),
    Key(
        LAYER, "m", Sentence("What lies over the picture: what hiding changes, attention, nothing")
    ),
    Key(BOX, "d", Sentence("Draw where it should have looked: then the rationale's number")),
    Key("flag", "f", Sentence("Flag for the admins")),
    Key("unsure", "i", Sentence("I am unsure")),
    Key("comment", "c", Sentence("Write a comment (Esc leaves it)")),
    Key("previous", "ArrowLeft", Sentence("Your item before this one")),
    Key("next", "ArrowRight", Sentence("Your item after this one")),
    Key("zoom", "z", Sentence("Zoom the image; drag to move it")),
    Key("guidelines", "g", Sentence("Show or hide the guidelines")),
    Key("keys", "?", Sentence("Show or hide this table")),
)


def keys_of(user: User) -> tuple[Key, ...]:
    """Returns all keys as this person has them, in the order of the registry.

    An action that came later has no key where the person chose its usual one for something else.
    """
    return keys_with(user.judging_keys)


def keys_with(own: Mapping[str, str]) -> tuple[Key, ...]:
    """Returns all keys, those that differ from the usual ones as they are given by action."""
    chosen = set(own.values())
    return tuple(
        Key(
            usual.action,
            own.get(usual.action, "" if usual.key in chosen else usual.key),
            usual.label,
        )
        for usual in USUAL_KEYS
    )


def set_keys(user: User, chosen: Mapping[str, str]) -> None:
    """Keep the keys that somebody chose; actions that are not named keep the usual one.

    Raises:
        InvalidInput: one key for two actions, no key, or one that cannot be had; nothing is kept.
    """
    if unknown := set(chosen) - {key.action for key in USUAL_KEYS}:
        raise InvalidInput(Sentence("There is no action called “%(name)s”.", name=min(unknown)))
    keys = [Key(usual.action, chosen.get(usual.action, usual.key), usual.label)
            for usual in USUAL_KEYS]  # fmt: skip
    keys = [Key(key.action, read_key(key.key, key.label), key.label) for key in keys]
    if problems := clashes(keys):
        raise InvalidInput(
            Sentence("Nothing was changed: a key can do one thing only."), errors=problems
        )
    user.judging_keys = {
        key.action: key.key
        for key, usual in zip(keys, USUAL_KEYS, strict=True)
        if key.key != usual.key
    }


def reset_keys(user: User) -> None:
    user.judging_keys = {}


def read_key(text: str, label: str) -> str:
    """Returns a key as browsers name it: a character, in small letters, or one of the
    named keys.
    """
    text = text.strip()
    named = {name.casefold(): key for key, shown in NAMED_KEYS.items() for name in (key, shown)}
    if key := named.get(text.casefold()):
        return key
    if len(text) == 1 and text.isprintable():
        return text.lower()
    what = Sentence("“%(key)s” is not a key that can be used.", key=text)
    raise InvalidInput(
        Sentence(
            "“%(action)s”: %(what)s Give one character, or one of %(named)s. Tab, Space and Escape "
            "belong to the browser.",
            action=label,
            what=what if text else Sentence("It has no key."),
            named=", ".join(NAMED_KEYS),
        )
    )


def clashes(keys: Sequence[Key]) -> list[str]:
    """Returns a sentence for each key that would do two things."""
    by_key: dict[str, list[Key]] = {}
    for key in keys:
        by_key.setdefault(key.key, []).append(key)
    return [
        Sentence(
            "“%(key)s” is the key for %(actions)s.",
            key=same[0].shown,
            actions=reduce(_and, map(_quoted, same)),
        )
        for same in by_key.values()
        if len(same) > 1
    ]


def _quoted(key: Key) -> Sentence:
    return Sentence("“%(action)s”", action=key.label)


def _and(first: Sentence, second: Sentence) -> Sentence:
    return Sentence("%(first)s and %(second)s", first=first, second=second)
