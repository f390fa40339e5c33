"""Finding out what a server can do, by asking it: names and versions would tell less."""

import logging
from typing import Any

from worker.serving.chat import CONTINUE, Abilities, Json, Prompting, messages_of
from worker.serving.connection import Connection
from worker.serving.errors import Refused, ServerError, Unavailable
from worker.serving.pictures import blank_url

logger = logging.getLogger(__name__)

QUESTION = "What color is the picture?"
WORD = " gray"


async def find_abilities(connection: Connection, model: str) -> Abilities:
    """Finds out what a server can do by a dozen requests of one token on a grey picture. Raises
    ServerError where the server does not answer even the plainest of them.
    """
    prober = _Prober(connection, model)
    try:
        plain = await prober.ask()
    except (Refused, Unavailable) as error:
        raise ServerError(
            f"The sampling server {connection.server.url} does not answer a question on an image "
            f"with the model {model}: {error}. It must serve a vision-language model that has a "
            "chat template (docs/serving.md)."
        ) from error
    takes_top_k = await prober.takes(top_k=5)
    abilities = Abilities(
        prompting=await _find_prompting(prober, plain),
        takes_n=len((await prober.ask_or_empty(n=2)).get("choices", [])) == 2,
        takes_seed=await prober.takes(seed=1),
        takes_top_k=takes_top_k,
        takes_config=not takes_top_k
        and await prober.takes(generation_config='{"do_sample": true, "max_new_tokens": 1}'),
        gives_log_probabilities=_has_log_probabilities(await prober.ask_or_empty(logprobs=True)),
    )
    logger.info("sampling server %s, model %s: %s", connection.server.url, model, abilities)
    return abilities


class _Prober:
    def __init__(self, connection: Connection, model: str) -> None:
        self._connection = connection
        self._model = model
        self._picture = blank_url()

    async def ask(self, begun: str | None = None, **more: Any) -> Json:
        body = {
            "model": self._model,
            "messages": messages_of(self._picture, QUESTION, begun),
            "max_tokens": 1,
            "temperature": 1.0,
        }
        server = self._connection.server
        return await self._connection.post(f"{server.url}/chat/completions", body | more)

    async def ask_or_empty(self, begun: str | None = None, **more: Any) -> Json:
        """{} where the server refuses the request, or fails on it."""
        try:
            return await self.ask(begun, **more)
        except (Refused, Unavailable):
            return {}

    async def takes(self, **more: Any) -> bool:
        return bool(await self.ask_or_empty(**more))


async def _find_prompting(prober: _Prober, plain: Json) -> Prompting:
    """Finds how the server can be made to continue a sentence, by the length of its prompts.

    A turn that is left open adds to the prompt just the words that it begins with. A turn that is
    closed also adds its end and the beginning of the next one. That a server takes the fields for
    it says little, since many ignore the fields that they do not know.
    """
    if await _overhead(prober, plain, **CONTINUE) in (0, 1):
        return Prompting.CONTINUED
    if await _overhead(prober, plain) == 0:
        return Prompting.NATIVE
    return Prompting.TURN


async def _overhead(prober: _Prober, plain: Json, **more: Any) -> int | None:
    """Prompt tokens of a begun turn beyond its words; None where the server does not say."""
    lengths = [_prompt_tokens(plain)]
    for n_words in (1, 2, 3):
        lengths.append(_prompt_tokens(await prober.ask_or_empty(WORD * n_words, **more)))
        if lengths[-1] is None:
            return None
    nothing, one, two, three = lengths
    if nothing is None or one is None or two is None or three is None:
        return None
    return max(0, one - nothing - (three - two))


def _prompt_tokens(answer: Json) -> int | None:
    usage = answer.get("usage")
    found = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return found if isinstance(found, int) else None


def _has_log_probabilities(answer: Json) -> bool:
    choices = answer.get("choices") or [{}]
    found = choices[0].get("logprobs")
    return isinstance(found, dict) and bool(found.get("content"))
