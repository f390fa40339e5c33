"""ACT-X: photographs of the MPII Human Pose dataset, each with what the person does and reasons.

An object per picture with `answers` (what the person does), `explanation` (a list) and
`image_name`; where that is missing the picture is called as the key. All have the same question,
which the published files leave out. The split is taken from the file name where that ends in train,
val or test.
"""

from collections import Counter
from collections.abc import Iterator
from typing import IO, Any

from app.kit.sentences import Sentence
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.published.vqa_x import load_object, split_of_name
from app.services.dataset.formats.rows import BadField, Row, check_row

QUESTION = "What is the person doing?"
_EXPECTED = Sentence(
    "expected is the ACT-X layout: an object per picture with answers, explanation and image_name"
)
_FOLDER = "mpi"


def read_act_x(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields the checked rows of the published file."""
    split = split_of_name(name)
    for key, entry in load_object(stream, name, _EXPECTED).items():
        place = Place(name, key, "picture")
        if not isinstance(entry, dict):
            problems.add(place, Sentence("is no object; %(expected)s", expected=_EXPECTED))
            continue
        try:
            values = _from_picture(key, entry)
        except BadField as error:
            problems.add(place, error.problem)
            continue
        row = check_row(place, values, problems)
        if row is not None:
            yield Row(
                place=place,
                external_id=row.external_id,
                images=(row.images[0], f"{_FOLDER}/{row.images[0]}"),
                question=row.question,
                answer=row.answer,
                gold_rationales=row.gold_rationales,
                answers=row.answers,
                split=split,
            )


def _from_picture(key: str, entry: dict[str, Any]) -> dict[str, Any]:
    answer = entry.get("answers", entry.get("answer"))
    answers = answer if isinstance(answer, list) else None
    if isinstance(answer, list):
        texts = [one.get("answer") if isinstance(one, dict) else one for one in answer]
        found = Counter(text for text in texts if isinstance(text, str)).most_common(1)
        answer = found[0][0] if found else None
    if answer is None:
        raise BadField(
            Sentence("%(field)s is missing; %(expected)s", field="answers", expected=_EXPECTED)
        )
    explanation = entry.get("explanation")
    return {
        "id": key,
        "image": entry.get("image_name") or f"{key}.jpg",
        "question": QUESTION,
        "answer": answer,
        "answers": answers,
        "rationales": [explanation] if isinstance(explanation, str) else explanation,
    }
