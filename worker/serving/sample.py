"""Drawing from a server: many requests at once, in any order, each draw in its place."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from worker.ml.errors import ImageError, Stopped
from worker.ml.model.literal import JOINER, NO_MARKS, Marks
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled
from worker.serving.chat import Abilities, Wish, body_of, texts_of
from worker.serving.connection import Connection, Server
from worker.serving.errors import Refused, ServerError, Unavailable
from worker.serving.pictures import data_url
from worker.serving.probe import find_abilities
from worker.serving.served_models import find_model

logger = logging.getLogger(__name__)

MAX_TEXTS = 32
"""Texts asked for in one request."""
MAX_EMPTY = 3
"""Answers in a row that bring nothing new, before what is missing is given up."""
MAX_PROMPTS_IN_TROUBLE = 8
"""Prompts in a row without an answer after which the server, not the prompts, is at fault."""
SEED_MASK = 2**31 - 1  # what every server takes for a seed
WATCH_SECONDS = 0.2


@dataclass(frozen=True)
class Served:
    """A model on a server, with what the server was found to do."""

    server: Server
    model: str
    abilities: Abilities


def connect(server: Server, wanted: str | None, adapter: tuple[str, Path] | None) -> Served:
    """Find the model, load the round's adapter, and find out what the server can do.

    Raises ServerError with the mend where it cannot be used.
    """

    async def find() -> Served:
        async with Connection(server) as connection:
            model = await find_model(connection, wanted, adapter)
            return Served(server, model, await find_abilities(connection, model))

    return asyncio.run(find())


def sample_served(
    served: Served,
    draws: Sequence[Draw],
    config: SampleConfig,
    *,
    vocabulary: int,
    marks: Marks = NO_MARKS,
    should_stop: Callable[[], bool] | None = None,
) -> list[Sampled | Failed]:
    """Returns one text per draw, in the order of `draws`, or why there is none.

    vocabulary: tokens that config.top_k_share is a share of. marks: the model's control tokens;
    where people typed one, a character that nobody sees is put into it, since a server would read
    it as one. Draws that differ in nothing but the seed share a request where the server gives
    several texts at once; such a request carries the seed of its first draw. Texts are not
    reproducible: a server batches as its load has it.

    Raises ServerError where the server cannot be used, Stopped soon after should_stop says so.
    """
    if any(draw.prompt.image is None or draw.prompt.said for draw in draws):
        raise ServerError(
            "A server is asked with a picture and a question, not to go on from tokens. Let the "
            "workers sample this strategy themselves."
        )
    top_k = ceil(config.top_k_share * vocabulary) if config.top_k_share < 1 else None
    safe = [replace(draw, prompt=_without_marks(draw.prompt, marks)) for draw in draws]
    sampler = _Sampler(served, safe, config.max_new_tokens, top_k)
    return asyncio.run(_watched(sampler.run, should_stop))


def _without_marks(prompt: Prompt, marks: Marks) -> Prompt:
    answer = prompt.answer
    return replace(
        prompt,
        question=marks.broken(prompt.question, by=JOINER),
        answer=None if answer is None else marks.broken(answer, by=JOINER),
        opener=marks.broken(prompt.opener, after=answer or "", by=JOINER),
    )


async def _watched(
    run: Callable[[], Coroutine[None, None, list[Sampled | Failed]]],
    should_stop: Callable[[], bool] | None,
) -> list[Sampled | Failed]:
    """Requests in flight are dropped as soon as the work is no longer wanted."""
    work = asyncio.create_task(run())
    try:
        while not work.done():
            await asyncio.wait({work}, timeout=WATCH_SECONDS)
            if should_stop is not None and not work.done() and should_stop():
                raise Stopped
        return work.result()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


class _Sampler:
    """The draws of one call. Trouble with one prompt is written down and the others go on."""

    def __init__(
        self, served: Served, draws: Sequence[Draw], max_new_tokens: int, top_k: int | None
    ) -> None:
        self._served = served
        self._draws = draws
        self._max_new_tokens = max_new_tokens
        self._top_k = top_k
        self._made: list[Sampled | Failed | None] = [None] * len(draws)
        self._failed: dict[Prompt, Failed] = {}
        self._in_trouble: set[Prompt] = set()
        # Pictures are large: no more prompts at once than requests.
        self._prompts = asyncio.Semaphore(served.server.n_requests)

    async def run(self) -> list[Sampled | Failed]:
        groups: dict[Prompt, dict[float, list[int]]] = {}
        for index, draw in enumerate(self._draws):
            groups.setdefault(draw.prompt, {}).setdefault(draw.temperature, []).append(index)
        try:
            async with Connection(self._served.server) as connection, asyncio.TaskGroup() as tasks:
                for prompt, by_temperature in groups.items():
                    tasks.create_task(self._do_prompt(connection, prompt, by_temperature))
        except ExceptionGroup as group:
            raise _first(group) from None
        return [made for made in self._made if made is not None]

    async def _do_prompt(
        self, connection: Connection, prompt: Prompt, by_temperature: dict[float, list[int]]
    ) -> None:
        async with self._prompts:
            assert prompt.image is not None  # noqa: S101 - sample_served takes no other
            try:
                picture = await asyncio.to_thread(data_url, prompt.image)
            except ImageError as error:
                self._give_up(prompt, Failed(error.message, cause="image"))
            else:
                # One by one where the server makes one text per request, else one per temperature.
                blocks = [
                    block
                    for indices in by_temperature.values()
                    for block in (
                        [indices] if self._served.abilities.takes_n else [[i] for i in indices]
                    )
                ]
                async with asyncio.TaskGroup() as tasks:
                    for block in blocks:
                        tasks.create_task(self._do_block(connection, prompt, picture, block))
            for index in (i for indices in by_temperature.values() for i in indices):
                if self._made[index] is None:
                    self._made[index] = self._failed[prompt]

    async def _do_block(
        self, connection: Connection, prompt: Prompt, picture: str, indices: Sequence[int]
    ) -> None:
        """Draws that differ in their seeds only; what an answer lacks is asked for again."""
        missing = list(indices)
        n_empty = 0
        while missing and prompt not in self._failed:
            first = self._draws[missing[0]]
            wish = Wish(
                prompt=prompt,
                picture=picture,
                temperature=first.temperature,
                max_new_tokens=self._max_new_tokens,
                top_k=self._top_k,
                seed=first.seed & SEED_MASK,
                n=min(len(missing), MAX_TEXTS),
            )
            try:
                n_made = await self._ask(connection, wish, missing)
            except Refused as refusal:
                reason = f"The sampling server refuses it: {refusal}"
                self._give_up(prompt, Failed(reason, cause="prompt"))
                return
            except Unavailable as trouble:
                self._note_trouble(prompt, trouble)
                return
            self._in_trouble.clear()
            n_empty = 0 if n_made else n_empty + 1
            missing = missing[n_made:]
            if n_empty >= MAX_EMPTY:
                reason = f"The sampling server brought {n_empty} answers without a text."
                self._give_up(prompt, Failed(reason, cause="server"))

    async def _ask(self, connection: Connection, wish: Wish, indices: Sequence[int]) -> int:
        """Send one request and put its texts in place; how many there were."""
        served = self._served
        body = body_of(wish, served.model, served.abilities)
        answer = await connection.post(f"{served.server.url}/chat/completions", body)
        try:
            texts = texts_of(answer, wish, served.abilities)
        except ValueError as error:
            logger.warning("the sampling server sent %s", error)
            return 0
        for position, (index, said) in enumerate(zip(indices, texts, strict=False)):
            self._made[index] = Sampled(
                text=said.text,
                n_tokens=said.n_tokens,
                log_probability=said.log_probability,
                is_cut=said.is_cut,
                trace={
                    "backend": "server",
                    "model": served.model,
                    "prompting": served.abilities.prompting.value,
                    "seed": wish.seed if served.abilities.takes_seed else None,
                    "position": position,
                    "top_k": wish.top_k if _limits(served.abilities) else None,
                    "max_tokens": wish.max_new_tokens,
                },
            )
        return len(texts)

    def _note_trouble(self, prompt: Prompt, trouble: Unavailable) -> None:
        """Remember a prompt that got no answer. Raises ServerError when it is one of many."""
        self._in_trouble.add(prompt)
        if len(self._in_trouble) >= MAX_PROMPTS_IN_TROUBLE:
            raise ServerError(
                f"The sampling server {self._served.server.url} gave no answer to "
                f"{len(self._in_trouble)} items in a row: {trouble}. Look at the server, then "
                "retry the round: finished shards are kept."
            )
        reason = f"The sampling server gave no answer for it: {trouble}"
        self._give_up(prompt, Failed(reason, cause="server"))

    def _give_up(self, prompt: Prompt, failed: Failed) -> None:
        """Nothing more is asked for this prompt; what it has already stays."""
        logger.warning("%s: %s", prompt.image and prompt.image.name, failed.reason)
        self._failed.setdefault(prompt, failed)


def _first(group: ExceptionGroup) -> Exception:
    """The first error of a group that may hold groups."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _limits(abilities: Abilities) -> bool:
    return abilities.takes_top_k or abilities.takes_config
