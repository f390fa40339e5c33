"""The one place that makes prompt text.

Every prompt is a *context*, which the processor turns into tokens together with the image, and a
*continuation*, which follows it as plain tokens:

    plain model   context "<image>Q: {question} A:"   continuation " {answer}{opener}"
    chat model    context = the chat template up to the assistant's own words, which the
                  continuation begins (a prefilled assistant turn)

The same split serves training: what is learned follows the context as further tokens, so a model
is sampled from exactly the token sequences that it was trained on.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from worker.ml.inputs.templates import ASSISTANT, TurnWords, read_turns, render_chat
from worker.ml.model.literal import BREAK, literal, token_ids
from worker.ml.model.modules.placing import find_row
from worker.ml.types import ANSWER, ASKER, RATIONALE, Example, Part, Prompt, Turn


@dataclass(frozen=True, slots=True)
class PromptStyle:
    """Templates. `plain_context` may use {image} and {question}; `chat_question` {question}.
    `image` overrides the family's own mark for "here is the image". asker: what a model reads that
    is to ask, where its adapter has no row for that."""

    plain_context: str = "{image}Q: {question} A:"
    gap: str = " "  # between a plain context and the answer, and before every rationale
    chat_question: str = "{question}"
    image: str | None = None
    asker: str = "you ask:"


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
    """An example as it is written: the context, the parts after it with their losses, and `end`,
    whose first token ends each part that is learned."""

    context: str
    parts: tuple[Part, ...]
    end: str

    @property
    def text(self) -> str:
        """The whole as it reads."""
        words = "".join(part.text for part in self.parts)
        return (self.context + words + self.end).replace(BREAK, "")


DEFAULT_STYLE = PromptStyle()


def prompt_text(vlm: Any, prompt: Prompt, style: PromptStyle = DEFAULT_STYLE) -> PromptText:
    """Returns the text of one prompt for this model. `vlm`: a loading.Vlm (only processor,
    tokenizer, is_chat and memo are used).
    """
    frame = _frame(vlm, prompt, style)
    if prompt.answer is None:
        return PromptText(frame.context, "")
    return PromptText(
        frame.context, frame.gap + "".join(_literal_texts(vlm, (prompt.answer, prompt.opener)))
    )


def chat_words(prompt: Prompt, style: PromptStyle = DEFAULT_STYLE) -> tuple[str, str | None]:
    """Returns (what the user asks beside the image, how the assistant's answer is begun for it or
    None).

    For engines that apply the chat template themselves: put into it, the words give the text that
    `prompt_text` gives for a chat model.
    """
    asked = style.chat_question.format(question=prompt.question)
    return asked, None if prompt.answer is None else prompt.answer + prompt.opener


def explained(
    image: Path | None,
    question: str,
    answer: str,
    rationale: str | None,
    opener: str,
    *,
    weight: float = 1.0,
    style: PromptStyle = DEFAULT_STYLE,
) -> Example:
    """Returns ILLUME's example of an answered question: the answer is learned and, unless
    `rationale` is None or blank, the rationale after the opener. It reads as prompt_text asks for
    it; the blank before the rationale is learned with it, since tokenizers join it to the word."""
    parts = [Part(answer, ANSWER)]
    if rationale := (rationale or "").strip():
        parts += [Part(opener, None), Part(style.gap + rationale, RATIONALE)]
    return Example(image, question, tuple(parts), weight)


def train_text(vlm: Any, example: Example, style: PromptStyle = DEFAULT_STYLE) -> TrainText:
    """Returns the pieces of an example as they are written for this model, in their order."""
    frame = _frame(vlm, example, style)
    return TrainText(frame.context, _written(vlm, frame, example.parts, style), frame.end)


def said_tokens(vlm: Any, prompt: Prompt, style: PromptStyle = DEFAULT_STYLE) -> tuple[int, ...]:
    """Returns the tokens of what a prompt says was said, which follow its context. The same parts
    give the same tokens in an example that learns them (losses.cut_pieces)."""
    frame = _frame(vlm, prompt, style)
    parts = _written(vlm, frame, prompt.said, style)
    return tuple(token for part in parts for token in apart_ids(vlm.tokenizer, part))


def apart_ids(tokenizer: Any, part: Part) -> tuple[int, ...]:
    """Returns the tokens of a part that stands apart: those that were sampled, or those of its
    text in the middle of any other."""
    return part.tokens if part.tokens is not None else _apart(tokenizer, part.text)


def _frame(vlm: Any, asked: Prompt | Example, style: PromptStyle) -> Frame:
    return frame_of(
        vlm,
        asked.question,
        style,
        sees=asked.image is not None,
        instruction=asked.instruction,
    )


def _written(vlm: Any, frame: Frame, parts: Sequence[Part], style: PromptStyle) -> tuple[Part, ...]:
    """The parts with their texts as they are written for this model."""
    texts = _literal_texts(vlm, [part.text for part in parts])
    made: list[Part] = []
    gap = frame.gap
    for text, part in zip(texts, parts, strict=True):
        if part.turn is None:
            made.append(replace(part, text=gap + text))
            gap = ""
            continue
        words, tokens = _turn_words(vlm, part.turn, gap, style)
        made.append(replace(part, text=words.words, turn=None, tokens=tokens, is_apart=True))
        gap = words.gap
    return tuple(made)


def _turn_words(
    vlm: Any, turn: Turn, gap: str, style: PromptStyle
) -> tuple[TurnWords, tuple[int, ...]]:
    """What stands where a turn begins, in words and in tokens; `gap` is the blank that was left to
    what comes next. The role in which a model asks is the row that its adapter has for it, or
    words."""
    if turn == ASKER:
        row = find_row(vlm.model, ASKER) if hasattr(vlm, "model") else None
        if row is not None:  # nothing is said in it yet: the blank is that of what is said next
            return TurnWords("", gap), (row,)
        words = TurnWords(gap + style.asker, style.gap)
    elif vlm.is_chat:
        words = read_turns(vlm)[turn]
    else:
        mark = style.plain_context.format(image="", question=BREAK)
        before, _, after = mark.partition(BREAK)
        words = TurnWords.of(style.gap + before if turn == "user" else after + style.gap)
    return words, _apart(vlm.tokenizer, words.words)


def _apart(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(token_ids(tokenizer, BREAK + text))


def _literal_texts(vlm: Any, texts: Sequence[str]) -> list[str]:
    """Returns texts of people that follow each other, without a mark of the model's in or between
    them (literal.py)."""
    made, before = [], ""
    for text in texts:
        word = text.lstrip(" ")
        blank = text[: len(text) - len(word)]
        made.append(blank + literal(vlm, word, after="" if blank else before))
        before = text
    return made


def frame_of(
    vlm: Any,
    question: str,
    style: PromptStyle = DEFAULT_STYLE,
    *,
    sees: bool = True,
    instruction: str = "",
) -> Frame:
    """Returns the frame of a question, with a place for its picture unless `sees` is false.

    Raises ModelUnusableError for a chat template that has no place for the picture or for the
    assistant's words."""
    question = literal(vlm, question)
    if not vlm.is_chat:
        image = style.image if style.image is not None else image_mark(vlm.processor)
        context = style.plain_context.format(image=image if sees else "", question=question)
        return Frame(context, style.gap, "")
    words = style.chat_question.format(question=question)
    whole = render_chat(vlm, f"{instruction}\n\n{words}" if instruction else words, sees=sees)
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
