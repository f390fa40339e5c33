"""People's texts as text: nothing that they type becomes one of the model's control tokens.

A tokenizer takes "<|im_end|>" for one token wherever it stands, and processors look for "<image>"
in the whole prompt. So every text that did not come from a template is *broken* inside such a mark:
BREAK stands behind the mark's first character. A processor then finds no mark there, and the
tokenizer is given what is left and right of a BREAK one after the other, so that no token spans it:
the model reads the characters. Texts without a mark stay as they are, to the token.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from transformers import BatchEncoding, PreTrainedTokenizerBase

BREAK = "\ufdd0"
"""A noncharacter: Unicode keeps it for use within a program, so that no text has it."""
JOINER = "\u2060"
"""The word joiner, which nobody sees: breaks a mark where only text can be handed over."""

_BRACKETS = {"<": ">", "[": "]", "{": "}"}
_ANCHORS = ("\n", ".", "a")


@dataclass(frozen=True, eq=False)
class Marks:
    """The texts that a model's tokenizers or its processor do not read as text."""

    tokenizers: tuple[Any, ...]
    named: tuple[str, ...] = ()
    """Further marks, which the processor looks for in the prompt."""

    @classmethod
    def of(cls, processor: Any) -> "Marks":
        """Returns the marks of a processor: those of its tokenizers (a Q-Former has its own), and
        those that it has by name, such as `image_token`."""
        parts = [getattr(processor, name, None) for name in processor.get_attributes()]
        tokenizers = [part for part in parts if isinstance(part, PreTrainedTokenizerBase)]
        named = [
            value
            for name, value in vars(processor).items()
            if name.endswith("token") and isinstance(value, str) and _is_in_brackets(value)
        ]
        return cls(tuple(tokenizers), tuple(named))

    @cached_property
    def texts(self) -> frozenset[str]:
        """The marks as they are written. One of a single character could not be broken."""
        of_tokenizers = {
            mark for tokenizer in self.tokenizers for mark in _control_tokens(tokenizer)
        }
        return frozenset(mark for mark in of_tokenizers | set(self.named) if len(mark) > 1)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        """Finds marks, the longest first where one begins with another."""
        longest_first = sorted(self.texts, key=lambda mark: (-len(mark), mark))
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    @cached_property
    def _ids(self) -> tuple[frozenset[int], ...]:
        """The control tokens of each tokenizer, by number."""
        return tuple(
            frozenset(
                tokenizer.convert_tokens_to_ids(token) for token in _control_tokens(tokenizer)
            )
            - {tokenizer.unk_token_id, None}
            for tokenizer in self.tokenizers
        )

    def broken(self, text: str, *, after: str = "", by: str = BREAK) -> str:
        """Returns the text with its marks broken, so that it reads the same and holds none.

        after: another text of people that it directly follows; a mark that begins there and ends
        here is broken between the two. by: what is put into a mark.
        """
        whole = text.replace(BREAK, "")
        places = {found + 1 for found, _ in self._find_all(whole)}
        places |= self._read_as_control(_cut(whole, places))
        made = by.join(_cut(whole, places))
        longest = max(map(len, self.texts), default=0)
        tail = after.replace(BREAK, "")[-longest:] if longest else ""
        spans = any(start < len(tail) < end for start, end in self._find_all(tail + whole))
        return by + made if spans else made

    def _find_all(self, text: str) -> Iterator[tuple[int, int]]:
        """Returns where marks begin and end, also those within another one."""
        found = self._pattern.search(text)
        while found:
            yield found.span()
            found = self._pattern.search(text, found.start() + 1)

    def _read_as_control(self, parts: Sequence[str]) -> set[int]:
        """Where to break parts in which a tokenizer still finds a control token, of letters that it
        takes for others, say: rare enough to be read letter by letter."""
        places: set[int] = set()
        for tokenizer, control in zip(self.tokenizers, self._ids, strict=True):
            start = 0
            for part in parts:
                if control.intersection(_plain(tokenizer, part)):
                    places.update(range(start + 1, start + len(part)))
                start += len(part)
        return places


NO_MARKS = Marks(())


def _cut(text: str, places: set[int]) -> list[str]:
    bounds = [0, *sorted(places), len(text)]
    return [text[start:end] for start, end in pairwise(bounds)]


def _control_tokens(tokenizer: Any) -> set[str]:
    """The added tokens that are no words: special ones, and others in brackets (`<loc0001>`)."""
    added = tokenizer.added_tokens_decoder.values()
    control = {token.content for token in added if token.special or _is_in_brackets(token.content)}
    return control | set(tokenizer.all_special_tokens)


def _is_in_brackets(text: str) -> bool:
    return len(text) > 1 and _BRACKETS.get(text[0]) == text[-1]


