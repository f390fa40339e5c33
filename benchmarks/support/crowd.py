"""A simulated crowd on rendered scenes: its items, its people, and what they say.

The rule of the crowd stands here and was written down before any seed was run:

- An item is a question about a scene with eight different explanations, as the demo's model meets
  them (careful and loose ones). What fits is what the exact critic says.
- Eight good people say what fits, but each verdict is flipped with a probability (5 %). Two people
  pick each explanation with a probability of one half. One picks the first that they see and
  nothing else.
- Each item goes to `overlap` people, drawn at random from the eleven, and everybody sees the
  explanations in an order of their own.
- Check items have eight explanations as well, at least two that fit and two that do not. Everybody
  answers the same ones.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.critics import CriticItem
from app.critics.exact import ExactCritic
from app.lifecycle import UserKind
from app.metrics.dawid_skene import RightOfAsked, Votes
from app.scenes.loose import found_explanation
from app.scenes.questions.draw import ask
from app.scenes.questions.queries import Kind
from app.scenes.scene import random_scene
from app.services.admission.votes import VoteMatrix

N_CANDIDATES = 8
GOOD, RANDOM, FIRST = range(8), range(8, 10), 10
N_PEOPLE = 11
TRIES_PER_ITEM = 200

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Crowd:
    """What people said of items, what is true of them, and what was asked beforehand."""

    matrix: VoteMatrix
    fits: Flags
    """Of each candidate of the matrix."""
    checked: dict[int, RightOfAsked]
    """By person; empty without check items."""


def simulate(seed: int, *, items: int, overlap: int, noise: float, checks: int) -> Crowd:
    """Returns a crowd that judged so many items, each after so many check items."""
    rng = random.Random(seed)
    truths = draw_items(rng, items)
    candidate, person, said = [], [], []
    for number, truth in enumerate(truths):
        for judge in rng.sample(range(N_PEOPLE), overlap):
            candidate += range(number * N_CANDIDATES, (number + 1) * N_CANDIDATES)
            person += [judge] * N_CANDIDATES
            said += say(judge, truth, noise, rng)
    check_items = draw_items(rng, checks, is_mixed=True)
    checked = {judge: _check(judge, check_items, noise, rng) for judge in range(N_PEOPLE)}
    n = items * N_CANDIDATES
    return Crowd(
        matrix=VoteMatrix(
            candidate_ids=np.arange(n),
            item_ids=np.repeat(np.arange(items), N_CANDIDATES),
            user_ids=np.arange(N_PEOPLE),
            votes=Votes(np.array(candidate), np.array(person), np.array(said), n, N_PEOPLE),
            judge_kind=UserKind.PERSON,
        ),
        fits=np.array(truths).reshape(-1),
        checked=checked if checks else {},
    )


def draw_items(rng: random.Random, number: int, *, is_mixed: bool = False) -> list[list[bool]]:
    """Returns what fits of each item. is_mixed: at least two that do, and two that do not."""
    found: list[list[bool]] = []
    kinds = list(Kind)
    while len(found) < number:
        scene = random_scene(rng)
        question = ask(scene, kinds[len(found) % len(kinds)], rng)
        if question is None:
            continue
        texts: dict[str, None] = {}
        for _ in range(TRIES_PER_ITEM):
            texts[found_explanation(question, scene, rng)] = None
            if len(texts) == N_CANDIDATES:
                break
        if len(texts) < N_CANDIDATES:
            continue
        item = CriticItem(question=question.text, answer=question.answer, facts=scene.to_dict())
        fits = [verdict.fits for verdict in ExactCritic().judge(item, list(texts))]
        if is_mixed and not 2 <= sum(fits) <= N_CANDIDATES - 2:
            continue
        rng.shuffle(fits)
        found.append(fits)
    return found


def say(judge: int, truth: Sequence[bool], noise: float, rng: random.Random) -> list[bool]:
    """Returns which explanations of an item a person of the crowd picks. truth: what fits."""
    if judge in GOOD:
        return [fits != (rng.random() < noise) for fits in truth]
    if judge in RANDOM:
        return [rng.random() < 0.5 for _ in truth]
    first = rng.randrange(len(truth))  # everybody has an order of their own
    return [place == first for place in range(len(truth))]


def _check(
    judge: int, truths: Sequence[Sequence[bool]], noise: float, rng: random.Random
) -> RightOfAsked:
    said = [
        (fits, says)
        for truth in truths
        for fits, says in zip(truth, say(judge, truth, noise, rng), strict=True)
    ]
    return RightOfAsked(
        fitting_right=sum(fits and says for fits, says in said),
        fitting_asked=sum(fits for fits, _ in said),
        others_right=sum(not fits and not says for fits, says in said),
        others_asked=sum(not fits for fits, _ in said),
    )
