"""The page of the items that changed most between two rounds, before and after, with pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.sentences import Sentence
from app.models import Item, Prediction, Project
from app.queries.rounds import side_by_side as queries
from app.queries.rounds.side_by_side import PAGE_SIZE, Change, JudgedText
from app.services.rounds.side_by_side import Side, find_sides
from app.web.language.labels import word
from app.web.pages.rounds.side_by_side import (
    CHANGE_LABELS,
    changes_url,
    compare_url,
    side_label,
)

MAX_PAGE = 100_000


@dataclass(frozen=True)
class Told:
    """What one side says of an item: a text with its verdict, and the model's answer where it gave
    one. kind: the colour of the badge."""

    text: str
    verdict: str
    kind: str
    answer: str = ""


@dataclass(frozen=True)
class ChangedItem:
    item: Item
    before: Told | None
    after: Told | None


@dataclass(frozen=True)
class ChangedPage:
    project: Project
    before: Sentence
    after: Sentence
    change: Change
    label: Sentence
    tabs: Sequence[tuple[str, str]]
    """(address, label) of every kind of change."""
    url: str
    back_url: str
    rows: Sequence[ChangedItem]
    previous_url: str
    next_url: str


def changed_page(
    session: Session,
    project: Project,
    *,
    before: int | None,
    after: int | None,
    change: str,
    page: int,
) -> ChangedPage:
    """Builds one page of the list. Raises NotFound where there are no such rounds or change."""
    sides = find_sides(session, project, before=before, after=after)
    if sides is None or change not in list(Change):
        raise NotFound(Sentence("There is no such list of items. Compare two rounds first."))
    first, second = sides
    chosen = Change(change)
    page = min(max(1, page), MAX_PAGE)
    skip, limit = (page - 1) * PAGE_SIZE, PAGE_SIZE + 1
    if chosen in queries.OF_ADMISSION:
        rows = _admission_rows(session, first, second, chosen, skip=skip, limit=limit)
    else:
        rows = _held_out_rows(session, first, second, chosen, skip=skip, limit=limit)
    has_more = len(rows) > PAGE_SIZE

    def url(change: Change, page: int = 1) -> str:
        return changes_url(project, first.number, second.number, change, page=page)

    has_both = first.round is not None and second.round is not None
    return ChangedPage(
        project=project,
        before=side_label(first.number),
        after=side_label(second.number),
        change=chosen,
        label=CHANGE_LABELS[chosen],
        tabs=[
            (url(each), label)
            for each, label in CHANGE_LABELS.items()
            if has_both or each not in queries.OF_ADMISSION
        ],
        url=url(chosen),
        back_url=compare_url(project, first.number, second.number),
        rows=rows[:PAGE_SIZE],
        previous_url=url(chosen, page - 1) if page > 1 else "",
        next_url=url(chosen, page + 1) if has_more else "",
    )


def _held_out_rows(
    session: Session, before: Side, after: Side, change: Change, *, skip: int, limit: int
) -> list[ChangedItem]:
    found = queries.list_held_out_changes(
        session, before.run_ids, after.run_ids, change, skip=skip, limit=limit
    )
    return [ChangedItem(row.item, _said(row.before), _said(row.after)) for row in found]


def _said(prediction: Prediction) -> Told:
    if prediction.fits:
        return Told(prediction.rationale, Sentence("fits"), "ok", prediction.answer)
    if not prediction.answer_is_right:
        verdict: str = Sentence("wrong answer")
    elif prediction.fits is None:
        return Told(prediction.rationale, Sentence("no verdict"), "", prediction.answer)
    else:
        verdict = word(prediction.fault) if prediction.fault else Sentence("does not fit")
    return Told(prediction.rationale, verdict, "bad", prediction.answer)


def _admission_rows(
    session: Session, before: Side, after: Side, change: Change, *, skip: int, limit: int
) -> list[ChangedItem]:
    if before.round is None or after.round is None:
        return []
    items = queries.list_admission_changes(
        session, before.round.id, after.round.id, change, skip=skip, limit=limit
    )
    ids = [item.id for item in items]
    old = queries.list_best_texts(session, before.round.id, ids)
    new = queries.list_best_texts(session, after.round.id, ids)
    return [ChangedItem(item, _judged(old.get(item.id)), _judged(new.get(item.id)))
            for item in items]  # fmt: skip


def _judged(text: JudgedText | None) -> Told | None:
    if text is None:
        return None
    votes = Sentence("%(n)s of %(all)s say it fits", n=text.n_fits, all=text.n_votes)
    if text.is_admitted:
        return Told(text.text, Sentence("admitted: %(votes)s", votes=votes), "ok")
    return Told(text.text, votes, "")
