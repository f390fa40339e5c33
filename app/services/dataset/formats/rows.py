"""One row of a data file: which columns it has, and what each may hold."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import PurePosixPath
from typing import Any

from app.kit.sentences import Amount, CountedSentence, Sentence
from app.lifecycle import Split
from app.models import Json
from app.services.dataset.formats.names import find_meant, folded
from app.services.dataset.formats.problems import Place, Problems

REQUIRED = ("id", "image", "question", "answer")
OPTIONAL = ("rationales", "rationale", "answers", "split", "facts")
EXPECTED = Sentence(
    "expected are id, image, question, answer, and where there are any rationales (or rationale), "
    "answers, split, facts"
)
MAX_LENGTHS = {
    "id": 500,
    "image": 1000,
    "question": 2000,
    "answer": 500,
    "rationale": 2000,
    # Of episodes (episodes.py).
    "item": 500,
    "asked": 2000,
    "observed": 2000,
}
OTHER_WORDS = {
    **dict.fromkeys(("_id", "uid", "key", "item", "item_id", "question_id", "qid", "idx"), "id"),
    **dict.fromkeys(("img", "picture", "photo", "file", "filename", "file_name"), "image"),
    **dict.fromkeys(("image_name", "image_path", "image_file", "images", "path"), "image"),
    **dict.fromkeys(("prompt", "query", "instruction", "q"), "question"),
    **dict.fromkeys(("label", "target", "response", "output", "a"), "answer"),
    **dict.fromkeys(("explanation", "reason", "justification", "gold"), "rationale"),
    **dict.fromkeys(("explanations", "reasons", "justifications"), "rationales"),
    **dict.fromkeys(("direct_answers", "human_answers", "annotations"), "answers"),
    **dict.fromkeys(("fold", "subset", "partition", "set"), "split"),
    **dict.fromkeys(("meta", "metadata", "extra"), "facts"),
}
"""What people call our columns elsewhere; only ever proposed, since it is not certain."""
MAX_RATIONALES = 50
MAX_ANSWERS = 50
_EXACT = 2**53
"""From here on not every whole number is one of JSON's."""
MAX_FACTS_CHARACTERS = 100_000

SPLITS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "validation": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "val": Split.VALIDATION,
    "dev": Split.VALIDATION,
    "test": Split.TEST,
}


@dataclass(frozen=True, slots=True)
class Row:
    """A row whose fields are checked. `images` are the names its image may have."""

    place: Place
    external_id: str
    images: tuple[str, ...]
    question: str
    answer: str
    gold_rationales: tuple[str, ...] = ()
    answers: tuple[str, ...] | None = None
    """What several people answered; None where the row does not speak of that."""
    split: Split | None = None
    facts: Json | None = None
    image_name: str | None = None
    """How the picture was called when it was first imported, where a release says it."""
    made_from: str | None = None
    """Of a row of a release: the sha256 of the picture that was imported, from which its own was
    made."""

    def of_release(self, made_from: str, image_name: str | None) -> "Row":
        """Returns the row of a release whose picture was made from an imported one."""
        return replace(self, made_from=made_from, image_name=image_name)

    def says_the_same(self, other: "Row") -> bool:
        """Whether another row tells the same of its item and picture, wherever it stands."""
        return replace(other, place=self.place, images=self.images) == self


@dataclass(frozen=True)
class Columns:
    """The columns that a kind of row has. other_words: what people call them elsewhere."""

    required: tuple[str, ...]
    optional: tuple[str, ...]
    expected: str
    other_words: Mapping[str, str]


ITEM_COLUMNS = Columns(REQUIRED, OPTIONAL, EXPECTED, OTHER_WORDS)


