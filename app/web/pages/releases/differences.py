"""The page that compares two releases of a project: which rows came, went and changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.sentences import Amount, Sentence
from app.models import Json, Release
from app.queries.releases.differences import Change, ChangedRow, find_differences
from app.queries.releases.releases import find_release, list_releases

MAX_SHOWN = 300
"""Characters of a value, on either side."""
CHANGE_LABELS: Mapping[Change, str] = {
    Change.ADDED: Sentence("Added"),
    Change.REMOVED: Sentence("Removed"),
    Change.ADMITTED: Sentence("Admitted now"),
    Change.WITHDRAWN: Sentence("No longer admitted"),
    Change.CHANGED: Sentence("Changed"),
}
KIND_LABELS: Mapping[str, str] = {
    "rationale": Sentence("Rationales"),
    "candidate": Sentence("Candidates"),
    "item": Sentence("Items"),
    "written": Sentence("Written"),
}


@dataclass(frozen=True)
class CountLine:
    """A number of rows that changed alike, with the address that lists them."""

    kind: str
    change: str
    n: int
    url: str
    is_shown: bool


@dataclass(frozen=True)
class FieldChange:
    """A part of a row that differs. Long lists are told by their lengths."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class DifferenceRow:
    item: str
    question: str
    answer: str
    rationale: str
    fields: Sequence[FieldChange]


@dataclass(frozen=True)
class DifferencesPage:
    release: Release
    since: Release
    others: Sequence[int]
    """The numbers of releases that it can be compared with."""
    counts: Sequence[CountLine]
    rows: Sequence[DifferenceRow]
    title: tuple[str, str] | None
    """Kind and change of the rows that are listed; None where nothing differs."""
    first_url: str
    """Empty on the first page."""
    next_url: str


def differences_page(
    session: Session, release: Release, *, since: int | None, kind: str, change: str, after: int
) -> DifferencesPage:
    """Builds the page; since None: the release before. Raises NotFound where there is none."""
    others = [one.number for one in list_releases(session, release.project_id)]
    others.remove(release.number)
    earlier = [number for number in others if number < release.number]
    number = since if since is not None else max(earlier, default=None)
    other = find_release(session, release.project_id, number) if number is not None else None
    if other is None or other.number == release.number:
        raise NotFound(Sentence("There is no such release to compare with."))
    found = find_differences(session, other.id, release.id, kind=kind, change=change, after=after)
    shown = found.shown
    url = f"/releases/{release.id}/changes"
    return DifferencesPage(
        release=release,
        since=other,
        others=others,
        counts=[
            CountLine(
                kind=KIND_LABELS.get(one.kind, one.kind),
                change=CHANGE_LABELS[one.change],
                n=one.n,
                url=_url(url, other, one.kind, one.change),
                is_shown=(one.kind, one.change) == shown,
            )
            for one in found.counts
        ],
        rows=[_row(row) for row in found.rows],
        title=(KIND_LABELS.get(shown[0], shown[0]), CHANGE_LABELS[shown[1]]) if shown else None,
        first_url=_url(url, other, *shown) if shown and after else "",
        next_url=_url(url, other, *shown, after=found.rows[-1].number)
        if shown and found.has_more
        else "",
    )


def _url(url: str, since: Release, kind: str, change: Change, after: int = 0) -> str:
    query: dict[str, object] = {"since": since.number, "kind": kind, "change": change.value}
    if after:
        query["after"] = after
    return f"{url}?{urlencode(query)}"


def _row(row: ChangedRow) -> DifferenceRow:
    payload = row.after or row.before or {}
    return DifferenceRow(
        item=payload["item"],
        question=payload.get("question", ""),
        answer=payload.get("answer", ""),
        rationale=payload.get("rationale", ""),
        fields=_fields(row.before, row.after) if row.before and row.after else (),
    )


def _fields(before: Json, after: Json) -> list[FieldChange]:
    names = [name for name in sorted({*before, *after}) if name not in {"kind", "row_id"}]
    return [
        FieldChange(
            name,
            _shown(before.get(name), after.get(name)),
            _shown(after.get(name), before.get(name)),
        )
        for name in names
        if before.get(name) != after.get(name)
    ]


def _shown(value: object, other: object) -> str:
    """A value beside that of the other release; of a list of objects, how many there are."""
    if value is None:
        return "–"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        others = other if isinstance(other, list) else []
        own = sum(entry not in others for entry in value)
        return Sentence("%(n)s, %(own)s of them only here", n=Amount(len(value)), own=Amount(own))
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"
