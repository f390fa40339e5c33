"""Inner monologue: a reasoner that sees only text asks, an observer that sees the picture answers.

Source: Yang et al. 2023, "Tackling Vision Language Tasks Through Learning Inner Monologues" (arXiv
2308.09970). docs/monologue.md says what is the same here, and what differs.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.kit.sentences import Sentence
from app.round_settings import LoopSettings, NamedBase
from app.same_text import text_key
from app.strategies.contract import USEFUL_OR_NOT, Mark, Strategy, Trace

REASONER = "reasoner"
"""The role that asks and answers; it reads what was observed and never sees the picture."""
OBSERVER = "observer"
"""The role that sees the picture and one asked question, and nothing else."""


QUESTION_MARK, OBSERVATION_MARK = "question", "observation"
"""What of a turn people may mark: the question, as useful or not, and what was seen, as true."""


class Outcome(StrEnum):
    """How an episode ended; only one that is `explained` has a rationale."""

    EXPLAINED = "explained"
    WRONG_ANSWER = "wrong_answer"
    """Its answer is not the item's, so it was not asked for a rationale."""
    NOT_UNDERSTOOD = "not_understood"
    """What the reasoner said last is neither a question nor an answer, or was cut."""
    ASKED_TOO_OFTEN = "asked_too_often"
    """It asked once more when no look was left."""
    FAILED = "failed"
    """A draw could not be made; the item's failure says why."""


class Turn(BaseModel):
    """One look: what the reasoner asked, and what the observer saw.

    `asked_tokens`: the reasoner's own tokens as they were sampled, its words around the question
    included and the end token left out; None where nobody sampled them, as in an imported episode.
    `log_probability` is theirs, the end token included. `is_repeated`: the same question was asked
    before in this episode.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    asked: str
    observed: str
    asked_tokens: tuple[int, ...] | None = None
    log_probability: float | None = None
    is_repeated: bool = False


class MonologueTrace(Trace):
    """How a draw came to its rationale: its turns in order, and then its answer.

    `answer`: None where it gave none; `said`: what could not be understood. Tokens are as in Turn.
    """

    kind: Literal["monologue"] = "monologue"
    turns: tuple[Turn, ...]
    outcome: Outcome
    answer: str | None = None
    answer_tokens: tuple[int, ...] | None = None
    rationale_tokens: tuple[int, ...] | None = None
    said: str | None = None

    def without_tokens(self) -> "MonologueTrace":
        """Returns it as it reads to a model that did not sample it."""
        turns = tuple(
            turn.model_copy(update={"asked_tokens": None, "log_probability": None})
            for turn in self.turns
        )
        none = {"answer_tokens": None, "rationale_tokens": None}
        return self.model_copy(update={"turns": turns, **none})

    @property
    def way(self) -> tuple[str, ...]:
        """Returns the keys of what was asked, in order."""
        return tuple(text_key(turn.asked) for turn in self.turns)

    @property
    def observed(self) -> tuple[str, ...]:
        return tuple(turn.observed for turn in self.turns)


def _own_bases(settings: LoopSettings) -> Mapping[str, NamedBase]:
    base = settings.monologue.observer_base
    return {} if base is None else {OBSERVER: base}


MONOLOGUE = Strategy(
    name="monologue",
    roles=(REASONER, OBSERVER),
    trace=MonologueTrace,
    trace_template="judge/traces/monologue.html",
    marks=(
        Mark(QUESTION_MARK, Sentence("Is the question useful?"), USEFUL_OR_NOT),
        Mark(OBSERVATION_MARK, Sentence("Is the observation true?"), USEFUL_OR_NOT),
    ),
    learns_from_prior=True,
    learns_from_rewards=True,
    looking_role=OBSERVER,
    asking_role=REASONER,
    branch_template="judge/traces/monologue_branch.html",
    own_bases=_own_bases,
)
