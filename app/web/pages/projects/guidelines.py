"""The pages of guidelines."""

from dataclasses import dataclass

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.kit.errors import NotFound
from app.kit.sentences import Sentence
from app.models import Project
from app.queries.projects import guidelines as queries
from app.queries.projects.guidelines import VersionRow
from app.queries.projects.guidelines_pictures import list_pictures
from app.services.projects.differences import DiffLine
from app.services.projects.guidelines import find_difference
from app.services.projects.guidelines_pictures import line_of
from app.web.assets.image_urls import THUMB_WIDTHS, image_url
from app.web.render.guidelines_text import render_guidelines


@dataclass(frozen=True)
class PictureRow:
    """A picture that can be put in, with the line that shows it."""

    number: int
    image_url: str
    full_image_url: str
    alt: str
    line: str


@dataclass(frozen=True)
class Typed:
    """The form as an admin sent it, where it is not saved (yet), with the reason."""

    text: str
    version: int | None = None
    alt: str = ""
    item: str = ""
    error: str = ""
    picture_error: str = ""
    added: str = ""
    """The line of a picture that was just added, and stands at the end of the text."""


@dataclass(frozen=True)
class GuidelinesPage:
    """The text to edit, and one of its versions with what it changed."""

    versions: list[VersionRow]
    number: int
    rendered: Markup
    lines: tuple[DiffLine, ...]
    previous_number: int | None
    typed: Typed
    pictures: list[PictureRow]


def guidelines_page(
    session: Session,
    project: Project,
    *,
    number: int | None = None,
    typed: Typed | None = None,
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
        rendered=render_guidelines(session, project, shown.text),
        lines=lines,
        previous_number=previous,
        typed=typed or Typed(project.guidelines),
        pictures=list_picture_rows(session, project),
    )


def list_picture_rows(session: Session, project: Project) -> list[PictureRow]:
    """Returns the pictures of the guidelines, the newest first."""
    return [
        PictureRow(
            number=picture.number,
            image_url=image_url(project.slug, image.sha256, THUMB_WIDTHS[0]),
            full_image_url=image_url(project.slug, image.sha256),
            alt=picture.alt,
            line=line_of(picture.number, picture.alt),
        )
        for picture, image in reversed(list_pictures(session, project.id))
    ]
