"""What one person says about one item: read, compared and written to the row."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.critics.base import Fault
from app.kit.errors import Conflict, InvalidInput, StaleVersion
from app.kit.texts import Sentence, collapse, plain_lines
from app.models import Judgement

MAX_COMMENT = 2000
MAX_EDIT = 1000

FAULTS = frozenset(Fault)
"""What people may say is wrong with a candidate: the words that critics use too."""


class AnswerKept(Conflict):
    """The slot is gone, but the answer was written to the row before this was raised.

    Whoever catches it lets the transaction commit.
    """


@dataclass(frozen=True, slots=True)
class Answer:
    """The content of a judgement, in one form, so that two can be compared."""

    picked: tuple[int, ...]
    none_fits: bool
    answer_is_wrong: bool
    comment: str
    is_flagged: bool
    faults: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    edits: Mapping[int, str] = field(default_factory=dict)

    @property
    def says_something(self) -> bool:
        return bool(self.picked) or self.none_fits or self.answer_is_wrong

    def as_json(self) -> dict[str, Any]:
        return {
            "picked": list(self.picked),
            "none_fits": self.none_fits,
            "answer_is_wrong": self.answer_is_wrong,
            "comment": self.comment,
            "is_flagged": self.is_flagged,
            **self._beside(),
        }

    def _beside(self) -> dict[str, Any]:
        """What most answers do not have, and then do not mention."""
        beside = {"faults": stored_faults(self), "edits": stored_edits(self)}
        return {name: found for name, found in beside.items() if found}


EMPTY = Answer(picked=(), none_fits=False, answer_is_wrong=False, comment="", is_flagged=False)


def answer_of(judgement: Judgement) -> Answer:
    """What is stored."""
    return Answer(
        picked=tuple(sorted(judgement.picked)),
        none_fits=judgement.none_fits,
        answer_is_wrong=judgement.answer_is_wrong,
        comment=judgement.comment,
        is_flagged=judgement.is_flagged,
        faults={int(key): tuple(names) for key, names in judgement.faults.items()},
        edits={int(key): text for key, text in judgement.edits.items()},
    )


def stored_faults(answer: Answer) -> dict[str, list[str]]:
    return {str(key): list(names) for key, names in sorted(answer.faults.items())}


def stored_edits(answer: Answer) -> dict[str, str]:
    return {str(key): text for key, text in sorted(answer.edits.items())}


def clean_text(text: str) -> str:
    """As it is stored, so that the same text compares as the same whichever browser sent it."""
    return plain_lines(text).strip()


def edit_limit(texts: Iterable[str]) -> int:
    """Returns how long a better text may be: no shorter than the longest text of the item."""
    return max([MAX_EDIT, *map(len, texts)])


def sort_edits(
    judgement: Judgement, edits: Mapping[int, str], texts: Mapping[int, str]
) -> tuple[dict[int, str], frozenset[int]]:
    """Returns the better texts to keep, and the candidates whose better text is too long.

    One that says the same as its candidate is none. In place of one that is too long, what was
    stored before is kept, so that the rest of the answer can be stored. `texts` are those shown.
    """
    limit = edit_limit(texts.values())
    kept: dict[int, str] = {}
    too_long: set[int] = set()
    for candidate_id, text in edits.items():
        edit = clean_text(text)
        if len(edit) > limit:
            too_long.add(candidate_id)
            edit = judgement.edits.get(str(candidate_id), "")
        if edit and collapse(edit) != collapse(texts.get(candidate_id, "")):
            kept[candidate_id] = edit
    return kept, frozenset(too_long)


def read_answer(
    judgement: Judgement,
    *,
    picked: Iterable[int],
    none_fits: bool,
    answer_is_wrong: bool,
    comment: str,
    is_flagged: bool,
    faults: Mapping[int, Sequence[str]],
    edits: Mapping[int, str],
) -> Answer:
    """Check what came in against what was shown.

    Raises:
        InvalidInput: two of the three facts at once, a candidate that was not shown, a fault of
            one that was picked, or a text that is too long.
    """
    answer = Answer(
        picked=tuple(sorted(set(picked))),
        none_fits=none_fits,
        answer_is_wrong=answer_is_wrong,
        comment=clean_text(comment),
        is_flagged=is_flagged,
        faults={key: tuple(sorted(set(names))) for key, names in faults.items() if names},
        edits={key: clean_text(text) for key, text in edits.items() if clean_text(text)},
    )
    named = {*answer.picked, *answer.faults, *answer.edits}
    if not named <= set(judgement.shown_order):
        raise InvalidInput(
            Sentence("A chosen rationale does not belong to this item. Reload the page.")
        )
    if (bool(answer.picked), none_fits, answer_is_wrong).count(True) > 1:
        raise InvalidInput(
            Sentence(
                "Choose rationales, or “None fits”, or “The answer is wrong”: only one of the "
                "three can be true."
            )
        )
    if len(answer.comment) > MAX_COMMENT:
        raise InvalidInput(Sentence("The comment is longer than %(n)s characters.", n=MAX_COMMENT))
    _check_candidates(answer)
    return answer


def _check_candidates(answer: Answer) -> None:
    if unknown := {name for names in answer.faults.values() for name in names} - FAULTS:
        raise InvalidInput(
            Sentence("There is no fault called “%(name)s”. Reload the page.", name=min(unknown))
        )
    if set(answer.faults) & set(answer.picked):
        raise InvalidInput(
            Sentence("A rationale that you pick has no fault: take back the pick or the fault.")
        )


def write(judgement: Judgement, answer: Answer, *, version: int, now: datetime) -> None:
    """Store the content, unless the same is there already (a request that came twice)."""
    if answer == answer_of(judgement):
        return
    if version != judgement.version:
        raise StaleVersion(
            Sentence(
                "This item was changed in another tab or window since this page was loaded. "
                "Nothing was overwritten."
            )
        )
    judgement.picked = list(answer.picked)
    judgement.none_fits = answer.none_fits
    judgement.answer_is_wrong = answer.answer_is_wrong
    judgement.comment = answer.comment
    judgement.is_flagged = answer.is_flagged
    judgement.faults = stored_faults(answer)
    judgement.edits = stored_edits(answer)
    judgement.version += 1
    judgement.updated_at = now


def count_time(judgement: Judgement, active_ms: int, now: datetime) -> None:
    """Active time only grows, and cannot exceed the time since the item was handed out."""
    since_lease = int((now - judgement.leased_at) / timedelta(milliseconds=1))
    judgement.active_ms = max(judgement.active_ms, min(active_ms, since_lease))
