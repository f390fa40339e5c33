"""The inner monologue as a strategy of the loop."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from app.kit.storage import image_path
from app.models import Image, Item
from app.round_settings import LoopSettings
from app.same_text import is_same_answer
from app.services.evaluation.predictions import Said
from app.services.judging.branches import Branched
from app.services.rounds.sampling import Drawn
from app.services.runs.failures import Failure
from app.strategies.monologue import MONOLOGUE, OBSERVER, REASONER, MonologueTrace
from worker.ml.abilities import Ability
from worker.ml.reinforcement.types import Rollout
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import (
    AdapterSettings,
    Example,
    Failed,
    Sampled,
)
from worker.strategies.contract import (
    Answered,
    Asked,
    Fork,
    Lesson,
    Marker,
    Models,
    Procedure,
    Proposed,
)
from worker.strategies.failures import collect_failures
from worker.strategies.monologue.episodes import Episode, Player, Sizes, Wanted, resume
from worker.strategies.monologue.lessons import teach_observer, teach_reasoner
from worker.strategies.monologue.rollouts import Rewarded, Rewards, Rollouts
from worker.strategies.output import with_output
from worker.strategies.places import Place, make_until_enough, plan_places


class Monologue(Procedure):
    """Lets the reasoner ask and the observer look before each answer. A lesson is an episode for
    the reasoner, and a look or more for the observer."""

    needs = (Ability.WITHOUT_PICTURE,)

    def needs_of(self, role: str) -> tuple[Ability, ...]:
        """Returns what the reasoner needs; the observer answers about a picture, as any base."""
        return self.needs if role == REASONER else ()

    def propose(
        self,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        round_number: int,
    ) -> Proposed:
        """Returns a draw for each episode: the rationale, or an empty text where the episode ended
        without one; its trace says how. The answer is the model's own: where it is wrong, there is
        no rationale."""
        planned = plan_episodes(items, settings, round_number)
        player = _player(models, settings)
        played = make_until_enough(planned, player.play, _rationale, settings.sampling)
        made = [(place, episode) for place, episode in played if episode.failed is None]
        looked = player.share_looks([episode for _, episode in made])
        drawn = [_as_drawn(*one, looked=n) for one, n in zip(made, looked, strict=True)]
        return Proposed(drawn, _failures((place.item_id, episode) for place, episode in played))

    def branch(self, models: Models, fork: Fork, settings: LoopSettings) -> Branched | Failed:
        """Returns the episode that goes on from what the person saw: turns before it are as they
        were, and its question brings the same again where it is asked once more. The seed is made
        of the draw's, the turn and the words."""
        trace = MonologueTrace.model_validate(fork.trace)
        corrected = trace.turns[fork.turn - 1].model_copy(update={"observed": fork.observed})
        wanted = Wanted(
            image=fork.picture,
            question=fork.item.question,
            opener=fork.opener,
            temperature=fork.temperature,
            seed=derive_seed(fork.seed, "branch", fork.turn, fork.observed),
            is_right=partial(is_same_answer, expected=fork.item.answer),
        )
        episode = resume(wanted, (*trace.turns[: fork.turn - 1], corrected))
        player = _player(models, settings)
        player.seen[fork.picture, corrected.asked] = Sampled(fork.observed, None, None, None)
        player.go_on([episode], settings.monologue.max_turns)
        [looked] = player.share_looks([episode])
        return episode.failed or _as_branched(episode, looked=looked)

    def answer(self, models: Models, asked: Sequence[Asked], settings: LoopSettings) -> Answered:
        """Returns the answer and rationale of one episode per item; both are empty where it came to
        no answer, which is as wrong as any other."""
        wanted = [
            Wanted(
                image=one.picture,
                question=one.item.question,
                opener=settings.sampling.openers[0],
                temperature=settings.evaluation.temperature,
                seed=derive_seed(settings.seed, MONOLOGUE.name, "answer", one.item.external_id),
            )
            for one in asked
        ]
        episodes = _player(models, settings).play(wanted)
        played = [(one.item.id, episode) for one, episode in zip(asked, episodes, strict=True)]
        return Answered(
            said={item_id: _said(episode) for item_id, episode in played if episode.failed is None},
            failures=_failures(played),
        )

    def adapt(
        self,
        role: str,
        adapter: AdapterSettings,
        settings: LoopSettings,
        n_words: Callable[[], int],
    ) -> AdapterSettings:
        """Returns what the settings want; with it, for the reasoner of a base that knows few
        words, a tuned copy of the output layer."""
        if role != REASONER:
            return adapter
        return with_output(adapter, settings.monologue.tune_output_up_to, n_words)

    def roll(
        self,
        role: str,
        models: Models,
        items: Sequence[tuple[Item, Image]],
        settings: LoopSettings,
        marker: Marker,
    ) -> Rollout:
        """Returns what plays episodes of the reasoner, or looks of the observer; neither is asked
        for a rationale."""
        wanted = settings.reinforcement
        return Rollouts(
            role,
            models,
            [
                Rewarded(
                    key=item.external_id,
                    image=image_path(image.sha256, image.media_type),
                    question=item.question,
                    answer=item.answer,
                )
                for item, image in items
            ],
            settings.monologue,
            Rewards(
                question=wanted.question_reward,
                observation=wanted.observation_reward,
                repeated=wanted.repeated_cost,
                not_understood=wanted.not_understood_cost,
            ),
            temperature=wanted.temperature,
            seed=settings.seed,
            marker=marker,
        )

    def unwanted_weight(self, settings: LoopSettings) -> float:
        return settings.monologue.unwanted_weight

    def teach(self, role: str, lesson: Lesson, settings: LoopSettings) -> Sequence[Example]:
        if role == REASONER:
            return teach_reasoner(lesson, settings.sampling.openers[0], settings.monologue)
        if role == OBSERVER:
            return teach_observer(lesson, settings.monologue)
        return ()


