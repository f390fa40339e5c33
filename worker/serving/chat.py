"""Writes requests to a sampling server and reads its answers; no network.

Rationales continue the answer's sentence. How that is said depends on the server:

    continued  the assistant's turn is begun and the server is told to go on with it
    native     the same without being told: the model's own chat template leaves the last turn open
    turn       the begun sentence ends the user's turn; a beginning that is said again is cut off
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from worker.ml.inputs.prompts import chat_words
from worker.ml.types import Prompt

Json = dict[str, Any]


class Prompting(StrEnum):
    CONTINUED = "continued"
    NATIVE = "native"
    TURN = "turn"


CONTINUE = {"continue_final_message": True, "add_generation_prompt": False}


@dataclass(frozen=True)
class Abilities:
    """Abilities found in a server. takes_top_k: as a field of the request; takes_config: as
    transformers' own server does, within a whole generation configuration."""

    prompting: Prompting
    takes_n: bool
    takes_seed: bool
    takes_top_k: bool
    takes_config: bool
    gives_log_probabilities: bool


@dataclass(frozen=True)
class Wish:
    """One request: n texts for a prompt. seed: 31 bits. top_k: tokens; None leaves all possible."""

    prompt: Prompt
    picture: str
    temperature: float
    max_new_tokens: int
    top_k: int | None
    seed: int
    n: int


@dataclass(frozen=True)
class Said:
    """One text of an answer, as Sampled has it."""

    text: str
    n_tokens: int | None
    log_probability: float | None
    is_cut: bool | None


def messages_of(picture: str, question: str, begun: str | None) -> list[Json]:
    """Returns the conversation; begun: the assistant's turn so far."""
    parts = [
        {"type": "image_url", "image_url": {"url": picture}},
        {"type": "text", "text": question},
    ]
    asked: Json = {"role": "user", "content": parts}
    return [asked] if begun is None else [asked, {"role": "assistant", "content": begun}]


def body_of(wish: Wish, model: str, abilities: Abilities) -> Json:
    """Returns the request's JSON, with only what the server takes."""
    question, begun = chat_words(wish.prompt)
    body: Json = {
        "model": model,
        "max_tokens": wish.max_new_tokens,
        "temperature": wish.temperature,
    }
    if begun is not None and abilities.prompting is Prompting.TURN:
        question, begun = f"{question}\n{begun}", None
    body["messages"] = messages_of(wish.picture, question, begun)
    if begun is not None and abilities.prompting is Prompting.CONTINUED:
        body |= CONTINUE
    if wish.n > 1:
        body["n"] = wish.n
    if abilities.takes_seed:
        body["seed"] = wish.seed
    if abilities.takes_top_k and wish.top_k is not None:
        body["top_k"] = wish.top_k
    if abilities.takes_config:
        body["generation_config"] = _configuration(wish)
    if abilities.gives_log_probabilities:
        body["logprobs"] = True
    return body


def _configuration(wish: Wish) -> str:
    """transformers' server samples as the checkpoint says, often greedily, unless told here."""
    settings: Json = {
        "do_sample": True,
        "temperature": wish.temperature,
        "max_new_tokens": wish.max_new_tokens,
    }
    # 0 turns its default of 50 off.
    return json.dumps(settings | {"top_k": wish.top_k or 0})


def texts_of(answer: Json, wish: Wish, abilities: Abilities) -> list[Said]:
    """Returns the texts of an answer, at most as many as were asked for. Raises ValueError where it
    does not look like an answer at all.
    """
    choices = answer.get("choices")
    if not isinstance(choices, list):
        raise ValueError("an answer without choices")
    usage = answer.get("usage")
    total = usage.get("completion_tokens") if isinstance(usage, dict) else None
    made = []
    for choice in choices[: wish.n]:
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(message, dict):
            raise ValueError("a choice without a message")
        content = message.get("content")
        text = content if isinstance(content, str) else ""
        if abilities.prompting is Prompting.TURN:
            text = without_echo(text, wish.prompt)
        tokens = _token_log_probabilities(choice)
        # The usage counts all choices together, so it tells the length of one alone only.
        n_tokens = len(tokens) if tokens else total if len(choices) == 1 else None
        made.append(
            Said(
                text=" ".join(text.split()),
                n_tokens=n_tokens if isinstance(n_tokens, int) else None,
                log_probability=math.fsum(tokens) if tokens else None,
                is_cut=_is_cut(choice),
            )
        )
    return made


def _is_cut(choice: Mapping[str, Any]) -> bool | None:
    """Returns whether a choice ended at the limit of tokens; None where the server does not say."""
    match choice.get("finish_reason"):
        case "length":
            return True
        case "stop":
            return False
    return None


def _token_log_probabilities(choice: Mapping[str, Any]) -> list[float] | None:
    """ln p of each token of a choice; None where the server does not say, or not of all."""
    found = choice.get("logprobs")
    content = found.get("content") if isinstance(found, dict) else None
    if not isinstance(content, list):
        return None
    values = [entry.get("logprob") if isinstance(entry, dict) else None for entry in content]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    is_whole = len(numbers) == len(values) and all(map(math.isfinite, numbers))
    return numbers if is_whole and numbers else None


def without_echo(text: str, prompt: Prompt) -> str:
    """Returns the text without the begun sentence where the model says it again, whole
    or in part.
    """
    said = text.lstrip()
    for begun in _beginnings(prompt):
        if begun and said.casefold().startswith(begun.casefold()):
            return said[len(begun) :].lstrip(" ,:")
    return said


def _beginnings(prompt: Prompt) -> Sequence[str]:
    """Longest first."""
    if prompt.answer is None:
        return ()
    opener = prompt.opener.strip()
    return (prompt.answer.strip() + prompt.opener.rstrip(), opener, opener.lstrip(" ,;:"))