@dataclass
class ColumnCheck:
    """Gathers rows with wrong columns, so that one mistake in the naming gives one line."""

    problems: Problems
    columns: Columns = ITEM_COLUMNS
    _unknown: dict[str, list[Place]] = field(default_factory=dict)
    _missing: dict[str, list[Place]] = field(default_factory=dict)

    def look_at(self, place: Place, columns: Iterable[str]) -> bool:
        """Whether the row can be read; what is wrong is told by `report`."""
        names = set(columns)
        unknown = names.difference(self.columns.required, self.columns.optional)
        missing = [name for name in self.columns.required if name not in names]
        for name in sorted(unknown):
            self._unknown.setdefault(name, []).append(place)
        for name in missing:
            self._missing.setdefault(name, []).append(place)
        return not unknown and not missing

    def report(self) -> None:
        columns = self.columns
        for kind, found in (("unknown", self._unknown), ("missing", self._missing)):
            for name, places in found.items():
                parts = {"column": repr(name), "expected": columns.expected}
                if kind == "missing":
                    text = Sentence("the column %(column)s is missing; %(expected)s", **parts)
                elif meant := find_meant(
                    name, columns.required + columns.optional, columns.other_words
                ):
                    text = Sentence(
                        "the column %(column)s is not known; did you mean %(meant)s? %(expected)s",
                        meant=meant,
                        **parts,
                    )
                else:
                    text = Sentence("the column %(column)s is not known; %(expected)s", **parts)
                self.problems.add(_first_of(places), text)


def _first_of(places: Sequence[Place]) -> str:
    first, n_more = places[0].sentence(), len(places) - 1
    if not n_more:
        return first
    return CountedSentence(
        "%(place)s (and %(n)s more row)", "%(place)s (and %(n)s more rows)", n=n_more, place=first
    )


class BadField(Exception):
    """The fault of one field, as a sentence."""

    def __init__(self, problem: Sentence) -> None:
        super().__init__(problem)
        self.problem = problem


def check_row(place: Place, values: Mapping[str, Any], problems: Problems) -> Row | None:
    """Returns the checked row, or None after its problems were added."""
    found: dict[str, Any] = {}
    before = problems.count
    for name, check in (
        ("external_id", lambda: check_text(values.get("id"), "id")),
        ("images", lambda: (check_image_name(values.get("image")),)),
        ("question", lambda: check_text(values.get("question"), "question")),
        ("answer", lambda: check_text(values.get("answer"), "answer")),
        ("gold_rationales", lambda: check_rationales(values)),
        ("answers", lambda: check_answers(values.get("answers"))),
        ("split", lambda: check_split(values.get("split"))),
        ("facts", lambda: check_facts(values.get("facts"))),
    ):
        try:
            found[name] = check()
        except BadField as error:
            problems.add(place, error.problem)
    if problems.count > before:
        return None
    return Row(place=place, **found)


def column_of(name: str) -> str:
    """Returns the column that a header means: blanks around it and the size of letters do not
    matter.
    """
    written = folded(name).strip()
    return written if written in REQUIRED + OPTIONAL else name


def number_as_text(value: float) -> str:
    """Returns a number as people write it: a whole one without a point, however the
    file wrote it.
    """
    is_whole = value == int(value) and abs(value) < _EXACT
    return str(int(value)) if is_whole else str(value)


def check_text(value: object, name: str) -> str:
    """Returns a text without outer blanks. Numbers are taken too, as ids and answers often are."""
    if value is None:
        raise BadField(Sentence("%(field)s is missing", field=name))
    if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value):
        value = number_as_text(value)
    if not isinstance(value, str):
        raise BadField(
            Sentence(
                "%(field)s must be a text, but is %(value)s", field=name, value=describe(value)
            )
        )
    text = value.strip()
    if not text:
        raise BadField(Sentence("%(field)s is empty", field=name))
    limit = MAX_LENGTHS[name]
    if len(text) > limit:
        raise BadField(
            Sentence(
                "%(field)s has %(n)s characters; at most %(most)s are allowed",
                field=name,
                n=Amount(len(text)),
                most=Amount(limit),
            )
        )
    if not is_storable(text):
        raise BadField(
            Sentence("%(field)s holds a control character or half of a character", field=name)
        )
    return text


