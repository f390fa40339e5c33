"""VQA-X: explanations for questions about COCO photographs, in its two published layouts.

By question: `{question id: {question, answers: 10 × {answer}, image_name, explanation: [...]}}`;
the answer is the one most people gave, the first one of several equally frequent.
By column, as the ILLUME paper's code keeps it: `{column: {row: value}}` with `question_id`,
`image_id`, `question`, `multiple_choice_answer`, `explanation`, `explanation_2` …

Neither names the split: it is taken from the file name where that ends in train, val or test.
"""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO, Any

from app.kit.sentences import Sentence
from app.lifecycle import Split
from app.services.dataset.formats.lines import decode
from app.services.dataset.formats.parsing import parse_json
from app.services.dataset.formats.problems import Place, Problems
from app.services.dataset.formats.rows import SPLITS, BadField, Row, check_image_name, check_row
from app.services.refusals import WrongFile

MAX_FILE_BYTES = 512 << 20
_COLUMNS = ("question_id", "image_id", "question", "multiple_choice_answer", "explanation")
_EXPLANATIONS = ("explanation", "explanation_2", "explanation_3")
_COCO_SETS = ("val2014", "train2014")
_SPLIT_IN_NAME = re.compile(r"(train|val|validation|test)$")
_EXPECTED = Sentence(
    "expected is the VQA-X layout: an object per question id with question, answers, image_name "
    "and explanation"
)


def read_vqa_x(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields the checked rows of a file in either layout."""
    content = load_object(stream, name, _EXPECTED)
    split = split_of_name(name)
    is_by_column = all(isinstance(content.get(column), dict) for column in _COLUMNS)
    entries = _by_column(content) if is_by_column else content
    for key, entry in entries.items():
        place = Place(name, key, "row" if is_by_column else "question")
        if not isinstance(entry, dict):
            problems.add(place, Sentence("is no object; %(expected)s", expected=_EXPECTED))
            continue
        try:
            values, images = _from_columns(entry) if is_by_column else _from_question(key, entry)
        except BadField as error:
            problems.add(place, error.problem)
            continue
        row = check_row(place, values, problems)
        if row is not None:
            yield Row(
                place=place,
                external_id=row.external_id,
                images=images,
                question=row.question,
                answer=row.answer,
                gold_rationales=row.gold_rationales,
                answers=row.answers,
                split=split,
            )


def split_of_name(name: str) -> Split | None:
    """Returns the split that a file such as `vqaX_val.json` says it holds."""
    match = _SPLIT_IN_NAME.search(PurePosixPath(name).stem.lower())
    return SPLITS[match.group(1)] if match else None


def load_object(stream: IO[bytes], name: str, expected: Sentence) -> dict[str, Any]:
    """Returns the whole file, refused early when it is too large or plainly something else."""
    start = stream.read(1 << 16)
    text_start = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text_start[:1] == b"[":
        raise WrongFile(
            Sentence(
                "%(file)s is a JSON list: write one object per line (JSONL); %(expected)s",
                file=name,
                expected=expected,
            )
        )
    if text_start[:1] != b"{":
        raise WrongFile(_no_object(name, expected))
    content = start + stream.read(MAX_FILE_BYTES - len(start) + 1)
    if len(content) > MAX_FILE_BYTES:
        raise WrongFile(
            Sentence("%(file)s is larger than %(n)s MB.", file=name, n=MAX_FILE_BYTES >> 20)
        )
    try:
        loaded = parse_json(decode(content.removeprefix(b"\xef\xbb\xbf"), name))
    except ValueError as error:
        raise WrongFile(
            Sentence("%(file)s is no JSON (%(error)s).", file=name, error=error.args[0])
        ) from error
    if not isinstance(loaded, dict):
        raise WrongFile(_no_object(name, expected))
    return loaded


def _no_object(name: str, expected: Sentence) -> Sentence:
    return Sentence("%(file)s is no JSON object; %(expected)s", file=name, expected=expected)


def _from_question(key: str, entry: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    missing = [
        column
        for column in ("question", "answers", "image_name", "explanation")
        if column not in entry
    ]
    if missing:
        raise BadField(
            Sentence("%(field)s is missing; %(expected)s", field=missing[0], expected=_EXPECTED)
        )
    answers = entry["answers"]
    if not isinstance(answers, list) or not all(isinstance(given, dict) for given in answers):
        raise BadField(Sentence("answers must be a list of objects"))
    texts = [given["answer"] for given in answers if isinstance(given.get("answer"), str)]
    if not texts:
        raise BadField(Sentence("answers hold no answer"))
    image = check_image_name(entry["image_name"])
    values = {
        "id": key,
        "image": image,
        "question": entry["question"],
        "answer": Counter(texts).most_common(1)[0][0],
        "answers": texts,
        "rationales": entry["explanation"],
    }
    # The photographs are usually kept in one folder per COCO set.
    in_sets = [f"{part}/{image}" for part in _COCO_SETS if part in image]
    return values, (image, *in_sets)


def _by_column(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {key: {} for key in content["question_id"]}
    for column, cells in content.items():
        if isinstance(cells, dict):
            for key, value in cells.items():
                rows.setdefault(key, {})[column] = value
    return rows


def _from_columns(entry: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    missing = [column for column in _COLUMNS if entry.get(column) is None]
    if missing:
        raise BadField(Sentence("%(field)s is missing", field=missing[0]))
    number = str(entry["image_id"])
    if not number.isdigit():
        raise BadField(
            Sentence("image_id must be a number, but is %(value)s", value=repr(number[:80]))
        )
    names = [f"COCO_{part}_{int(number):012d}.jpg" for part in _COCO_SETS]
    explanations = [entry.get(column) for column in _EXPLANATIONS]
    values = {
        "id": entry["question_id"],
        "image": names[0],
        "question": entry["question"],
        "answer": entry["multiple_choice_answer"],
        "answers": entry.get("answers"),
        "rationales": [text for text in explanations if text],
    }
    in_sets = [f"{part}/{name}" for part, name in zip(_COCO_SETS, names, strict=True)]
    return values, (*names, *in_sets)
