"""The arms of self-questioning, by the names that plan.py gives them."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from app.scenes.grounding import OPEN, PRESUMING, answer_about
from app.scenes.scene import Scene
from app.strategies.same_question import question_key
from benchmarks.strategies.counting import cost_of, right_of, shares
from benchmarks.strategies.models import Trained
from benchmarks.strategies.self_questioning.bench import Bench, Learned
from benchmarks.strategies.self_questioning.plan import DELTA
from benchmarks.strategies.self_questioning.probing import measure_probe
from benchmarks.strategies.self_questioning.purity import measure_purity
from benchmarks.support.cells import Config, Result
from worker.ml.types import Draw, Prompt
from worker.strategies.contract import Lesson

TEMPERATURES = (0.7, 1.2)
OPENER = ", seeing that"


def measure_dialogues(bench: Bench) -> Result:
    """Returns what a model asks that learned dialogues, and what it answers."""
    trained = dialogues(bench, bench.config["delta"], bench.config.get("in_front"))
    result = cost_of(trained) | answers_of(bench, trained)
    scenes = bench.held_out()
    for temperature in TEMPERATURES:
        result[f"asked_{temperature}"] = asked_of(bench, trained, scenes, temperature)
    if bench.config.get("in_front") == "prototypes":
        result["purity"] = measure_purity(bench, trained)
    return result


def dialogues(bench: Bench, delta: float, in_front: str | None = None) -> Trained:
    """Returns the model that learned the dialogues of all scenes."""
    name = f"delta-{delta}-{in_front or 'plain'}"
    return bench.train(name, [one.lesson for one in bench.lessons()], delta, in_front)


def measure_more(bench: Bench) -> Result:
    """Returns what a model answers that learned as many questions again."""
    lessons = bench.lessons()
    found = _self_asked(bench)
    # As many in both arms: fewer were kept than there are scenes times three.
    if bench.config["source"] == "data":
        others = bench.lessons("more-lessons")[: len(found)]
        found = [replace(one, lesson=_bare(one.lesson)) for one in others]
    learned = [one.lesson for one in (*lessons, *found)]
    # As many steps as without: what more data are worth, and not more steps.
    epochs = max(1, round(bench.scale.epochs * len(lessons) / len(learned)))
    trained = bench.train(f"more-{bench.config['source']}", learned, DELTA, epochs=epochs)
    return cost_of(trained) | answers_of(bench, trained) | {"n_more": len(found)}


def _self_asked(bench: Bench) -> list[Learned]:
    """What the model asked about further scenes and the critic kept, with the critic's answers."""
    scenes = bench.further()
    made: list[Learned] = []
    for scene, about in zip(scenes, bench.ask(dialogues(bench, DELTA), scenes, 0.7), strict=True):
        for question in about.questions[:3]:
            _, answer = answer_about(question.text, scene)
            if answer is not None:
                picture = bench.pictures.of(scene)
                made.append(Learned(scene, Lesson(picture, question.text, answer, None)))
    return made


def _bare(lesson: Lesson) -> Lesson:
    """The question and answer alone, as a self-asked one has them."""
    return Lesson(lesson.image, lesson.question, lesson.answer, None)


def asked_of(bench: Bench, trained: Trained, scenes: Sequence[Scene], temperature: float) -> Result:
    """Returns how many questions are well formed, grounded in their scene and in another one, and
    distinct, by kind."""
    about = bench.ask(trained, scenes, temperature)
    own: dict[str, list[bool]] = defaultdict(list)
    other: dict[str, list[bool]] = defaultdict(list)
    n_drawn = n_formed = n_distinct = 0
    for place, (scene, asked) in enumerate(zip(scenes, about, strict=True)):
        elsewhere = scenes[(place + 1) % len(scenes)]
        n_drawn += asked.n_drawn
        n_distinct += len({question_key(one.text) for one in asked.questions})
        for question in asked.questions:
            kind, answer = answer_about(question.text, scene)
            if kind is None:
                continue
            n_formed += question.n_draws
            own[kind] += [answer is not None] * question.n_draws
            other[kind] += [
                answer_about(question.text, elsewhere)[1] is not None
            ] * question.n_draws
    presumed = [kind for kind in PRESUMING if own[kind]]
    grounded, control = shares(own), shares(other)
    return {
        "well_formed": n_formed / max(1, n_drawn),
        "distinct": n_distinct / max(1, n_drawn),
        "grounded": grounded,
        "elsewhere": control,
        "share": {
            kind: len(own[kind]) / max(1, n_formed) for kind in (*PRESUMING, *OPEN) if own[kind]
        },
        "grounded_mean": _mean([grounded[kind] for kind in presumed]),
        "elsewhere_mean": _mean([control[kind] for kind in presumed]),
    }


def answers_of(bench: Bench, trained: Trained) -> Result:
    """Returns how often held-out questions are answered rightly and explained so that it fits."""
    items = bench.test_items()
    pictures = [bench.pictures.of(one.scene) for one in items]
    asked = [
        Draw(Prompt(picture, one.question.text, None, ""), 0.01, place)
        for place, (picture, one) in enumerate(zip(pictures, items, strict=True))
    ]
    answers = [made.text for made in bench.shop.say(trained.folder, asked)]
    explained = [
        Draw(Prompt(picture, one.question.text, answer, OPENER), 0.01, place)
        for place, (picture, one, answer) in enumerate(zip(pictures, items, answers, strict=True))
    ]
    rationales = [made.text for made in bench.shop.say(trained.folder, explained)]
    right = right_of(items, answers)
    critic = ExactCritic()
    fits: dict[str, list[bool]] = defaultdict(list)
    for one, answer, rationale in zip(items, answers, rationales, strict=True):
        item = CriticItem(one.question.text, one.question.answer, facts=one.scene.to_dict())
        is_right = answer == one.question.answer
        fits[one.kind].append(is_right and critic.judge(item, [rationale])[0].fits)
    return right | {"fits": shares(fits)}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


ARMS: Mapping[str, Callable[[Bench], Result]] = {
    "dialogues": measure_dialogues,
    "more": measure_more,
    "probe": lambda bench: measure_probe(bench, dialogues(bench, DELTA)),
}


def measure(config: Config, folder: Path, threads: int) -> Result:
    """Returns what a cell comes to; `folder` keeps models and pictures from cell to cell."""
    began = time.monotonic()
    result = ARMS[config["arm"]](Bench(config, folder, threads))
    return result | {"cell_seconds": round(time.monotonic() - began, 1)}
