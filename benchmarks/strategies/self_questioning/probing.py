"""The probe against the exact critic: does a model's warning tell rationales that do not fit?"""

import random

from app.critics.base import CriticItem
from app.critics.exact import ExactCritic
from benchmarks.strategies.models import Trained
from benchmarks.strategies.self_questioning.bench import Bench
from benchmarks.support.cells import Result
from worker.ml.types import Draw, Prompt
from worker.strategies.self_questioning.probe import Probed, probe

N_QUESTIONS, TEMPERATURE, OPENER = 3, 0.9, ", seeing that"


def measure_probe(bench: Bench, trained: Trained) -> Result:
    """Returns precision and recall of the warning, and those of as many warnings by chance."""
    items = bench.test_items()
    pictures = [bench.pictures.of(one.scene) for one in items]
    draws = [
        Draw(Prompt(picture, one.question.text, one.question.answer, OPENER), TEMPERATURE, place)
        for place, (picture, one) in enumerate(zip(pictures, items, strict=True))
    ]
    texts = [made.text for made in bench.shop.say(trained.folder, draws)]
    critic = ExactCritic()
    is_wrong = [
        not critic.judge(
            CriticItem(one.question.text, one.question.answer, facts=one.scene.to_dict()), [text]
        )[0].fits
        for one, text in zip(items, texts, strict=True)
    ]
    own = bench.settings(0.5).self_questioning.model_copy(
        update={"probe_questions": N_QUESTIONS, "temperature": 0.7}
    )
    probed = [
        Probed((place,), picture, one.question.text, one.question.answer, text)
        for place, (picture, one, text) in enumerate(zip(pictures, items, texts, strict=True))
    ]
    doubts = probe(bench.sampler(trained), probed, own, OPENER, seed=bench.seed)
    warns = [any(one.differs for one in some) for some in doubts]
    chance = random.Random(f"warnings-{bench.seed}").sample(warns, len(warns))
    return {
        "n": len(texts),
        "wrong": sum(is_wrong) / len(is_wrong),
        "warned": sum(warns) / len(warns),
        "questions": sum(map(len, doubts)) / len(doubts),
        "warning": _told(warns, is_wrong),
        "by_chance": _told(chance, is_wrong),
    }


def _told(warns: list[bool], is_wrong: list[bool]) -> dict[str, float | None]:
    both = sum(warn and wrong for warn, wrong in zip(warns, is_wrong, strict=True))
    return {
        "precision": both / sum(warns) if any(warns) else None,
        "recall": both / sum(is_wrong) if any(is_wrong) else None,
    }
