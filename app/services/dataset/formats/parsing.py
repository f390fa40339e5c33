"""One JSON text to its value, without what JSON does not have."""

import json
from typing import Any, NoReturn

from app.kit.sentences import Sentence


def parse_json(text: str) -> Any:
    """Returns the value of a JSON text. Refuses NaN and keys that stand twice. Raises ValueError,
    also for absurd nesting.
    """
    try:
        return json.loads(
            text, parse_constant=refuse_constant, object_pairs_hook=refuse_double_keys
        )
    except json.JSONDecodeError as error:
        raise ValueError(
            Sentence("%(error)s at character %(n)s", error=error.msg, n=error.pos + 1)
        ) from error
    except RecursionError as error:
        raise ValueError(Sentence("nested too deep")) from error


def refuse_constant(name: str) -> NoReturn:
    """Raises ValueError for NaN and the infinities, which are no JSON."""
    raise ValueError(Sentence("%(value)s is not a JSON value", value=name))


def refuse_double_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Returns the object of these pairs. Raises ValueError where a key stands twice."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        double = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(Sentence("the key %(key)s is there twice", key=repr(double)))
    return values
