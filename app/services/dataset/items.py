"""An admin's hand on single items: leave one out, take it back in, correct its wording.

Judged work is never rewritten. An item that no round has touched is corrected in place; otherwise
the correction is a new item beside the old one, which is excluded and keeps its candidates,
verdicts and admissions as they were made.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.events.dataset import ItemCorrected, ItemEvent, ItemExcluded, ItemIncluded, ItemReplaced
from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.texts import is_unchanged, plain_lines
from app.models import Item, User
from app.queries.dataset import items as queries
from app.queries.runs.failures import release_failed_places
from app.services.events import record
from app.services.judging.ending import end_soon
from app.services.refusals import ItemIsExcluded, ItemIsIncluded

MAX_REASON = 500
MAX_LENGTHS = {"question": 2000, "answer": 500, "gold rationale": 2000}
"""As imports have them."""
_EMPTY = {
    "question": Sentence("The question must not be empty."),
    "answer": Sentence("The answer must not be empty."),
    "gold rationale": Sentence("The gold rationale must not be empty."),
}
_TOO_LONG = {
    "question": Sentence(
        "The question is longer than %(n)s characters.", n=MAX_LENGTHS["question"]
    ),
    "answer": Sentence("The answer is longer than %(n)s characters.", n=MAX_LENGTHS["answer"]),
    "gold rationale": Sentence(
        "The gold rationale is longer than %(n)s characters.", n=MAX_LENGTHS["gold rationale"]
    ),
}
MAX_EXTERNAL_ID = 500
MAX_GOLD_RATIONALES = 50


def exclude_item(session: Session, item: Item, *, reason: str, actor: User | None) -> None:
    """Leave an item out from now on: not sampled, judged, trained on, evaluated or released.

    In an open round it leaves the queue, and who holds it is freed; what is submitted stays on
    record.
    """
    reason = " ".join(reason.split())
    if not reason:
        raise InvalidInput(Sentence("Say why the item is left out: the reason is kept with it."))
    if len(reason) > MAX_REASON:
        raise InvalidInput(Sentence("The reason is longer than %(n)s characters.", n=MAX_REASON))
    item = queries.lock_item(session, item.id)
    if item.excluded_at is not None:
        raise ItemIsExcluded(Sentence("This item is already excluded."))
    item.excluded_at = datetime.now(UTC)
    item.excluded_reason = reason
    _record(session, ItemExcluded(item_id=item.id, reason=reason), item, actor)
    for round_id in queries.take_out_of_open_round(session, item.id):
        # It may have been the last one that the round waited for.
        end_soon(session, round_id)


def include_item(session: Session, item: Item, *, actor: User | None) -> None:
    """Take an excluded item back in; the next round finds it again, also when its image had made
    a round set it aside: whoever includes it has mended that."""
    item = queries.lock_item(session, item.id)
    if item.excluded_at is None:
        raise ItemIsIncluded(Sentence("This item is not excluded."))
    item.excluded_at = None
    item.excluded_reason = None
    release_failed_places(session, item.id)
    _record(session, ItemIncluded(item_id=item.id), item, actor)


def is_history(session: Session, item: Item) -> bool:
    """Whether work was done under the item's wording: then a correction is a new item."""
    return queries.has_been_used(session, item.id)


def correct_item(
    session: Session,
    item: Item,
    *,
    question: str,
    answer: str,
    gold_rationales: Sequence[str] | None = None,
    actor: User | None,
) -> Item:
    """Change the wording; returns the item that has it now (a new one where judged work stands).

    A text that came back as it stood stays to the byte; of others the outer blanks are dropped.

    Args:
        gold_rationales: all reference rationales, empty ones left out; None keeps those that are
            there.
    """
    item = queries.lock_item(session, item.id)
    if item.excluded_at is not None:
        raise ItemIsExcluded(Sentence("This item is excluded: include it first."))
    question = _reworded(question, item.question, "question")
    answer = _reworded(answer, item.answer, "answer")
    gold = list(item.gold_rationales)
    if gold_rationales is not None:
        gold = _reworded_gold(gold_rationales, gold)
    if (question, answer, gold) == (item.question, item.answer, list(item.gold_rationales)):
        raise InvalidInput(Sentence("Nothing was changed."))
    old = {"question": item.question, "answer": item.answer}
    if not is_history(session, item):
        item.question, item.answer, item.gold_rationales = question, answer, gold
        item.version += 1
        corrected = ItemCorrected(item_id=item.id, old=old, version=item.version)
        _record(session, corrected, item, actor)
        return item
    replacement = _add_replacement(session, item, question, answer, gold)
    exclude_item(session, item, reason=f"Corrected as {replacement.external_id}.", actor=actor)
    replaced = ItemReplaced(item_id=item.id, replacement_id=replacement.id)
    _record(session, replaced, item, actor)
    corrected = ItemCorrected(
        item_id=replacement.id, old=old, version=replacement.version, replaced_id=item.id
    )
    _record(session, corrected, replacement, actor)
    return replacement


def _add_replacement(
    session: Session, item: Item, question: str, answer: str, gold: list[str]
) -> Item:
    """A new item on the same image, in the same split, with the next free name."""
    stem, _, ending = item.external_id.rpartition("~")
    stem = stem if stem and ending.isdigit() else item.external_id
    for number in count(item.version + 1):
        suffix = f"~{number}"
        replacement = Item(
            project_id=item.project_id,
            image_sha256=item.image_sha256,
            image_name=item.image_name,
            split=item.split,
            external_id=stem[: MAX_EXTERNAL_ID - len(suffix)] + suffix,
            question=question,
            answer=answer,
            gold_rationales=gold,
            answers=item.answers,
            facts=item.facts,
            version=item.version + 1,
        )
        try:
            with session.begin_nested():
                session.add(replacement)
            return replacement
        except IntegrityError:
            continue  # the name is taken: the next number
    raise AssertionError("count() does not end")


def _reworded(text: str, stored: str, what: str) -> str:
    return stored if is_unchanged(text, stored) else _checked(text, what)


def _reworded_gold(texts: Sequence[str], stored: Sequence[str]) -> list[str]:
    """Each that is there already as it is stored, the one in the same place first."""
    left = list(stored)
    found = []
    for number, text in enumerate(texts):
        same = [old for old in (*stored[number : number + 1], *left) if is_unchanged(text, old)]
        if same:
            found.append(same[0])
            if same[0] in left:
                left.remove(same[0])
        elif text.strip():
            found.append(_checked(text, "gold rationale"))
    if len(found) > max(MAX_GOLD_RATIONALES, len(stored)):
        raise InvalidInput(
            Sentence("An item has at most %(n)s gold rationales.", n=MAX_GOLD_RATIONALES)
        )
    return found


def _checked(text: str, what: str) -> str:
    text = plain_lines(text).strip()
    if not text:
        raise InvalidInput(_EMPTY[what])
    if len(text) > MAX_LENGTHS[what]:
        raise InvalidInput(_TOO_LONG[what])
    return text


def _record(session: Session, event: ItemEvent, item: Item, actor: User | None) -> None:
    record(session, event, project_id=item.project_id, actor=actor)
