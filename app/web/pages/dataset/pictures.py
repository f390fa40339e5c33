"""The page of images that nobody has asked about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.lifecycle import Split
from app.models import Project
from app.queries.dataset import pictures as queries


@dataclass(frozen=True)
class AlonePage:
    """Images without any question, one page of them, and how many there are by split."""

    rows: Sequence[queries.AloneRow]
    counts: Mapping[Split, int]
    is_first: bool
    next_url: str


def alone_page(session: Session, project: Project, *, after: str) -> AlonePage:
    """Returns the page of images whose content comes behind `after`."""
    rows = queries.list_alone(session, project.id, after=after, limit=queries.PAGE_SIZE + 1)
    has_more = len(rows) > queries.PAGE_SIZE
    rows = rows[: queries.PAGE_SIZE]
    return AlonePage(
        rows=rows,
        counts=queries.count_alone(session, project.id),
        is_first=not after,
        next_url=f"/projects/{project.slug}/images?after={rows[-1].image_sha256}"
        if has_more
        else "",
    )
