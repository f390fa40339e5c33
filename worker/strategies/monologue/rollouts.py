"""Plays what one role of a monologue learns from by rewards, while the other rests.

Of the reasoner: episodes of an item, each with other draws; it learns its questions and its answer.
Of the observer: one look of an episode that the resting reasoner began; each draw sees something at
that look, and the reasoner goes on from there, with the same seed in all of them. Both come down to
groups of draws that begin alike and are compared with each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.round_settings import MonologueSettings
from app.same_text import is_same_answer
from app.strategies.monologue import OBSERVER, REASONER, Outcome, Turn
from worker.ml.reinforcement.types import Rolled, Visit
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import ANSWER, Draw, Example, Failed, Part, Prompt, Sampled
from worker.strategies.contract import Marker, Models
from worker.strategies.monologue.episodes import Episode, Player, Sizes, Wanted, resume
from worker.strategies.monologue.wording import (
    OBSERVATION,
    QUESTION,
    instruction_of,
    observation_part,
    question_part,
    said_part,
)

RIGHT = "right"
"""What an episode is counted as whose answer is right; any other by its outcome."""
SAID = "said"
"""The name of the loss of words that are neither a question nor an answer."""


@dataclass(frozen=True)
class Rewarded:
    """An item to play. key: what its seeds derive from."""

    key: str
    image: Path
    question: str
    answer: str


@dataclass(frozen=True)
class Rewards:
    """What counts how much beside the right answer, which is worth 1. question, observation: what a
    marked one is worth, once more or once less. repeated, not_understood: what is taken off for
    each question that was asked before, and for words that end an episode without an answer."""

    question: float = 0.5
    observation: float = 0.5
    repeated: float = 0.0
    not_understood: float = 0.0


def nobody_marked(_item: int, _turn: Turn) -> tuple[None, None]:
    """Says of everything that nobody knows."""
    return None, None


class Rollouts:
    """Plays the draws of visits, for the role that learns."""

    def __init__(
        self,
        role: str,
        models: Models,
        items: Sequence[Rewarded],
        settings: MonologueSettings,
        rewards: Rewards,
        *,
        temperature: float,
        seed: int,
        marker: Marker = nobody_marked,
    ) -> None:
        """models: by role, the one that learns with its weights as they are."""
        self._role, self._models, self._items = role, models, items
        self._settings, self._rewards, self._marker = settings, rewards, marker
        self._temperature, self._seed = temperature, seed
        self._player = self._new_player()

    def __call__(self, visits: Sequence[Visit]) -> list[Rolled]:
        """Returns what came of each draw, visit by visit."""
        if self._role == REASONER:
            return self._ask(visits)
        self._player = self._new_player()  # the observer is another one than before
        return self._look(visits)

    def _new_player(self) -> Player:
        # Nothing is left out: what is sampled must be what is learned from.
        return Player(self._models, Sizes(1, 1.0, self._settings), explains=False)

    # --- The reasoner learns ----------------------------------------------------------------------

    def _ask(self, visits: Sequence[Visit]) -> list[Rolled]:
        places = [(one.item, self._wanted(one, draw)) for one in visits for draw in one.draws]
        episodes = self._player.play([wanted for _, wanted in places])
        made: list[Rolled] = []
        for (item, _), episode in zip(places, episodes, strict=True):
            earned = tuple(self._earned(item, turn) for turn in episode.turns)
            made.append(
                Rolled(
                    example=self._asked(episode),
                    reward=self._end(item, episode) + sum(earned),
                    earned=earned if any(earned) else (),
                    outcome=_outcome(self._items[item], episode),
                    n_tokens=episode.n_tokens,
                )
            )
        return made

    def _wanted(self, visit: Visit, draw: int) -> Wanted:
        item = self._items[visit.item]
        return Wanted(
            image=item.image,
            question=item.question,
            opener="",
            temperature=self._temperature,
            seed=derive_seed(self._seed, "reinforce", visit.epoch, item.key, draw),
        )

    def _asked(self, episode: Episode) -> Example | None:
        """All that the reasoner said, to learn from."""
        parts: list[Part] = []
        for turn in episode.turns:
            parts.append(question_part(turn, is_first=not parts, loss=QUESTION))
            parts.append(observation_part(turn))
        last, loss = (episode.answer, ANSWER) if episode.answer else (episode.last, SAID)
        if last is not None and last.tokens is not None:
            said = said_part(last.text, last.tokens, is_first=not parts, loss=loss)
            parts.append(replace(said, is_open=bool(last.is_cut)))
        if not any(part.loss for part in parts):
            return None
        return Example(
            image=None,
            question=episode.wanted.question,
            parts=tuple(parts),
            instruction=instruction_of(self._settings),
        )

    # --- The observer learns ----------------------------------------------------------------------

    def _look(self, visits: Sequence[Visit]) -> list[Rolled]:
        begun = self._player.play([self._wanted(visit, visit.draws[0]) for visit in visits])
        looks = [self._choose(visit, episode) for visit, episode in zip(visits, begun, strict=True)]
        draws = [
            Draw(
                Prompt(episode.wanted.image, episode.turns[look].asked, None, ""),
                self._temperature,
                derive_seed(self._seed, "observe", visit.epoch, self._items[visit.item].key, draw),
            )
            for visit, episode, look in zip(visits, begun, looks, strict=True)
            if look is not None
            for draw in visit.draws
        ]
        config = self._player.sizes.config(self._settings.observation_tokens)
        seen = iter(self._models[OBSERVER](draws, config) if draws else [])
        going: list[tuple[Visit, Episode, int | None, Sampled | Failed | None]] = []
        for visit, episode, look in zip(visits, begun, looks, strict=True):
            for _ in visit.draws:
                made = next(seen) if look is not None else None
                played = episode
                if look is not None and isinstance(made, Sampled):
                    played = _with_look(episode, look, made)
                going.append((visit, played, look, made))
        self._player.go_on(
            [played for _, played, _, made in going if isinstance(made, Sampled)],
            self._settings.max_turns,
        )
        return [self._seen(*one) for one in going]

    def _choose(self, visit: Visit, episode: Episode) -> int | None:
        """Which look of an episode is learned from, the same for all its draws."""
        if not episode.turns:
            return None
        key = self._items[visit.item].key
        return derive_seed(self._seed, "which look", visit.epoch, key) % len(episode.turns)

    def _seen(
        self, visit: Visit, episode: Episode, look: int | None, made: Sampled | Failed | None
    ) -> Rolled:
        item = self._items[visit.item]
        if look is None or not isinstance(made, Sampled):
            return Rolled(None, self._end(visit.item, episode), _outcome(item, episode))
        turn = episode.turns[look]
        example = None
        if made.tokens is not None:
            part = Part(made.text, OBSERVATION, made.tokens, is_open=bool(made.is_cut))
            example = Example(image=item.image, question=turn.asked, parts=(part,))
        return Rolled(
            example=example,
            reward=self._end(visit.item, episode) + self._earned(visit.item, turn),
            outcome=_outcome(item, episode),
            n_tokens=made.n_tokens or 0,
        )

    # --- Rewards ----------------------------------------------------------------------------------

    def _end(self, item: int, episode: Episode) -> float:
        """Returns the reward for how an episode ended: 1 for the right answer, less any fine."""
        reward = float(_is_right(self._items[item], episode))
        if episode.outcome in {Outcome.NOT_UNDERSTOOD, Outcome.ASKED_TOO_OFTEN}:
            reward -= self._rewards.not_understood
        return reward

    def _earned(self, item: int, turn: Turn) -> float:
        """Returns the reward or fine of one turn, for the role that learns."""
        useful, true = self._marker(item, turn)
        if self._role == OBSERVER:
            return self._rewards.observation * (true or 0.0)
        if turn.is_repeated:
            return -self._rewards.repeated
        return self._rewards.question * (useful or 0.0)


def _with_look(begun: Episode, look: int, made: Sampled) -> Episode:
    """An episode up to a look, at which another thing was seen."""
    seen = begun.turns[look].model_copy(update={"observed": made.text})
    return resume(begun.wanted, [*begun.turns[:look], seen])


def _is_right(item: Rewarded, episode: Episode) -> bool:
    return episode.answer is not None and is_same_answer(episode.answer.text, item.answer)


def _outcome(item: Rewarded, episode: Episode) -> str:
    if episode.outcome is not None:
        return episode.outcome.value
    return RIGHT if _is_right(item, episode) else Outcome.WRONG_ANSWER.value
