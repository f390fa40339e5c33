"""The second stage of a monologue: a role learns from rewards of its own draws."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from app.round_settings import MonologueSettings
from app.same_text import is_same_answer
from app.scenes.monologues import is_useful, observe
from app.strategies.monologue import Turn
from benchmarks.strategies.data import Asked, Pictures
from worker.ml.model.loading import Vlm
from worker.ml.reinforcement.live import LiveAdapter
from worker.ml.reinforcement.reinforce import reinforce
from worker.ml.reinforcement.types import (
    ReinforceConfig,
    ReinforceProgress,
    ReinforceReport,
    Rollout,
)
from worker.ml.training.readable import sample_readable
from worker.ml.types import AdapterSettings, Draw, Failed, SampleConfig, Sampled
from worker.strategies.contract import Marker, Sampler
from worker.strategies.monologue.rollouts import Rewarded, Rewards, Rollouts, nobody_marked


def learn(
    vlm: Vlm,
    role: str,
    items: Sequence[Rewarded],
    *,
    others: Mapping[str, Path | Sampler],
    config: ReinforceConfig,
    adapter: AdapterSettings,
    start_from: Path,
    place: Path,
    settings: MonologueSettings,
    rewards: Rewards,
    marker: Marker = nobody_marked,
    epochs: Sequence[int] = (1,),
    reference: Path | None = None,
    on_progress: Callable[[ReinforceProgress], None] | None = None,
) -> ReinforceReport:
    """Teaches a role by rewards; its adapter is then in `place`/adapter.

    others: the models of the roles that rest, by role; a folder is that of an adapter of this base.
    start_from: the adapter to begin with; reference: that from which it should
    not go far, the same one by default. A call that was broken off goes on where it was.
    """

    def environment(live: LiveAdapter) -> Rollout:
        def own(draws: Sequence[Draw], limit: SampleConfig) -> list[Sampled | Failed]:
            live.switch_on()
            return sample_readable(vlm, draws, limit)

        models: dict[str, Sampler] = {role: own}
        for name, other in others.items():
            models[name] = _resting(vlm, live, other) if isinstance(other, Path) else other
        return Rollouts(
            role,
            models,
            items,
            settings,
            rewards,
            temperature=config.temperature,
            seed=config.seed,
            marker=marker,
        )

    return reinforce(
        vlm,
        len(items),
        environment,
        config,
        adapter,
        epochs=epochs,
        start_from=start_from,
        reference=reference or start_from,
        about=repr((role, list(items), rewards, settings)),
        state_dir=place / "state",
        out_dir=place / "adapter",
        on_progress=on_progress,
    )


def _resting(vlm: Vlm, live: LiveAdapter, folder: Path) -> Sampler:
    """The base with another adapter on, in place of the one that learns."""

    def draw(draws: Sequence[Draw], limit: SampleConfig) -> list[Sampled | Failed]:
        live.switch_off(folder)
        return sample_readable(vlm, draws, limit)

    return draw


def as_rewarded(asked: Sequence[Asked], pictures: Pictures) -> list[Rewarded]:
    """Returns questions about scenes as items to learn from; their places are their keys."""
    return [
        Rewarded(str(place), pictures.of(one.scene), one.question.text, one.question.answer)
        for place, one in enumerate(asked)
    ]


def exact_marker(asked: Sequence[Asked]) -> Marker:
    """Returns a program that marks in place of people: it knows what each question needs, and what
    each scene shows."""

    def mark(place: int, turn: Turn) -> tuple[float | None, float | None]:
        one = asked[place]
        useful = is_useful(one.query, one.scene, turn.asked)
        shown = observe(one.scene, turn.asked)
        true = None if shown is None else is_same_answer(turn.observed, shown)
        return 2.0 * useful - 1.0, None if true is None else 2.0 * true - 1.0

    return mark


def always_right(by_picture: Mapping[Path, Asked]) -> Sampler:
    """Returns an observer that is never wrong, of these pictures."""

    def look(draws: Sequence[Draw], _limit: SampleConfig) -> list[Sampled | Failed]:
        made: list[Sampled | Failed] = []
        for draw in draws:
            assert draw.prompt.image is not None
            shown = observe(by_picture[draw.prompt.image].scene, draw.prompt.question)
            made.append(Sampled(shown or "nothing", None, None, is_cut=False))
        return made

    return look