def plan_episodes(
    items: Sequence[tuple[Item, Image]], settings: LoopSettings, round_number: int
) -> list[tuple[Place, Wanted]]:
    """Returns all episodes of some items, as many as the strategy `direct` has draws."""
    return [
        (
            place,
            Wanted(
                image=image_path(image.sha256, image.media_type),
                question=item.question,
                opener=place.opener,
                temperature=place.temperature,
                seed=place.seed,
                is_right=partial(is_same_answer, expected=item.answer),
            ),
        )
        for place, item, image in plan_places(items, settings, round_number, MONOLOGUE.name)
    ]


def _player(models: Models, settings: LoopSettings) -> Player:
    sampling = settings.sampling
    sizes = Sizes(sampling.max_new_tokens, sampling.top_k_share, settings.monologue)
    return Player(models, sizes)


def _as_drawn(place: Place, episode: Episode, *, looked: int) -> Drawn:
    """looked: the tokens of observations that fall to it."""
    return Drawn(
        item_id=place.item_id,
        prompt=place.opener,
        temperature=place.temperature,
        number=place.number,
        seed=place.seed,
        text=_rationale(episode),
        log_probability=episode.log_probability,
        n_tokens=episode.n_tokens + looked,
        is_cut=bool(episode.rationale and episode.rationale.is_cut),
        trace=episode.trace.model_dump(mode="json"),
    )


def _as_branched(episode: Episode, *, looked: int) -> Branched:
    return Branched(
        seed=episode.wanted.seed,
        trace=episode.trace.model_dump(mode="json"),
        text=_rationale(episode),
        log_probability=episode.log_probability,
        n_tokens=episode.n_tokens + looked,
        is_cut=bool(episode.rationale and episode.rationale.is_cut),
    )


def _said(episode: Episode) -> Said:
    return Said(episode.answer.text if episode.answer else "", _rationale(episode))


def _rationale(episode: Episode) -> str:
    return episode.rationale.text if episode.rationale else ""


def _failures(played: Iterable[tuple[int, Episode]]) -> list[Failure]:
    """Returns the items of which episodes failed; `played`: item ids with episodes."""
    return collect_failures([(item_id, e.failed or _MADE) for item_id, e in played])


_MADE = Sampled("", None, None, None)
"""Stands for an episode that did not fail."""
