"""CLEVR-X: questions about rendered scenes with explanations that were made by rules.

An object with `questions`, a list of objects with `question_index`, `image_filename`, `split`,
`question`, `answer` and `factual_explanation`. As published, CLEVR's validation part is the test
split; CLEVR's train part is for training and validation. Which of its pictures are for validation
was published as pickled lists, which are not read here: a tenth is, by a hash of the names.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import IO, Any

from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.published.json_stream import objects_in
from app.services.dataset.formats.rows import BadField, Row, check_row, describe

_VALIDATION_SHARE = 10


def read_clevr_x(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields the checked rows of the published file; explanations of one question that stand in
    several objects after each other become one row.
    """
    held: Row | None = None
    for number, entry in enumerate(objects_in(stream, name, key="questions"), start=1):
        row = _read(entry, name, number, problems)
        if row is None:
            continue
        if held is not None and held.external_id == row.external_id:
            texts = dict.fromkeys((*held.gold_rationales, *row.gold_rationales))
            held = replace(held, gold_rationales=tuple(texts))
            continue
        if held is not None:
            yield held
        held = row
    if held is not None:
        yield held


def _read(entry: Any, name: str, number: int, problems: Problems) -> Row | None:
    if not isinstance(entry, dict):
        problem = Sentence("must be an object, but is %(value)s", value=describe(entry))
        problems.add(Place(name, number, "row"), problem)
        return None
    place = Place(name, str(entry.get("question_index", number)), "question")
    part = entry.get("split")
    try:
        split = _split_of(part, str(entry.get("image_filename")))
    except BadField as error:
        problems.add(place, error.problem)
        return None
    explanation = entry.get("factual_explanation")
    values = {
        "id": f"{part}-{entry['question_index']}" if "question_index" in entry else None,
        "image": entry.get("image_filename"),
        "question": entry.get("question"),
        "answer": entry.get("answer"),
        "rationales": [explanation] if isinstance(explanation, str) else explanation,
    }
    row = check_row(place, values, problems)
    if row is None:
        return None
    return replace(row, images=(row.images[0], f"{part}/{row.images[0]}"), split=split)


def _split_of(part: object, image: str) -> Split:
    if part == "val":
        return Split.TEST
    if part != "train":
        raise BadField(
            Sentence("split must be train or val, but is %(value)s", value=describe(part))
        )
    hashed = int(hashlib.sha256(f"CLEVR-X {image}".encode()).hexdigest()[:8], 16)
    return Split.VALIDATION if hashed % _VALIDATION_SHARE == 0 else Split.TRAIN
