"""The demo's practice round: a few of its scenes, with verdicts and reasons of the exact critic.

Held-out scenes are taken, which people are never asked to judge. Texts are those of the scenes'
own writers: careful ones, and loose ones as the demo model learned them.
"""

import random
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy.orm import Session

from app.critics.base import CriticItem, Fault
from app.critics.exact import ExactCritic
from app.models import Item, Project
from app.queries.judging.practice import list_material
from app.scenes.loose import loose_explanation
from app.scenes.questions.draw import Question
from app.scenes.questions.parser import parse_question
from app.scenes.scene import Scene
from app.services.judging import practice_items
from app.services.judging.practice_items import Expected, Lesson

N_ITEMS: Final = 5
N_TEXTS: Final = 4
_N_TRIES: Final = 40
_WRONG_ANSWER_AT: Final = 3
_NOTHING_FITS_AT: Final = 4
_EXPLANATIONS: Final = {
    "mixed": "Each text has to be right about the picture **and** a reason for the answer.",
    "none": "Look closely: nothing here is both true and a reason. Then **none fits**.",
    "wrong": "When the answer itself is wrong, no text can justify it. Say so, and leave the texts "
    "alone.",
}


def add_demo_practice(session: Session, project: Project, *, seed: int) -> None:
    """Make the practice round; one item has a wrong answer, in one nothing fits."""
    rng = random.Random(f"demo-practice-{seed}")  # noqa: S311 - draws texts, no secrets
    place = 0
    for item in list_material(session, project.id):
        lesson = _lesson(item, place + 1, rng)
        if lesson is None:
            continue
        added = practice_items.add_item(session, project, item, actor=None)
        practice_items.save_lesson(session, added, lesson, actor=None)
        place += 1
        if place == N_ITEMS:
            return


def _lesson(item: Item, place: int, rng: random.Random) -> Lesson | None:
    """Returns the practice lesson for the item, or None where too little can be said about it."""
    candidates = list(_judged_texts(item, rng))
    fitting = [one for one in candidates if one.fits]
    others = [one for one in candidates if not one.fits]
    if place == _WRONG_ANSWER_AT:
        answer = _another_answer(item)
        if answer is None:
            return None
        # The critic's reasons are about the right answer.
        texts = [Expected(one.text, fits=False) for one in others]
        told = f"{_EXPLANATIONS['wrong']} Here the right one is *{item.answer}*."
        return Lesson(place, answer, True, told, _few(texts, rng))
    if place == _NOTHING_FITS_AT:
        if len(others) < N_TEXTS - 1:
            return None
        return Lesson(place, item.answer, False, _EXPLANATIONS["none"], _few(others, rng))
    if len(fitting) < 1 or len(others) < 2:
        return None
    shown = [*fitting[:2], *others[: N_TEXTS - len(fitting[:2])]]
    return Lesson(place, item.answer, False, _EXPLANATIONS["mixed"], _few(shown, rng))


def _judged_texts(item: Item, rng: random.Random) -> Iterator[Expected]:
    """Distinct texts about the item, each with the critic's verdict and its reason."""
    query = parse_question(item.question)
    if query is None or item.facts is None:
        return
    question = Question(query, item.question, item.answer, wording=0)
    scene = Scene.from_dict(item.facts)
    loose = (loose_explanation(question, scene, rng) for _ in range(_N_TRIES))
    texts = list(dict.fromkeys([*item.gold_rationales, *loose]))[: 2 * N_TEXTS + 3]
    asked = CriticItem(item.question, item.answer, tuple(item.gold_rationales), item.facts)
    for text, verdict in zip(texts, ExactCritic().judge(asked, texts), strict=True):
        if verdict.fault is not Fault.UNCLEAR:
            yield Expected(text, verdict.fits, verdict.reason)


def _another_answer(item: Item) -> str | None:
    """A wrong answer of the same kind as the right one."""
    kinds = (("yes", "no"), ("red", "blue", "green"), ("one", "two", "three"), ("1", "2", "3"))
    for kind in kinds:
        if item.answer in kind:
            return next(word for word in kind if word != item.answer)
    return None


def _few(candidates: Sequence[Expected], rng: random.Random) -> tuple[Expected, ...]:
    few = list(candidates[:N_TEXTS])
    rng.shuffle(few)
    return tuple(few)
