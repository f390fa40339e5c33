"""Trains and measures the arms of the monologue (plan.py says what each is)."""

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.round_settings import MonologueSettings
from app.same_text import is_same_answer
from app.scenes.monologues import SceneMonologue, is_useful, observe, read_sub_query
from app.scenes.questions import (
    NUMBER_WORDS,
    AttributeQuery,
    CountQuery,
    Description,
    NeighbourQuery,
    Query,
    noun,
    place_words,
)
from app.scenes.scene import ATTRIBUTES, Scene
from app.strategies.monologue import Outcome, Turn
from benchmarks.strategies.data import (
    Asked,
    Pictures,
    draw_looks,
    draw_questions,
    look_kind,
    look_text,
    with_monologues,
)
from benchmarks.strategies.models import PLAIN, TALKING, Trained, Workshop
from benchmarks.strategies.plan import KINDS, SCALES, TWO_LOOKS
from benchmarks.support.cells import Config, Result
from worker.ml.sampling.seeds import derive_seed
from worker.ml.types import (
    ANSWER,
    Draw,
    Example,
    Failed,
    Part,
    Prompt,
    SampleConfig,
    Sampled,
    TrainConfig,
)
from worker.strategies.contract import Lesson
from worker.strategies.monologue.episodes import Episode, Player, Sizes, Wanted
from worker.strategies.monologue.lessons import teach_observer, teach_reasoner

OPENER = ", seeing that"
FACTS = "facts"
TEMPERATURE = 0.01
RATE = 2e-3
SETTINGS = MonologueSettings(instruct=False)  # the demo model follows no orders


