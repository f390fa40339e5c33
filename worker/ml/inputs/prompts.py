"""The one place that makes prompt text.

Every prompt is a *context*, which the processor turns into tokens together with the image, and a
*continuation*, which follows it as plain tokens:

    plain model   context "<image>Q: {question} A:"   continuation " {answer}{opener}"
    chat model    context = the chat template up to the assistant's own words, which the
                  continuation begins (a prefilled assistant turn)

The same split serves training: what is learned follows the context as further tokens, so a model
is sampled from exactly the token sequences that it was trained on.
"""

from dataclasses import dataclass
from typing import Any

from worker.ml.inputs.templates import ASSISTANT, render_chat
from worker.ml.model.literal import BREAK, literal
from worker.ml.types import Prompt, TrainRow


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """Templates. `plain_context` may use {image} and {question}; `chat_question` {question}.
    `image` overrides the family's own mark for "here is the image"."""

    plain_context: str = "{image}Q: {question} A:"
    gap: str = " "  # between a plain context and the answer, and before every rationale
    chat_question: str = "{question}"
    image: str | None = None


@dataclass(frozen=True, slots=True)
class PromptText:
    """The whole prompt is context + continuation, with BREAK where people typed a mark of the
    model's (literal.py)."""

    context: str
    continuation: str

    @property
    def text(self) -> str:
        """The prompt as it reads."""
        return (self.context + self.continuation).replace(BREAK, "")


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around the model's own words for one question: `context` before them, `gap`
    between it and the first word, `end` after the last one ("" for plain models).

    The blank before the first word belongs to the word, not to the context: tokenizers join it to
    what follows, and a context that ends in a blank would be one that the model never saw.
    """

    context: str
    gap: str
    end: str


@dataclass(frozen=True, slots=True)
class TrainText:
    """A training row in pieces, in their order. Learned are `answer` and `rationale`, each up to
    the end token that `end` begins with; `opener` is context. rationale None: answer only."""

    context: str
    answer: str
    opener: str
    rationale: str | None
    end: str


DEFAULT_STYLE = PromptStyle()


def prompt_text(vlm: Any, prompt: Prompt, style: PromptStyle = DEFAULT_STYLE) -> PromptText:
    """The text of one prompt for this model. `vlm`: a loading.Vlm (only processor, tokenizer,
    is_chat and memo are used)."""
    frame = frame_of(vlm, prompt.question, style)
    if prompt.answer is None:
        return PromptText(frame.context, "")
    answer = literal(vlm, prompt.answer)
    opener = literal(vlm, prompt.opener, after=prompt.answer)
    return PromptText(frame.context, frame.gap + answer + opener)


def chat_words(prompt: Prompt, style: PromptStyle = DEFAULT_STYLE) -> tuple[str, str | None]:
    """(what the user asks beside the image, how the assistant's answer is begun for it or None).

    For engines that apply the chat template themselves: put into it, the words give the text that
    `prompt_text` gives for a chat model.
    """
    asked = style.chat_question.format(question=prompt.question)
    return asked, None if prompt.answer is None else prompt.answer + prompt.opener


def train_text(vlm: Any, row: TrainRow, style: PromptStyle = DEFAULT_STYLE) -> TrainText:
    """The pieces of a training row: exactly what prompt_text asks for, and what should follow.
    The blank before the rationale is learned with it, since tokenizers join it to the first word.
    """
    frame = frame_of(vlm, row.question, style)
    rationale = (row.rationale or "").strip()
    return TrainText(
        context=frame.context,
        answer=frame.gap + literal(vlm, row.answer),
        opener=literal(vlm, row.opener, after=row.answer),
        rationale=style.gap + literal(vlm, rationale) if rationale else None,
        end=frame.end,
    )


def frame_of(vlm: Any, question: str, style: PromptStyle = DEFAULT_STYLE) -> Frame:
    """The frame of a question. Raises ModelUnusableError for a chat template that has no place for
    the picture or for the assistant's words."""
    question = literal(vlm, question)
    if not vlm.is_chat:
        image = style.image if style.image is not None else image_mark(vlm.processor)
        context = style.plain_context.format(image=image, question=question)
        return Frame(context, style.gap, "")
    whole = render_chat(vlm, style.chat_question.format(question=question))
    before, _, end = whole.rpartition(ASSISTANT)
    context = before.rstrip(" ")
    return Frame(context, before[len(context) :], end)


def image_mark(processor: Any) -> str:
    """Returns the family's mark for an image in plain text; "" where the processor puts it in by
    itself: the families with a Q-Former, whose queries stand before every text."""
    mark = getattr(processor, "image_token", None)
    if mark is None or getattr(processor, "num_query_tokens", None) is not None:
        return ""
    return mark if isinstance(mark, str) else str(mark.content)
