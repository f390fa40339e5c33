"""Episodes of a prior: one object per line, with the looks that led to an answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from app.kit.sentences import Amount, Sentence
from app.same_text import text_key
from app.services.dataset.formats.jsonl import read_objects
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import (
    BadField,
    ColumnCheck,
    Columns,
    check_text,
    describe,
)
from app.strategies.monologue import Turn

MAX_TURNS = 4
"""As many looks as a round may allow (`monologue.max_turns`)."""
COLUMNS = Columns(
    required=("item", "turns", "answer"),
    optional=("rationale",),
    expected=Sentence("expected are item, turns, answer, and where there is one rationale"),
    other_words={
        **dict.fromkeys(("id", "item_id", "question_id", "qid"), "item"),
        **dict.fromkeys(("looks", "dialogue", "steps", "qa", "monologue"), "turns"),
        **dict.fromkeys(("answers", "label", "target"), "answer"),
        **dict.fromkeys(("explanation", "reason", "rationales"), "rationale"),
    },
)
_OF_TURN = ("asked", "observed")


@dataclass(frozen=True, slots=True)
class EpisodeLine:
    """An episode whose fields are checked; `external_id` is its item's."""

    place: Place
    external_id: str
    turns: tuple[Turn, ...]
    answer: str
    rationale: str | None


def read_episodes(stream: IO[bytes], name: str, problems: Problems) -> Iterator[EpisodeLine]:
    """Yields checked episodes; empty lines are passed over."""
    columns = ColumnCheck(problems, COLUMNS)
    for place, values in read_objects(stream, name, problems):
        if not columns.look_at(place, values):
            continue
        try:
            yield EpisodeLine(
                place=place,
                external_id=check_text(values["item"], "item"),
                turns=_check_turns(values["turns"]),
                answer=check_text(values["answer"], "answer"),
                rationale=_check_rationale(values.get("rationale")),
            )
        except BadField as error:
            problems.add(place, error.problem)
    columns.report()


def _check_rationale(value: object) -> str | None:
    """An optional text that holds nothing but blanks is as good as absent."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    return check_text(value, "rationale")


def _check_turns(value: object) -> tuple[Turn, ...]:
    if not isinstance(value, list):
        raise BadField(
            Sentence("turns must be a list of looks, but is %(value)s", value=describe(value))
        )
    if len(value) > MAX_TURNS:
        raise BadField(
            Sentence(
                "there are %(n)s turns; at most %(most)s are allowed",
                n=Amount(len(value)),
                most=MAX_TURNS,
            )
        )
    turns: list[Turn] = []
    seen: set[str] = set()
    for number, turn in enumerate(value, start=1):
        try:
            asked, observed = _check_turn(turn)
        except BadField as error:
            raise BadField(
                Sentence("%(problem)s (turn %(n)s)", problem=error.problem, n=number)
            ) from error
        key = text_key(asked)
        turns.append(Turn(asked=asked, observed=observed, is_repeated=key in seen))
        seen.add(key)
    return tuple(turns)


def _check_turn(value: Any) -> tuple[str, str]:
    if not isinstance(value, dict):
        raise BadField(
            Sentence(
                "a turn must be an object with asked and observed, but is %(value)s",
                value=describe(value),
            )
        )
    for name in value:
        if name not in _OF_TURN:
            raise BadField(
                Sentence(
                    "a turn has asked and observed and nothing else, but here is %(name)s",
                    name=repr(name),
                )
            )
    return check_text(value.get("asked"), "asked"), check_text(value.get("observed"), "observed")
