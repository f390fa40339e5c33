"""What the pages of guidelines show."""

from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import Project
from app.queries import guidelines as queries
from app.queries.guidelines import VersionRow
from app.services.guidelines import Change
from app.texts import Sentence
from app.web.differences import DiffLine, diff_lines
from app.web.markdown import render_markdown


@dataclass(frozen=True)
class GuidelinesNews:
    """A change that the reader has not acknowledged yet."""

    number: int
    lines: tuple[DiffLine, ...]


@dataclass(frozen=True)
class GuidelinesPage:
    """The text to edit, and one of its versions with what it changed."""

    versions: list[VersionRow]
    number: int
    rendered: Markup
    lines: tuple[DiffLine, ...]
    previous_number: int | None
    typed: str
    error: str


def news_of(change: Change | None) -> GuidelinesNews | None:
    if change is None:
        return None
    lines = diff_lines(change.old, change.new) if change.old is not None else ()
    return GuidelinesNews(change.number, lines)


def guidelines_page(
    session: Session,
    project: Project,
    *,
    number: int | None = None,
    typed: str | None = None,
    error: str = "",
) -> GuidelinesPage:
    versions = queries.list_versions(session, project.id)
    number = number or project.guidelines_version
    shown = queries.find_version(session, project.id, number)
    if shown is None:
        raise NotFound(
            Sentence("There is no such version of the guidelines, or its text was not kept.")
        )
    previous = max((row.number for row in versions if row.number < number), default=None)
    before = queries.find_version(session, project.id, previous) if previous else None
    return GuidelinesPage(
        versions=versions,
        number=number,
        rendered=render_markdown(shown.text),
        lines=diff_lines(before.text, shown.text) if before else (),
        previous_number=previous,
        typed=project.guidelines if typed is None else typed,
        error=error,
    )
