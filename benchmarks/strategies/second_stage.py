"""The second stage of a monologue beside as many more steps of the first, from a poor prior.

The observer is a program that is never wrong, in training and in measuring: what differs between
these arms is what the reasoner asks, and what it makes of what it is told.
"""

import random
import statistics
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from app.scenes.monologues import SceneMonologue, ideal_monologue, useless_monologue
from app.strategies.monologue import REASONER
from benchmarks.strategies.bench import OPENER, SETTINGS, Bench, as_lesson
from benchmarks.strategies.counting import cost_of
from benchmarks.strategies.data import Asked, draw_questions
from benchmarks.strategies.models import TALKING, Trained
from benchmarks.strategies.monologue import play
from benchmarks.strategies.plan import KINDS
from benchmarks.strategies.rewards import always_right, as_rewarded, exact_marker, learn
from benchmarks.support.cells import Result
from worker.ml.reinforcement.types import ReinforceConfig, ReinforceProgress, ReinforceReport
from worker.ml.types import Example, TrainConfig
from worker.strategies.monologue.lessons import teach_reasoner
from worker.strategies.monologue.rollouts import Rewards, nobody_marked

USEFUL_SHARE = 0.25
"""Of the poor prior's episodes, those whose questions help."""
N_ITEMS = 2100
FIRST_EPOCHS = 4
STEP = ReinforceConfig(items_per_step=12, draws_per_item=8, batch_size=96, learning_rate=3e-4)
"""A step of the second stage: 96 draws, in one forward. It sees each item once."""
N_STEPS = -(-N_ITEMS // STEP.items_per_step)


def items_of(seed: int) -> list[Asked]:
    """Returns the questions of both stages."""
    return draw_questions(f"train-{seed}", dict.fromkeys(KINDS, N_ITEMS // len(KINDS)))


def poor_prior(asked: Sequence[Asked], seed: int) -> list[tuple[Asked, SceneMonologue]]:
    """Returns an episode for each question, a quarter of them with questions that help."""
    rng = random.Random(f"poor-{seed}")
    useful = set(rng.sample(range(len(asked)), round(USEFUL_SHARE * len(asked))))
    return [
        (
            one,
            (ideal_monologue if place in useful else useless_monologue)(one.query, one.scene, rng),
        )
        for place, one in enumerate(asked)
    ]


def first_config(seed: int) -> TrainConfig:
    """Returns how a reasoner is trained in the first stage."""
    return TrainConfig(
        epochs=FIRST_EPOCHS,
        batch_size=32,
        learning_rate=2e-3,
        schedule="cosine",
        patience=None,
        seed=seed,
    )


def learn_first(bench: Bench) -> Trained:
    """Returns the reasoner after the first stage."""
    return bench.shop.train("poor", lambda: _examples(bench), TALKING, first_config(bench.seed))


def learn_more(bench: Bench) -> Trained:
    """Returns the reasoner after the first stage and at least as many steps more of it as the
    second stage takes, each with as many episodes as that one has draws."""
    per_epoch = -(-N_ITEMS // STEP.batch_size)
    config = TrainConfig(
        epochs=-(-N_STEPS // per_epoch),
        batch_size=STEP.batch_size,
        learning_rate=2e-3,
        schedule="cosine",
        patience=None,
        seed=bench.seed + 1,
    )
    first = learn_first(bench)
    return bench.shop.train(
        "poor-more", lambda: _examples(bench), TALKING, config, start_from=first.folder
    )


def learn_second(bench: Bench, question_reward: float) -> tuple[Path, ReinforceReport]:
    """Returns the reasoner after both stages. question_reward: what a question is worth that a
    program marks as useful, and what one costs that is not; 0 for the reward of the answer alone.
    """
    asked = items_of(bench.seed)
    place = bench.shop.folder / f"rewarded-{question_reward:g}"
    first = learn_first(bench)
    report = learn(
        bench.shop.vlm,
        REASONER,
        as_rewarded(asked, bench.pictures),
        others={"observer": always_right({bench.pictures.of(one.scene): one for one in asked})},
        config=replace(STEP, seed=bench.seed),
        adapter=TALKING,
        start_from=first.folder,
        place=place,
        settings=SETTINGS,
        rewards=Rewards(question=question_reward),
        marker=exact_marker(asked) if question_reward else nobody_marked,
        on_progress=_tell,
    )
    return place / "adapter", report


def measure_poor(bench: Bench) -> Result:
    """Returns what the reasoner comes to after the first stage."""
    trained = learn_first(bench)
    return cost_of(trained) | _asked_and_answered(bench, trained.folder)


def measure_more(bench: Bench) -> Result:
    """Returns what the reasoner comes to after more steps of the first stage."""
    first, more = learn_first(bench), learn_more(bench)
    seconds, n_supervised = first.seconds + more.seconds, first.n_supervised + more.n_supervised
    both = Trained(more.folder, seconds, n_supervised)
    return cost_of(both) | _asked_and_answered(bench, more.folder)


def measure_rewarded(bench: Bench) -> Result:
    """Returns what the reasoner comes to after the second stage, and how its rewards went."""
    adapter, report = learn_second(bench, bench.config["question_reward"])
    curve = report.curve
    return _asked_and_answered(bench, adapter) | {
        "train_seconds": learn_first(bench).seconds + report.seconds,
        "n_steps": report.n_steps,
        "n_drawn_tokens": sum(step.n_tokens for step in curve),
        "first_reward": statistics.fmean(step.reward for step in curve[:10]),
        "last_reward": statistics.fmean(step.reward for step in curve[-10:]),
        "last_kl": statistics.fmean(step.kl for step in curve[-10:]),
    }


def _asked_and_answered(bench: Bench, reasoner: Path) -> Result:
    items = bench.test_items()
    observer = always_right({bench.pictures.of(one.scene): one for one in items})
    return play(bench, items, reasoner, observer)


def _examples(bench: Bench) -> list[Example]:
    return [
        example
        for asked, made in poor_prior(items_of(bench.seed), bench.seed)
        for example in teach_reasoner(as_lesson(asked, made), OPENER, SETTINGS)
    ]


def _tell(progress: ReinforceProgress) -> None:
    if progress.step % 10 == 0:
        print(  # noqa: T201 - a command line program
            f"rewards: step {progress.step} of {progress.n_steps}, {progress.reward:.3f}",
            file=sys.stderr,
        )