def measure(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; `folder` keeps models and pictures from cell to cell."""
    began = time.monotonic()
    result = ARMS[config["arm"]](Bench(config, folder, threads))
    return result | {"cell_seconds": round(time.monotonic() - began, 1)}


class Bench:
    """A cell's model, data and pictures."""

    def __init__(self, config: Config, folder: Path, threads: int) -> None:
        self.config, self.seed = config, int(config["seed"])
        self.scale = SCALES[config["scale"]]
        self.pictures = Pictures(folder / "pictures")
        self.shop = Workshop(folder / f"{config['scale']}-{self.seed}", threads)

    # --- Data -----------------------------------------------------------------------------------

    def train_items(self, times: int = 1) -> list[Asked]:
        """The questions to train on, as many of each kind."""
        n = -(-self.scale.n_items * times // len(KINDS))
        return draw_questions(f"train-{self.seed}", dict.fromkeys(KINDS, n))

    def test_items(self, *, only_two_looks: bool = False) -> list[Asked]:
        """The held-out questions."""
        one, two = self.scale.n_one, self.scale.n_two
        wanted = {kind: two if kind in TWO_LOOKS else one for kind in KINDS}
        drawn = draw_questions(f"test-{self.seed}", wanted, held_out=True)
        return [asked for asked in drawn if asked.kind in TWO_LOOKS or not only_two_looks]

    def monologues(self) -> list[tuple[Asked, SceneMonologue]]:
        """The questions to train on with their ideal monologues."""
        return with_monologues(f"monologues-{self.seed}", self.train_items())

    # --- Models ---------------------------------------------------------------------------------

    def config_of(self, epochs: int, batch_size: int, rate: float) -> TrainConfig:
        """How an arm is trained; none stops early."""
        return TrainConfig(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=rate,
            schedule="cosine",
            patience=None,
            seed=self.seed,
        )

    def observer(self, n: int) -> Trained:
        """The observer after `n` observations."""

        def examples() -> list[Example]:
            return [
                example
                for scene, query in draw_looks(f"looks-{self.seed}", n)
                for example in teach_observer(self._look_lesson(scene, *look_text(scene, query)))
            ]

        config = self.config_of(self.scale.epochs, 64, 1e-3)
        return self.shop.train(f"observer-{n}", examples, PLAIN, config)

    def reasoner(self) -> Trained:
        """The reasoner after the ideal episodes of all items."""

        def examples() -> list[Example]:
            return [
                example
                for asked, made in self.monologues()
                for example in teach_reasoner(as_lesson(asked, made), OPENER, SETTINGS)
            ]

        config = self.config_of(self.scale.epochs, 32, RATE)
        return self.shop.train("reasoner", examples, TALKING, config)

    def reader(self, name: str, examples: Callable[[], list[Example]]) -> Trained:
        """A model of one look, or of none, trained on other examples of the items."""
        config = self.config_of(self.scale.epochs, 32, RATE)
        adapter = TALKING if name == "facts" else PLAIN
        return self.shop.train(name, examples, adapter, config)

    def _look_lesson(self, scene: Scene, asked: str, observed: str) -> Lesson:
        return Lesson(self.pictures.of(scene), asked, observed, None)


def as_lesson(asked: Asked, made: SceneMonologue) -> Lesson:
    """Returns an ideal monologue as what is taught."""
    turns = tuple(Turn(asked=look.asked, observed=look.observed) for look in made.looks)
    question = asked.question
    return Lesson(Path(), question.text, made.answer, made.rationale, turns=turns)


# --- Arms ---------------------------------------------------------------------------------------


def measure_observer(bench: Bench) -> Result:
    """Returns how often the observer is right, by kind of what is asked, on held-out pictures."""
    trained = bench.observer(bench.config["n"])
    looks = draw_looks(f"test-looks-{bench.seed}", bench.scale.n_looks, per_scene=4, held_out=True)
    texts = [look_text(scene, query) for scene, query in looks]
    draws = [
        Draw(Prompt(bench.pictures.of(scene), asked, None, ""), 0.0, 1)
        for (scene, _), (asked, _) in zip(looks, texts, strict=True)
    ]
    said = bench.shop.say(trained.folder, draws)
    right: dict[str, list[bool]] = defaultdict(list)
    for (_, query), (_, observed), made in zip(looks, texts, said, strict=True):
        right[look_kind(query)].append(is_same_answer(made.text, observed))
    return _of(trained) | {"observed": _shares(right)}


def measure_single(bench: Bench) -> Result:
    """Returns how often the base answers rightly at one look."""
    return _answered(bench, None, bench.test_items())


def measure_answers(bench: Bench) -> Result:
    """Returns how often a model of one look is right that learned answers."""
    times = bench.config["times"]

    def examples() -> list[Example]:
        return [
            Example(bench.pictures.of(a.scene), a.question.text, (Part(a.question.answer, ANSWER),))
            for a in bench.train_items(times)
        ]

    trained = bench.reader(f"answers-{times}", examples)
    return _of(trained) | _answered(bench, trained.folder, bench.test_items())


def measure_facts(bench: Bench) -> Result:
    """Returns how often a model of one look is right that says what it sees before it answers."""

    def examples() -> list[Example]:
        return [
            Example(
                bench.pictures.of(asked.scene),
                asked.question.text,
                (
                    Part(_facts(made), FACTS, is_apart=True),
                    Part(f" {made.answer}", ANSWER, is_apart=True),
                ),
            )
            for asked, made in bench.monologues()
        ]

    trained = bench.reader("facts", examples)
    items = bench.test_items()
    prompts = [Prompt(bench.pictures.of(a.scene), a.question.text, None, "") for a in items]
    facts = bench.shop.say(trained.folder, _draws(prompts))
    going_on = [
        Prompt(
            prompt.image,
            prompt.question,
            None,
            "",
            said=(Part(said.text, None, tokens=said.tokens, is_apart=True),),
        )
        for prompt, said in zip(prompts, facts, strict=True)
    ]
    answers = bench.shop.say(trained.folder, _draws(going_on))
    n_tokens = sum((one.n_tokens or 0) for one in (*facts, *answers))
    return (
        _of(trained)
        | _right(items, [answer.text for answer in answers])
        | {"tokens_per_item": n_tokens / len(items)}
    )


def _facts(made: SceneMonologue) -> str:
    return " ".join(f"look: {look.asked} see: {look.observed}." for look in made.looks)


def measure_caption(bench: Bench) -> Result:
    """Returns how often a reader is right that is told of three things in the picture."""
    rng = random.Random(f"captions-{bench.seed}")

    def told(asked: Asked) -> str:
        things = rng.sample(asked.scene.objects, min(3, len(asked.scene.objects)))
        caption = " and ".join(
            f"{place_words(thing.row, thing.col)} a "
            + noun(Description(thing.size, thing.color, thing.material, thing.shape))
            for thing in things
        )
        return f"{caption}. {asked.question.text}"

    return _measure_reader(bench, "caption", told)


def measure_blind(bench: Bench) -> Result:
    """Returns how often a reader is right that is told nothing of the picture."""
    return _measure_reader(bench, "blind", lambda asked: asked.question.text)


def _measure_reader(bench: Bench, name: str, told: Callable[[Asked], str]) -> Result:
    texts = [(told(asked), asked.question.answer) for asked in bench.train_items()]
    trained = bench.reader(
        name, lambda: [Example(None, text, (Part(answer, ANSWER),)) for text, answer in texts]
    )
    items = bench.test_items()
    said = bench.shop.say(
        trained.folder, _draws([Prompt(None, told(asked), None, "") for asked in items])
    )
    return _of(trained) | _right(items, [one.text for one in said])


def measure_forced(bench: Bench) -> Result:
    """Returns how often the monologue's reasoner is right that may not look: its most probable
    answer is taken among all that the question can have."""
    items = bench.test_items(only_two_looks=True)
    answers = [_possible(asked.query) for asked in items]
    choices = [
        [
            Example(None, asked.question.text, (Part(answer, ANSWER, is_apart=True),))
            for answer in possible
        ]
        for asked, possible in zip(items, answers, strict=True)
    ]
    best = bench.shop.most_probable(bench.reasoner().folder, choices)
    return _right(items, [possible[place] for possible, place in zip(answers, best, strict=True)])


def _possible(query: Query) -> tuple[str, ...]:
    if isinstance(query, AttributeQuery | NeighbourQuery):
        return tuple(ATTRIBUTES[query.attribute])
    return NUMBER_WORDS if isinstance(query, CountQuery) else ("yes", "no")


def measure_reasoner(bench: Bench) -> Result:
    """Returns what the reasoner comes to with an observer that is never wrong."""
    reasoner = bench.reasoner()
    items = bench.test_items()
    by_picture = {bench.pictures.of(asked.scene): asked.scene for asked in items}

    def look(draws: Sequence[Draw], config: SampleConfig) -> list[Sampled | Failed]:  # noqa: ARG001
        texts = [observe(by_picture[_image(d)], d.prompt.question) or "nothing" for d in draws]
        return [Sampled(text, None, None, is_cut=False) for text in texts]

    return _of(reasoner) | _play(bench, items, reasoner.folder, look)


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
    made = _play(bench, items, reasoner.folder, look)
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


# --- Measuring ----------------------------------------------------------------------------------


def _play(bench: Bench, items: Sequence[Asked], reasoner: Path, look: Look) -> Result:
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
        _right(items, answers)
        | _looked(items, episodes)
        | {
            "fits": _shares(_fits(items, episodes)),
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
        "useful": _shares(useful),
        "true": _shares(true),
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


def _answered(bench: Bench, adapter: Path | None, items: Sequence[Asked]) -> Result:
    prompts = [Prompt(bench.pictures.of(a.scene), a.question.text, None, "") for a in items]
    began = time.monotonic()
    said = bench.shop.say(adapter, _draws(prompts))
    seconds = (time.monotonic() - began) / len(items)
    n_tokens = sum(one.n_tokens or 0 for one in said) / len(items)
    right = _right(items, [one.text for one in said])
    return right | {"tokens_per_item": n_tokens, "seconds_per_item": seconds}


def _draws(prompts: Sequence[Prompt]) -> list[Draw]:
    return [Draw(prompt, TEMPERATURE, place) for place, prompt in enumerate(prompts)]


def _right(items: Sequence[Asked], answers: Sequence[str]) -> Result:
    right: dict[str, list[bool]] = defaultdict(list)
    for asked, answer in zip(items, answers, strict=True):
        right[asked.kind].append(is_same_answer(answer, asked.question.answer))
    return {"right": _shares(right), "n": {kind: len(found) for kind, found in right.items()}}


def _shares(found: Mapping[str, Sequence[bool]]) -> dict[str, float]:
    return {kind: round(sum(some) / len(some), 4) for kind, some in sorted(found.items()) if some}


def _of(trained: Trained) -> dict[str, Any]:
    return {"train_seconds": trained.seconds, "n_supervised": trained.n_supervised}


ARMS: Mapping[str, Callable[[Bench], Result]] = {
    "observer": measure_observer,
    "single": measure_single,
    "reasoner": measure_reasoner,
    "monologue": measure_monologue,
    "answers": measure_answers,
    "facts": measure_facts,
    "caption": measure_caption,
    "blind": measure_blind,
    "forced": measure_forced,
}
