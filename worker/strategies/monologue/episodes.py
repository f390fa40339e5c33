"""Plays monologues: many episodes at once, turn by turn, until each has answered.

In every turn all reasoners that go on are sampled in one call, and then all observations that
nobody has made yet: what a picture shows does not depend on who asks, so a question that several
episodes ask of one picture is looked at once. An episode keeps the tokens that were sampled; what
follows is sampled after these and those of the observation, never after a text that was joined and
tokenized anew. Its outcome depends on its own seed alone.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.round_settings import MonologueSettings
from app.same_text import text_key
from app.strategies.monologue import OBSERVER, REASONER, MonologueTrace, Outcome, Turn
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import Draw, Failed, Part, Prompt, SampleConfig, Sampled
from worker.strategies.contract import Models
from worker.strategies.costs import share_out
from worker.strategies.monologue.wording import (
    instruction_of,
    observation_part,
    question_part,
    read_question,
    said_part,
    turn_parts,
)

Look = tuple[Path, str]
"""A picture and what is asked of it."""


@dataclass(frozen=True)
class Wanted:
    """One episode to play. opener: what follows the answer. seed: that of the episode, of which
    those of its draws are made. is_right: whether an answer is worth a rationale; None asks for the
    rationale of any."""

    image: Path
    question: str
    opener: str
    temperature: float
    seed: int
    is_right: Callable[[str], bool] | None = None


@dataclass(eq=False)
class Episode:
    """An episode that was played, or is being played.

    parts: all that was said and observed. rationale: "" unless it is explained. n_tokens,
    log_probability: of all that the reasoner sampled, ends included; what observers said is counted
    by `Player.share_looks`. failed: the draw that could not be made, of an episode whose outcome is
    `failed`. last: what the reasoner said last, of an episode that these words ended because they
    are neither a question that it may ask nor an answer.
    """

    wanted: Wanted
    parts: list[Part] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    outcome: Outcome | None = None
    answer: Sampled | None = None
    rationale: Sampled | None = None
    said: str | None = None
    n_tokens: int = 0
    log_probability: float = 0.0
    failed: Failed | None = None
    last: Sampled | None = None

    @property
    def trace(self) -> MonologueTrace:
        """How it came to its rationale, or to none. Raises ValueError while it is being played."""
        if self.outcome is None:
            raise ValueError("the episode has not ended")
        return MonologueTrace(
            turns=tuple(self.turns),
            outcome=self.outcome,
            answer=self.answer.text if self.answer else None,
            answer_tokens=self.answer.tokens if self.answer else None,
            rationale_tokens=self.rationale.tokens if self.rationale else None,
            said=self.said,
        )

    def end(self, outcome: Outcome, last: Sampled | None = None) -> None:
        """Ends the episode without a rationale."""
        self.outcome, self.last = outcome, last
        self.said = last.text if last is not None else None

    def count(self, made: Sampled) -> None:
        """Counts what the reasoner sampled."""
        self.n_tokens += made.n_tokens or 0
        self.log_probability += made.log_probability or 0.0


def resume(wanted: Wanted, turns: Sequence[Turn]) -> Episode:
    """Returns an episode that has come so far as these turns, to be played on. It counts only what
    is sampled from there."""
    return Episode(wanted, parts=list(turn_parts(turns)), turns=list(turns))


@dataclass(frozen=True)
class Sizes:
    """How much a reasoner and an observer may say, in tokens, and how the tokens are chosen."""

    rationale_tokens: int
    top_k_share: float
    monologue: MonologueSettings

    def config(self, max_new_tokens: int) -> SampleConfig:
        """Returns the configuration of draws of at most so many tokens."""
        return SampleConfig(max_new_tokens=max_new_tokens, top_k_share=self.top_k_share)


class Player:
    """Plays episodes with the models of the strategy.

    Observations are the observer's most probable words, and are kept for the next call: the player
    lives as long as the models that it asks do not change.
    """

    def __init__(self, models: Models, sizes: Sizes, *, explains: bool = True) -> None:
        """explains: whether the reasoner is asked for a rationale; an episode without one ends with
        its answer and has no outcome unless that is wrong."""
        self._models, self.sizes, self._explains = models, sizes, explains
        self.seen: dict[Look, Sampled | Failed] = {}

    def play(self, wanted: Sequence[Wanted], max_turns: int | None = None) -> list[Episode]:
        """Returns the episodes, in the order in which they are wanted. max_turns: instead of that
        of the settings."""
        episodes = [Episode(one) for one in wanted]
        self.go_on(episodes, self.sizes.monologue.max_turns if max_turns is None else max_turns)
        return episodes

    def go_on(self, episodes: Sequence[Episode], max_turns: int) -> None:
        """Plays episodes to their end from where they are, each up to `max_turns` looks in all."""
        for number in range(max_turns + 1):
            going = [e for e in episodes if e.outcome is None and e.answer is None]
            going = [episode for episode in going if len(episode.turns) <= number]
            asking = self._ask(going, max_turns)
            self._observe(asking)
        if self._explains:
            self._explain([episode for episode in episodes if episode.outcome is None])

    def share_looks(self, episodes: Sequence[Episode]) -> list[int]:
        """Returns the tokens of observations that fall to each of some episodes: those of a look
        are shared out among the ones that it served."""
        served: dict[Look, list[int]] = defaultdict(list)
        for place, episode in enumerate(episodes):
            for asked in {turn.asked: None for turn in episode.turns}:
                served[episode.wanted.image, asked].append(place)
        shares = [0] * len(episodes)
        for look, places in served.items():
            seen = self.seen.get(look)
            n_tokens = seen.n_tokens or 0 if isinstance(seen, Sampled) else 0
            for place, share in zip(places, share_out(n_tokens, len(places)), strict=True):
                shares[place] += share
        return shares

    def _ask(self, going: Sequence[Episode], max_turns: int) -> list[tuple[Episode, Turn]]:
        """Lets the reasoner go on in some episodes; returns those in which it asks, and what."""
        tokens = self.sizes.monologue.question_tokens
        asking: list[tuple[Episode, Turn]] = []
        for episode, made in self._reason(going, "turn", tokens):
            asked = read_question(made.text)
            if made.is_cut or not made.text or made.tokens is None:
                episode.end(Outcome.NOT_UNDERSTOOD, made)
            elif asked is None:
                _answer(episode, made)
            elif len(episode.turns) >= max_turns:
                episode.end(Outcome.ASKED_TOO_OFTEN, made)
            else:
                asking.append((episode, _turn(episode, asked, made)))
        return asking

    def _observe(self, asking: Sequence[tuple[Episode, Turn]]) -> None:
        """Adds the turns of some episodes, each with what the observer sees."""
        looks = {(episode.wanted.image, turn.asked): None for episode, turn in asking}
        self._look([look for look in looks if look not in self.seen])
        for episode, turn in asking:
            seen = self.seen[episode.wanted.image, turn.asked]
            if isinstance(seen, Failed):
                episode.failed = seen
                episode.end(Outcome.FAILED)
                continue
            found = turn.model_copy(update={"observed": seen.text})
            is_first = not episode.parts
            episode.turns.append(found)
            episode.parts += [question_part(found, is_first=is_first), observation_part(found)]

    def _look(self, looks: Sequence[Look]) -> None:
        draws = [
            Draw(Prompt(image, asked, None, ""), temperature=0.0, seed=derive_seed("look", asked))
            for image, asked in looks
        ]
        if draws:
            config = self.sizes.config(self.sizes.monologue.observation_tokens)
            self.seen.update(zip(looks, self._models[OBSERVER](draws, config), strict=True))

    def _explain(self, answered: Sequence[Episode]) -> None:
        for episode in answered:
            episode.parts.append(Part(episode.wanted.opener, None, is_apart=True))
        for episode, made in self._reason(answered, "rationale", self.sizes.rationale_tokens):
            episode.rationale = made
            episode.outcome = Outcome.EXPLAINED

    def _reason(
        self, episodes: Sequence[Episode], step: str, max_new_tokens: int
    ) -> list[tuple[Episode, Sampled]]:
        """The next words of the reasoner in some episodes; those in which they fail end."""
        instruction = instruction_of(self.sizes.monologue)
        draws = [_draw(episode, step, instruction) for episode in episodes]
        config = self.sizes.config(max_new_tokens)
        made = self._models[REASONER](draws, config) if draws else []
        found: list[tuple[Episode, Sampled]] = []
        for episode, said in zip(episodes, made, strict=True):
            if isinstance(said, Failed):
                episode.failed = said
                episode.end(Outcome.FAILED)
            else:
                episode.count(said)
                found.append((episode, said))
        return found


def _draw(episode: Episode, step: str, instruction: str) -> Draw:
    wanted = episode.wanted
    prompt = Prompt(
        image=None,
        question=wanted.question,
        answer=None,
        opener="",
        said=tuple(episode.parts),
        instruction=instruction,
    )
    seed = derive_seed(wanted.seed, step, len(episode.turns))
    return Draw(prompt, wanted.temperature, seed)


def _answer(episode: Episode, made: Sampled) -> None:
    """Takes words as the answer; an episode whose answer is wrong ends here."""
    episode.answer = made
    episode.parts.append(said_part(made.text, made.tokens, is_first=not episode.parts))
    if episode.wanted.is_right is not None and not episode.wanted.is_right(made.text):
        episode.end(Outcome.WRONG_ANSWER)


def _turn(episode: Episode, asked: str, made: Sampled) -> Turn:
    return Turn(
        asked=asked,
        observed="",
        asked_tokens=made.tokens,
        log_probability=made.log_probability,
        is_repeated=text_key(asked) in {text_key(turn.asked) for turn in episode.turns},
    )
