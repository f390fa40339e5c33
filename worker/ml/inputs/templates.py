"""Chat templates: found fit for a picture, a question and a begun answer once per model, with a
sentence that says what is wrong where they are not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from worker.ml.errors import ModelUnusableError, PromptError, first_line

# Stands for the assistant's text while a template is taken apart: a noncharacter, so that nobody's
# text holds it.
ASSISTANT = "\ufdd1"
_USER = "\ufdd2"  # stands for the user's text of a later turn
_ONE_TURN = "The model's chat template takes no second question behind its first answer."
_PICTURE = {"type": "image"}
_FAILURES = (TemplateError, TypeError, ValueError, LookupError, AttributeError)
_NEEDED = "It must take a user turn with an image and a text, and an assistant turn."
_NO_PICTURES = (
    "The model's chat template takes no pictures. Give its folder a chat_template.jinja with a "
    "place for them, or remove the template, to ask the model with plain prompts."
)

Turns = list[dict[str, Any]]
Form = Callable[[str], Any]  # how the content of the assistant's turn is given


def _as_parts(said: str) -> Any:
    return [{"type": "text", "text": said}]


def _as_words(said: str) -> Any:
    return said


def render_chat(vlm: Any, question: str, *, sees: bool = True) -> str:
    """Returns the template's text with the picture's mark (unless `sees` is false), the question,
    and ASSISTANT as the assistant's words. `vlm`: a loading.Vlm.

    Raises ModelUnusableError for a template that cannot serve, PromptError where it fails with this
    question.
    """
    if "template_form" not in vlm.memo:
        vlm.memo["template_form"] = _find_form(vlm)
    try:
        asked = [*([_PICTURE] if sees else []), *_as_parts(question)]
        return _apply(vlm, asked, vlm.memo["template_form"])
    except _FAILURES as error:
        raise PromptError(
            f"The model's chat template fails with the item's question: {first_line(error)}"
        ) from error


@dataclass(frozen=True, slots=True)
class TurnWords:
    """What a model reads where somebody's turn begins behind other turns: the words, and the blank
    between them and the first word that is said."""

    words: str
    gap: str

    @classmethod
    def of(cls, whole: str) -> "TurnWords":
        """Returns the words apart from the blanks behind them."""
        words = whole.rstrip(" ")
        return cls(words, whole[len(words) :])


def read_turns(vlm: Any) -> Mapping[str, TurnWords]:
    """Returns how the template begins the user's turn and the assistant's behind the first two.

    Raises ModelUnusableError for a template that takes no more than two turns."""
    known: Mapping[str, TurnWords] | None = vlm.memo.get("turns")
    if known is None:
        if "template_form" not in vlm.memo:
            vlm.memo["template_form"] = _find_form(vlm)
        known = vlm.memo["turns"] = _find_turns(vlm, vlm.memo["template_form"])
    return known


def _find_turns(vlm: Any, form: Form) -> Mapping[str, TurnWords]:
    said = {"role": "assistant", "content": form(ASSISTANT)}
    first = {"role": "user", "content": [_PICTURE, *_as_parts("Is it red?")]}
    try:
        whole: str = vlm.processor.apply_chat_template(
            [first, said, {"role": "user", "content": _as_parts(_USER)}, said]
        )
    except _FAILURES as error:
        raise ModelUnusableError(f"{_ONE_TURN} It fails: {first_line(error)}") from error
    _, _, after = whole.partition(ASSISTANT)
    user, found, after = after.partition(_USER)
    assistant, also_found, _ = after.partition(ASSISTANT)
    if not found or not also_found:
        raise ModelUnusableError(f"{_ONE_TURN} It leaves out what follows.")
    return {"user": TurnWords.of(user), "assistant": TurnWords.of(assistant)}


def _find_form(vlm: Any) -> Form:
    """The form of assistant's words that the template takes: parts, or plain words."""
    asked = _as_parts("Is it red?")
    failure: Exception | None = None
    for form in (_as_parts, _as_words):
        try:
            whole = _apply(vlm, [_PICTURE, *asked], form)
        except _FAILURES as error:
            failure = failure or error
            continue
        # Some print what they do not understand.
        if "'type'" in whole or whole == _apply_or_fail(vlm, asked, form):
            raise ModelUnusableError(_NO_PICTURES)
        if ASSISTANT in whole:
            return form
    if failure is None:
        raise ModelUnusableError(
            "The model's chat template leaves out the assistant's words. Use a model whose "
            "template takes a user turn with an image and an assistant turn."
        )
    if _apply_or_fail(vlm, "Is it red?", _as_words):
        raise ModelUnusableError(_NO_PICTURES) from failure
    raise ModelUnusableError(
        f"The model's chat template fails: {first_line(failure)} {_NEEDED}"
    ) from failure


def _apply(vlm: Any, asked: Any, form: Form) -> str:
    turns: Turns = [
        {"role": "user", "content": asked},
        {"role": "assistant", "content": form(ASSISTANT)},
    ]
    whole: str = vlm.processor.apply_chat_template(turns)
    return whole


def _apply_or_fail(vlm: Any, asked: Any, form: Form) -> str | None:
    """None where the template fails."""
    try:
        return _apply(vlm, asked, form)
    except _FAILURES:
        return None