def check_image_name(value: object) -> str:
    name = check_text(value, "image")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in path.parts[0]:
        raise BadField(
            Sentence(
                "image must be a file name inside the images folder, but is %(value)s",
                value=repr(shorten(name)),
            )
        )
    return path.as_posix()


def check_rationales(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the gold rationales, each once, from `rationales` (a list) and
    `rationale` (a text).
    """
    given = _or_none(values.get("rationales"))
    if given is not None and not isinstance(given, list):
        raise BadField(
            Sentence("rationales must be a list of texts, but is %(value)s", value=describe(given))
        )
    texts = list(given or [])
    n_listed = len(texts)
    if (single := _or_none(values.get("rationale"))) is not None:
        texts.append(single)
    if len(texts) > MAX_RATIONALES:
        raise BadField(
            Sentence(
                "there are %(n)s rationales; at most %(most)s are allowed",
                n=len(texts),
                most=MAX_RATIONALES,
            )
        )
    checked = []
    for number, text in enumerate(texts, start=1):
        try:
            checked.append(check_text(text, "rationale"))
        except BadField as error:
            if number > n_listed or n_listed == 1:
                raise
            raise BadField(
                Sentence(
                    "%(problem)s (number %(n)s of the rationales)", problem=error.problem, n=number
                )
            ) from error
    return tuple(dict.fromkeys(checked))


def check_answers(value: object) -> tuple[str, ...] | None:
    """Returns what several people answered, in their order, each as often as it was given.

    None where there are none. An entry is a text, or an object that holds it as `answer`; who
    answered nothing is left out.
    """
    if (value := _or_none(value)) is None:
        return None
    if not isinstance(value, list):
        raise BadField(
            Sentence(
                "answers must be a list of what several people answered, but is %(value)s",
                value=describe(value),
            )
        )
    if len(value) > MAX_ANSWERS:
        raise BadField(
            Sentence(
                "there are %(n)s answers; at most %(most)s are allowed",
                n=len(value),
                most=MAX_ANSWERS,
            )
        )
    texts = [entry.get("answer") if isinstance(entry, dict) else entry for entry in value]
    given = tuple(check_text(text, "answer") for text in texts if _or_none(text) is not None)
    return given or None


def _or_none(value: object) -> object:
    """An optional field that holds nothing but blanks is as good as absent."""
    return None if isinstance(value, str) and not value.strip() else value


def check_split(value: object) -> Split | None:
    if (value := _or_none(value)) is None:
        return None
    split = SPLITS.get(value.strip().lower()) if isinstance(value, str) else None
    if split is None:
        raise BadField(
            Sentence(
                "split must be train, validation or test, but is %(value)s", value=describe(value)
            )
        )
    return split


def check_facts(value: object) -> Json | None:
    if (value := _or_none(value)) is None:
        return None
    if not isinstance(value, dict):
        raise BadField(Sentence("facts must be an object, but is %(value)s", value=describe(value)))
    try:
        text = json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise BadField(
            Sentence("facts hold a number that is not finite, or are nested too deep")
        ) from error
    if len(text) > MAX_FACTS_CHARACTERS:
        raise BadField(
            Sentence(
                "facts have %(n)s characters; at most %(most)s are allowed",
                n=Amount(len(text)),
                most=Amount(MAX_FACTS_CHARACTERS),
            )
        )
    if not all(is_storable(part) for part in _texts(value)):
        raise BadField(Sentence("facts hold a control character or half of a character"))
    return value


def _texts(value: object) -> Iterator[str]:
    """All texts in a JSON value, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def is_storable(text: str) -> bool:
    """Whether the database and every browser can hold this text."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return not any(character < " " and character not in "\t\n\r" for character in text)


def describe(value: object) -> str:
    """Returns a short name of a wrong value, for the message."""
    if isinstance(value, str):
        return repr(shorten(value))
    if isinstance(value, bool):
        return Sentence("true or false")
    number = Sentence("a number")
    names = {
        "dict": Sentence("an object"),
        "list": Sentence("a list"),
        "int": number,
        "float": number,
    }
    return names.get(type(value).__name__, "null")


def shorten(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
