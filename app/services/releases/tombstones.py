"""Rows that a former release held and the new one does not: named with the reason, not the text."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from app.models import Json, Project, Release
from app.queries.accounts.users import list_erased
from app.queries.releases.items import ItemFate, find_item_fates
from app.queries.releases.releases import list_rows_not_held
from app.services.accounts.pseudonyms import pseudonym
from app.services.releases.figures import AUTHOR_ERASED
from app.services.releases.rows import ReleasedRow


def build_tombstones(
    session: Session, project: Project, last: Release | None
) -> Iterator[ReleasedRow]:
    """Yields one tombstone per row of the last release, or tombstone in it, that the new one does
    not bring back. The rows of the new one were noted as held before.
    """
    if last is None:
        return
    gone: dict[tuple[str, str], tuple[int, Json]] = {}
    for item_id, row in list_rows_not_held(session, last.id):
        kind = row["former_kind"] if row["kind"] == "tombstone" else row["kind"]
        gone.setdefault((row["row_id"], kind), (item_id, row))
    fates = find_item_fates(session, sorted({item_id for item_id, _ in gone.values()}))
    erased = {pseudonym(project, id_) for id_ in list_erased(session)} if gone else set()
    for (row_id, kind), (item_id, row) in sorted(gone.items()):
        is_new = row["kind"] != "tombstone"
        reason = _reason(fates.get(item_id), is_erased=_is_erased(row, erased))
        yield ReleasedRow(
            item_id,
            {
                "kind": "tombstone",
                "row_id": row_id,
                "former_kind": kind,
                "item": row["item"],
                "reason": reason if is_new else row["reason"],
                "last_release": last.number if is_new else int(row["last_release"]),
            },
        )


def _is_erased(row: Json, erased: set[str]) -> bool:
    return row["kind"] == "written" and row["author"] in erased


def _reason(fate: ItemFate | None, *, is_erased: bool) -> str:
    if is_erased:
        return AUTHOR_ERASED
    if fate is None:
        return "the item was removed"
    if fate.is_excluded:
        return "the item was excluded"
    if fate.is_withdrawn:
        return "the image was withdrawn"
    if fate.is_set_aside:
        return "annotators found the answer wrong"
    return "the rationale is no longer admitted"
