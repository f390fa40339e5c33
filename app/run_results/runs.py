"""What the other jobs leave behind, and how far a job has come."""

from collections.abc import Mapping

from pydantic import Field

from app.kit.sentences import Told
from app.run_results.base import StoredJson, is_empty, is_none, is_zero


class EvaluationResult(StoredJson):
    """The result of an evaluation, and of a baseline, beside their scores."""

    n_leaked_images: int = 0
    """Held-out images that the model was trained on, in another project."""
    meteor_note: Told | None = Field(default=None, exclude_if=is_none)
    """Why METEOR is not among the scores; None where it is, or was not asked for."""


class DrawCounts(StoredJson):
    """Counts of what was drawn for the items of a round, and of what people see of it."""

    draws: int = 0
    """Those that came to a candidate."""
    cut_draws: int = 0
    """Of these, the ones whose text ended at the limit of tokens."""
    candidates: int = 0
    shown: int = 0


class MapTally(StoredJson):
    """Counts of the occlusion maps of a round, and what it took to measure them."""

    looks: int = 0
    seconds: float = 0.0
    """Of workers."""


class SamplingResult(StoredJson):
    """The result of a sampling: counts of its draws, which change no more."""

    counts: DrawCounts | None = Field(default=None, exclude_if=is_none)
    """None where an older version sampled."""
    maps: MapTally | None = Field(default=None, exclude_if=is_none)
    """What people were shown of where draws looked; None where nothing was measured."""


class BranchResult(StoredJson):
    """The result of a branch: nothing, its row says it all."""


class EpisodeTally(StoredJson):
    """Counts of the episodes of a shard, or of a round: how they ended, and what was asked in them.

    The first four are outcomes (app.strategies.monologue.Outcome); an episode that failed is none.
    """

    explained: int = 0
    wrong_answer: int = 0
    not_understood: int = 0
    asked_too_often: int = 0
    turns: int = 0
    repeated: int = 0
    """Of the turns, those that asked what the episode had asked before."""
    tokens: int = 0
    """Of both roles; of the reasoner alone where an older version sampled."""
    critic_asked: int = Field(default=0, exclude_if=is_zero)
    """Of the turns, those of items of which the exact critic knows the scene;"""
    critic_useful: int = Field(default=0, exclude_if=is_zero)
    """of these, the ones whose question helps;"""
    critic_observed: int = Field(default=0, exclude_if=is_zero)
    """and those to whose question the scene has an answer;"""
    critic_true: int = Field(default=0, exclude_if=is_zero)
    """of these, the ones in which that was observed."""

    @property
    def n_episodes(self) -> int:
        return self.explained + self.wrong_answer + self.not_understood + self.asked_too_often

    @property
    def explained_share(self) -> float | None:
        """Returns the share of the episodes that came to a rationale; None without any."""
        return self.explained / self.n_episodes if self.n_episodes else None

    @property
    def turns_per_episode(self) -> float | None:
        return self.turns / self.n_episodes if self.n_episodes else None

    @property
    def repeated_share(self) -> float | None:
        """Returns the share of the questions that were asked before; None without any."""
        return self.repeated / self.turns if self.turns else None

    @property
    def useful_share(self) -> float | None:
        """Returns the share of useful questions as the exact critic says; None where it knows no
        scene."""
        return self.critic_useful / self.critic_asked if self.critic_asked else None

    @property
    def true_share(self) -> float | None:
        """Returns the share of true observations as the exact critic says, likewise."""
        return self.critic_true / self.critic_observed if self.critic_observed else None


class ReleaseResult(StoredJson):
    """The release that a run made, or whose files it built again; None before it is made."""

    release_id: int | None = None
    number: int | None = None
    n_rows: int = 0
    content_hash: str = ""


class ImportResult(StoredJson):
    """The result of an import that stored its rows. The lists are cut, their lengths are not."""

    n_rows: int = 0
    n_added: int = 0
    n_unchanged: int = 0
    n_updated: int = 0
    n_images: int = 0
    """Images that are new in the project."""
    splits: Mapping[str, int] = Field(default_factory=dict)
    """Rows per split."""
    n_pictures: int = Field(default=0, exclude_if=is_empty)
    """Images that came without a question, new or not."""
    n_pictures_added: int = Field(default=0, exclude_if=is_empty)
    picture_splits: Mapping[str, int] = Field(default_factory=dict, exclude_if=is_empty)
    changed: tuple[str, ...] = ()
    """Ids of rows that differ from their items and were left alone."""
    refused: tuple[Told, ...] = ()
    """Rows that differ but may not be rewritten, each with the reason."""
    warnings: tuple[Told, ...] = ()
    n_changed: int = 0
    n_refused: int = 0


class ImportErrors(StoredJson):
    """The result of an import that stored nothing: one line per problem."""

    errors: tuple[Told, ...] = ()


class WorkProgress(StoredJson):
    """How far a closing, an import or a release is, in the units of its present step."""

    step: str = ""
    """English, as the table of words has it."""
    done: int = 0
    total: int = 0


class Preparation(StoredJson):
    """Names the preparation that a run is at, such as trying the model; None when that is over."""

    doing: str | None = Field(default=None, exclude_if=is_none)
