"""What the pages of guidelines show."""

from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.models import Project
from app.queries import guidelines as queries
from app.queries.guidelines import VersionRow
from app.services.differences import DiffLine
from app.services.guidelines import find_difference
from app.texts import Sentence
from app.web.markdown import render_markdown


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
    lines = find_difference(session, project.id, previous, number) if previous else ()
    return GuidelinesPage(
        versions=versions,
        number=number,
        rendered=render_markdown(shown.text),
        lines=lines,
        previous_number=previous,
        typed=project.guidelines if typed is None else typed,
        error=error,
    )