def literal(vlm: Any, text: str, *, after: str = "") -> str:
    """Returns a text of people for a prompt of this model: see Marks.broken.

    vlm: a loading.Vlm."""
    if "marks" not in vlm.memo:
        vlm.memo["marks"] = Marks.of(vlm.processor)
    marks: Marks = vlm.memo["marks"]
    return marks.broken(text, after=after)


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Returns the tokens of a text, without those that begin and end a sequence; none spans a
    BREAK, which is no token itself."""
    first, *others = text.split(BREAK)
    ids = _plain(tokenizer, first)
    for part in others:
        ids += _within(tokenizer, part)
    return ids


def _plain(tokenizer: Any, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []


def _within(tokenizer: Any, part: str) -> list[int]:
    """The tokens of a text from the middle of another."""
    anchor = _anchor_of(tokenizer, part)
    return _plain(tokenizer, anchor + part)[len(_plain(tokenizer, anchor)) :]


def _anchor_of(tokenizer: Any, part: str) -> str:
    """A text to put in front, for a tokenizer that puts a blank in front of everything; one that
    the part does not join to other tokens."""
    for anchor in _ANCHORS:
        before = _plain(tokenizer, anchor)
        if _plain(tokenizer, anchor + part)[: len(before)] == before:
            return anchor
    return ""


@contextmanager
def reading_breaks(processor: Any, text: str) -> Iterator[None]:
    """Lets the processor's tokenizers understand BREAK within the block, if the text holds one."""
    own = {
        name: part
        for name in processor.get_attributes()
        if isinstance(part := getattr(processor, name, None), PreTrainedTokenizerBase)
    }
    if BREAK not in text:
        own = {}
    for name, tokenizer in own.items():
        setattr(processor, name, _Breaking(tokenizer))
    try:
        yield
    finally:
        for name, tokenizer in own.items():
            setattr(processor, name, tokenizer)


class _Breaking:
    """A tokenizer that understands BREAK, as far as processors use one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, text: str | list[str], *others: Any, **options: Any) -> Any:
        texts = [text] if isinstance(text, str) else list(text)
        if not any(BREAK in one for one in texts):
            return self._tokenizer(text, *others, **options)
        before, after = _around(self._tokenizer, options)
        rows = [[*before, *token_ids(self._tokenizer, one), *after] for one in texts]
        made = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
        names = self._tokenizer.model_input_names
        if options.get("return_token_type_ids", "token_type_ids" in names):
            made["token_type_ids"] = [[0] * len(row) for row in rows]
        kind = options.get("return_tensors")
        if isinstance(text, str) and kind is None:
            return BatchEncoding({name: values[0] for name, values in made.items()})
        return _Encoded(made, kind, self._tokenizer, texts, len(before))

    def encode(self, text: str, **options: Any) -> list[int]:
        ids: list[int] = self(text, **options)["input_ids"]
        return ids


class _Encoded(BatchEncoding):
    """A tokenizer's result, with the one method of it that a processor calls (Idefics 3)."""

    def __init__(
        self,
        made: dict[str, Any],
        kind: str | None,
        tokenizer: Any,
        texts: Sequence[str],
        n_before: int,
    ) -> None:
        super().__init__(made, tensor_type=kind)
        self._tokenizer, self._texts, self._n_before = tokenizer, texts, n_before

    def char_to_token(  # type: ignore[override]  # as the other tokenizers do
        self, batch_or_char_index: int, char_index: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Returns the place of the token that a character of a text went into."""
        del sequence_index
        row, char = (
            (0, batch_or_char_index) if char_index is None else (batch_or_char_index, char_index)
        )
        for place, (start, end) in enumerate(_spans(self._tokenizer, self._texts[row])):
            if start <= char < end:
                return self._n_before + place
        return None


def _spans(tokenizer: Any, text: str) -> list[tuple[int, int]]:
    """Returns where each token of `token_ids` begins and ends in the text."""
    spans: list[tuple[int, int]] = []
    at = 0
    for number, part in enumerate(text.split(BREAK)):
        anchor = _anchor_of(tokenizer, part) if number else ""
        made = tokenizer(anchor + part, add_special_tokens=False, return_offsets_mapping=True)
        own = made["offset_mapping"][len(_plain(tokenizer, anchor)) :]
        spans += [(at + start - len(anchor), at + end - len(anchor)) for start, end in own]
        at += len(part) + len(BREAK)
    return spans


def _around(tokenizer: Any, options: dict[str, Any]) -> tuple[list[int], list[int]]:
    """The tokens that begin and end a sequence."""
    if not options.get("add_special_tokens", True):
        return [], []
    alone = _plain(tokenizer, "a")
    whole = list(tokenizer("a")["input_ids"])
    for start in range(len(whole) - len(alone) + 1):
        if whole[start : start + len(alone)] == alone:
            return whole[:start], whole[start + len(alone) :]
    return [], []
