"""Arms that play monologues (plan.py says what each is)."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.same_text import is_same_answer
from app.scenes.monologues import is_useful, observe, read_sub_query
from app.scenes.questions.queries import AttributeQuery
from app.strategies.monologue import Outcome
from benchmarks.strategies.bench import OPENER, SETTINGS, TEMPERATURE, Bench
from benchmarks.strategies.counting import cost_of, right_of, shares
from benchmarks.strategies.data import Asked, look_kind
from benchmarks.strategies.rewards import always_right
from benchmarks.strategies.speed import N_SAMPLES, TEMPERATURES, by_generate, play_for_speed
from benchmarks.support.cells import Result
from worker.ml.sampling.seeds import derive_seed
from worker.ml.training.readable import sample_readable
from worker.ml.types import Draw, Failed, Prompt, SampleConfig, Sampled
from worker.strategies.contract import Sampler
from worker.strategies.monologue.episodes import Episode, Player, Sizes, Wanted


def measure_reasoner(bench: Bench) -> Result:
    """Returns what the reasoner comes to with an observer that is never wrong."""
    reasoner = bench.reasoner()
    items = bench.test_items()
    look = always_right({bench.pictures.of(asked.scene): asked for asked in items})
    return cost_of(reasoner) | play(bench, items, reasoner.folder, look)


def measure_monologue(bench: Bench) -> Result:
    """Returns what reasoner and observer come to together."""
    observer, reasoner = bench.observer(bench.config["n"]), bench.reasoner()
    noise, shuffled = bench.config.get("noise", 0.0), bench.config.get("shuffled", False)
    items = bench.test_items(only_two_looks=bool(noise or shuffled))
    look = bench.shop.sampler(observer.folder)
    if noise:
        look = _noisy(look, noise, bench.seed)
    if shuffled:
        images = [bench.pictures.of(asked.scene) for asked in items]
        look = _elsewhere(look, images)
    made = play(bench, items, reasoner.folder, look)
    n_supervised = observer.n_supervised + reasoner.n_supervised
    return made | {
        "train_seconds": observer.seconds + reasoner.seconds,
        "n_supervised": n_supervised,
    }


Look = Callable[[Sequence[Draw], SampleConfig], list[Sampled | Failed]]


def _noisy(look: Look, share: float, seed: int) -> Look:
    """An observer of which a share of the observations is replaced by another one that was made."""

    def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        seen = look(draws, config)
        rng = random.Random(derive_seed(seed, "noise", len(draws)))
        by_kind: dict[str, list[Sampled]] = defaultdict(list)
        for one, wish in zip(seen, draws, strict=True):
            if isinstance(one, Sampled):
                by_kind[_answer_kind(wish.prompt.question)].append(one)
        found: list[Sampled | Failed] = []
        for one, wish in zip(seen, draws, strict=True):
            kind = by_kind[_answer_kind(wish.prompt.question)]
            others = [o for o in kind if isinstance(one, Sampled) and o.text != one.text]
            found.append(rng.choice(others) if others and rng.random() < share else one)
        return found

    return draw


def _answer_kind(asked: str) -> str:
    query = read_sub_query(asked)
    kind = look_kind(query)
    return f"{kind} {query.attribute}" if isinstance(query, AttributeQuery) else kind


def _elsewhere(look: Look, images: Sequence[Path]) -> Look:
    """An observer that looks at another item's picture than the one that is meant."""
    following = dict(zip(images, [*images[7:], *images[:7]], strict=True))

    def draw(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:
        moved = [
            Draw(
                Prompt(following[_image(wish)], wish.prompt.question, None, ""),
                wish.temperature,
                wish.seed,
            )
            for wish in draws
        ]
        return look(moved, config)

    return draw


def _image(wish: Draw) -> Path:
    assert wish.prompt.image is not None
    return wish.prompt.image


def play(bench: Bench, items: Sequence[Asked], reasoner: Path, look: Look) -> Result:
    """Returns what a reasoner and an observer come to on these items."""
    began = time.monotonic()
    models = {"reasoner": bench.shop.sampler(reasoner), "observer": look}
    player = Player(models, Sizes(40, 1.0, SETTINGS))
    wanted = [
        Wanted(
            image=bench.pictures.of(asked.scene),
            question=asked.question.text,
            opener=OPENER,
            temperature=TEMPERATURE,
            seed=derive_seed(bench.seed, place),
        )
        for place, asked in enumerate(items)
    ]
    episodes = player.play(wanted)
    seconds = time.monotonic() - began
    answers = [e.answer.text if e.answer else "" for e in episodes]
    return (
        right_of(items, answers)
        | _looked(items, episodes)
        | {
            "fits": shares(_fits(items, episodes)),
            "tokens_per_item": sum(e.n_tokens for e in episodes) / len(items),
            "seconds_per_item": seconds / len(items),
        }
    )


def _looked(items: Sequence[Asked], episodes: Sequence[Episode]) -> Result:
    """Of all turns: how many there were, useful questions, true observations, repetitions; and how
    the episodes ended."""
    useful: dict[str, list[bool]] = defaultdict(list)
    true: dict[str, list[bool]] = defaultdict(list)
    repeated: list[bool] = []
    for asked, episode in zip(items, episodes, strict=True):
        for turn in episode.turns:
            useful[asked.kind].append(
                not turn.is_repeated and is_useful(asked.query, asked.scene, turn.asked)
            )
            shown = observe(asked.scene, turn.asked)
            true[asked.kind].append(shown is not None and is_same_answer(turn.observed, shown))
            repeated.append(turn.is_repeated)
    ends = Counter((episode.outcome or Outcome.FAILED).value for episode in episodes)
    return {
        "useful": shares(useful),
        "true": shares(true),
        "turns_per_item": len(repeated) / len(items),
        "repeated": sum(repeated) / max(1, len(repeated)),
        "outcomes": dict(ends),
    }


def _fits(items: Sequence[Asked], episodes: Sequence[Episode]) -> dict[str, list[bool]]:
    critic = ExactCritic()
    fits: dict[str, list[bool]] = defaultdict(list)
    for asked, episode in zip(items, episodes, strict=True):
        question = asked.question
        is_right = episode.answer is not None and is_same_answer(
            episode.answer.text, question.answer
        )
        if not is_right or episode.rationale is None:
            fits[asked.kind].append(False)
            continue
        item = CriticItem(question.text, question.answer, facts=asked.scene.to_dict())
        [verdict] = critic.judge(item, [episode.rationale.text])
        fits[asked.kind].append(verdict.fits)
    return fits


def measure_speed(bench: Bench) -> Result:
    """Returns how many episodes a second are played in each of the ways of speed.py, in turn."""
    observer, reasoner = bench.observer(bench.scale.observations[-1]), bench.reasoner()
    vlm, items = bench.shop.vlm, bench.train_items()[: bench.scale.n_speed]
    ways: list[tuple[str, int, Sampler, Sequence[Asked]]] = [
        ("ours", 0, partial(sample_readable, vlm), items),
        ("one", 1, by_generate(vlm, 1), items[:2]),
        *(("batched", rows, by_generate(vlm, rows), items) for rows in bench.scale.batches),
    ]
    played = []
    for way, rows, make, some in ways:
        models = {
            "reasoner": bench.shop.attached(reasoner.folder, make),
            "observer": bench.shop.attached(observer.folder, make),
        }
        made = play_for_speed(models, _drawn_often(bench, some), Sizes(40, 1.0, SETTINGS))
        played.append({"way": way, "rows": rows} | made)
    return {"ways": played}


def _drawn_often(bench: Bench, items: Sequence[Asked]) -> list[Wanted]:
    """Draws as a round has them: several of each item at each of several temperatures."""
    return [
        Wanted(
            image=bench.pictures.of(asked.scene),
            question=asked.question.text,
            opener=OPENER,
            temperature=temperature,
            seed=derive_seed(bench.seed, place, number, str(temperature)),
            is_right=partial(is_same_answer, expected=asked.question.answer),
        )
        for place, asked in enumerate(items)
        for temperature in TEMPERATURES
        for number in range(N_SAMPLES)
    ]
