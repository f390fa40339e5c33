"""Turns what pydantic finds wrong with a form into sentences that pages can translate."""

from collections.abc import Callable, Mapping
from typing import Any

from app.kit.sentences import Sentence

Context = Mapping[str, Any]


def problem_text(problem: Mapping[str, Any]) -> str:
    """Returns the text of one of `ValidationError.errors()`: pydantic's words, or our own from a
    validator.
    """
    context: Context = problem.get("ctx", {})
    sentence_of = _SENTENCES.get(problem["type"])
    return sentence_of(context) if sentence_of else f"{problem['msg']}."


def _either(expected: str) -> str:
    """`'a', 'b' or 'c'`, with the word between the last two to be translated too."""
    first, _, last = expected.rpartition(" or ")
    return Sentence("%(first)s or %(last)s", first=first, last=last) if first else last


def _limit(value: float) -> str:
    """Limits as pydantic writes them: `0`, not `0.0`."""
    return str(int(value)) if float(value).is_integer() else str(value)


_SENTENCES: Mapping[str, Callable[[Context], str]] = {
    "value_error": lambda context: context["error"].args[0],
    "literal_error": lambda context: Sentence(
        "Input should be %(expected)s.", expected=_either(context["expected"])
    ),
    "int_parsing": lambda _: Sentence(
        "Input should be a valid integer, unable to parse string as an integer."
    ),
    "int_parsing_size": lambda _: Sentence(
        "Unable to parse input string as an integer, exceeded maximum size."
    ),
    "int_from_float": lambda _: Sentence(
        "Input should be a valid integer, got a number with a fractional part."
    ),
    "float_parsing": lambda _: Sentence(
        "Input should be a valid number, unable to parse string as a number."
    ),
    "finite_number": lambda _: Sentence("Input should be a finite number."),
    "greater_than": lambda context: Sentence(
        "Input should be greater than %(n)s.", n=_limit(context["gt"])
    ),
    "greater_than_equal": lambda context: Sentence(
        "Input should be greater than or equal to %(n)s.", n=_limit(context["ge"])
    ),
    "less_than": lambda context: Sentence(
        "Input should be less than %(n)s.", n=_limit(context["lt"])
    ),
    "less_than_equal": lambda context: Sentence(
        "Input should be less than or equal to %(n)s.", n=_limit(context["le"])
    ),
    "string_too_long": lambda context: Sentence(
        "String should have at most %(n)s characters.", n=context["max_length"]
    ),
    "too_short": lambda context: Sentence(
        "Tuple should have at least %(n)s item after validation, not %(given)s.",
        n=context["min_length"],
        given=context["actual_length"],
    ),
    "too_long": lambda context: Sentence(
        "Tuple should have at most %(n)s items after validation, not %(given)s.",
        n=context["max_length"],
        given=context["actual_length"],
    ),
}
"""By pydantic's name of the problem; only the fields of our forms are meant."""
