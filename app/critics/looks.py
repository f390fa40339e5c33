"""The exact critic on the looks of monologues: does a question help, and is what was seen true?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.same_text import is_same_answer
from app.scenes.monologues import answer_sub_query, read_sub_query, useful_queries
from app.scenes.questions.parser import parse_question
from app.scenes.scene import Scene
from app.strategies.monologue import Turn


@dataclass(frozen=True, slots=True)
class LookVerdict:
    """The verdict of the exact critic on a look.

    is_useful: whether the answer or its rationale needs the question; one that was asked before
    helps no more. is_true: whether what was observed is so; None where the scene has no answer to
    what was asked."""

    is_useful: bool
    is_true: bool | None


def judge_looks(
    question: str, facts: dict[str, Any] | None, turns: Sequence[Turn]
) -> list[LookVerdict]:
    """Returns a verdict on each look at the picture of an item; none at all where the item has no
    facts of a scene, or its question is not one about scenes."""
    query = parse_question(question)
    if query is None or not facts:
        return []
    try:
        scene = Scene.from_dict(facts)
        useful = useful_queries(query, scene)
    except ValueError:  # other facts, or a question that presumes what the scene does not have
        return []
    verdicts = []
    for turn in turns:
        asked = read_sub_query(turn.asked)
        shown = answer_sub_query(asked, scene) if asked else None
        verdicts.append(
            LookVerdict(
                is_useful=asked in useful and not turn.is_repeated,
                is_true=None if shown is None else is_same_answer(turn.observed, shown),
            )
        )
    return verdicts
