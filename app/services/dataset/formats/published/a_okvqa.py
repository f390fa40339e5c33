"""A-OKVQA: questions about COCO photographs that need knowledge, each with three rationales.

A list of objects with `question_id`, `image_id`, `question`, `choices`, `correct_choice_idx`,
`direct_answers`, `rationales` and `split`. The answer is the right one of the choices. The test
split was published without answers and rationales, so nothing can be explained there.
`direct_answers` are what ten people answered freely.
"""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.published.json_stream import objects_in
from app.services.dataset.formats.published.vqa_x import split_of_name
from app.services.dataset.formats.rows import BadField, Row, check_row, describe

COLUMNS = frozenset({"question_id", "question", "choices", "correct_choice_idx"})
"""By these a table is known to be A-OKVQA."""
_SETS = ("train2017", "val2017", "test2017")


def read_a_okvqa(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields the checked rows of the published file."""
    split = split_of_name(name)
    for number, entry in enumerate(objects_in(stream, name), start=1):
        if not isinstance(entry, dict):
            problem = Sentence("must be an object, but is %(value)s", value=describe(entry))
            problems.add(Place(name, number, "row"), problem)
            continue
        place = Place(name, str(entry.get("question_id", number)), "question")
        try:
            values = {**as_item(entry), "image": _image_of(entry)}
        except BadField as error:
            problems.add(place, error.problem)
            continue
        row = check_row(place, values, problems)
        if row is not None:
            image = row.images[0]
            in_sets = tuple(f"{folder}/{image}" for folder in _SETS)
            yield Row(
                place=place,
                external_id=row.external_id,
                images=(image, *in_sets),
                question=row.question,
                answer=row.answer,
                gold_rationales=row.gold_rationales,
                answers=row.answers,
                split=row.split or split,
            )


def as_item(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Returns an entry by the names of our columns, without its picture. Raises BadField."""
    return {
        "id": entry.get("question_id"),
        "question": entry.get("question"),
        "answer": _answer_of(entry),
        "rationales": _listed(entry.get("rationales")),
        "answers": _listed(entry.get("direct_answers")),
        "split": entry.get("split"),
    }


def _answer_of(entry: Mapping[str, Any]) -> object:
    choices, index = entry.get("choices"), entry.get("correct_choice_idx")
    if isinstance(choices, list) and isinstance(index, int) and 0 <= index < len(choices):
        return choices[index]
    answers = _listed(entry.get("direct_answers"))
    if isinstance(answers, list) and (texts := [one for one in answers if isinstance(one, str)]):
        return Counter(texts).most_common(1)[0][0]
    raise BadField(
        Sentence("has no answer (the test split of A-OKVQA was published without any)"),
    )


def _listed(value: object) -> object:
    """A list that some copies of the data write as Python would print it."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        return ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value


def _image_of(entry: Mapping[str, Any]) -> str:
    number = str(entry.get("image_id", ""))
    if not number.isdigit():
        raise BadField(
            Sentence("image_id must be a number, but is %(value)s", value=repr(number[:80]))
        )
    return f"{int(number):012d}.jpg"
