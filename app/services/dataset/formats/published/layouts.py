"""Tells from the beginning of a JSON file in which published layout it is."""

import re
from collections.abc import Iterator
from typing import IO

from app.services.dataset.formats.problems import Problems
from app.services.dataset.formats.published.a_okvqa import read_a_okvqa
from app.services.dataset.formats.published.act_x import read_act_x
from app.services.dataset.formats.published.clevr_x import read_clevr_x
from app.services.dataset.formats.published.vqa_x import read_vqa_x
from app.services.dataset.formats.rows import Row

_BEGINNING = 1 << 16
_LIST_OF_QUESTIONS = re.compile(r'^\[\s*\{[^\[\]{}]*"(question_id|image_id)"')
_QUESTIONS_OR_INFO = re.compile(r'^\{\s*"(info|questions)"\s*:\s*[\[{]')
_ANSWER_IS_TEXT = re.compile(r'^\{\s*"[^"]*"\s*:\s*\{[^{}]*"answers?"\s*:\s*"')


def read_published(stream: IO[bytes], name: str, problems: Problems) -> Iterator[Row]:
    """Yields the rows of a `.json` file, in whichever of the layouts it is.

    What looks like none of them is refused with what the VQA-X layout wants.
    """
    start = (
        stream.read(_BEGINNING).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip()
    )
    stream.seek(0)
    if _LIST_OF_QUESTIONS.match(start):
        return read_a_okvqa(stream, name, problems)
    if _QUESTIONS_OR_INFO.match(start):
        return read_clevr_x(stream, name, problems)
    # VQA-X has a question in each entry, and the answers of several people.
    if _ANSWER_IS_TEXT.match(start) and '"question"' not in start:
        return read_act_x(stream, name, problems)
    return read_vqa_x(stream, name, problems)
