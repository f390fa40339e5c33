"""Pictures in guidelines: kept in the store as items' pictures are, and shown by their number.

They come through the same door as the pictures of an import, so limits and refusals are the same.
A text shows one as `![what it shows](picture:3)`. Numbers are the project's and are never given
again: what an old version showed, it shows for ever.
"""

import re

from sqlalchemy.orm import Session

from app.events.projects import GuidelinesPictureAdded
from app.kit.errors import InvalidInput
from app.kit.sentences import Sentence
from app.kit.storage import put_image, shown_name
from app.models import GuidelinesPicture, Json, Project, User
from app.queries.dataset.imports import hold_images
from app.queries.projects import guidelines_pictures as queries
from app.queries.projects.guidelines import lock_project
from app.services.dataset.formats.images import BadImage, BytesSource, ParsedImage, verify_image
from app.services.events import record

MAX_PICTURES = 200
MAX_ALT = 500

_MENTION = re.compile(r"(?<=[(<\s])picture:(\d{1,6})(?!\w)")
_MARKS = re.compile(r"[\\\[\]`*_<&!]")


def verify_picture(content: bytes, filename: str) -> ParsedImage:
    """Read a picture that was sent as everybody will see it. Raises InvalidInput with its fault."""
    try:
        return verify_image(BytesSource(content), filename)
    except BadImage as error:
        raise InvalidInput(
            Sentence("%(subject)s %(fault)s.", subject=filename, fault=error.fault)
        ) from error


def add_picture(
    session: Session, project: Project, picture: ParsedImage, *, alt: str, actor: User | None
) -> str:
    """Keep a verified picture; returns the line that shows it.

    Raises InvalidInput when nothing says what it shows, or the project has too many.
    """
    alt = _checked_alt(alt)
    project = lock_project(session, project.id)
    row = {
        "sha256": picture.sha256,
        "media_type": picture.media_type,
        "width": picture.width,
        "height": picture.height,
        "n_bytes": picture.n_bytes,
    }
    hold_images(session, [row])
    put_image(picture.read(), picture.media_type)
    return _add(session, project, picture.sha256, alt, actor)


def add_picture_of_item(
    session: Session, project: Project, external_id: str, *, alt: str, actor: User | None
) -> str:
    """Let guidelines show an item's picture; returns the line that shows it.

    Raises InvalidInput when there is no such item, nothing says what the picture shows, or the
    project has too many.
    """
    alt = _checked_alt(alt)
    project = lock_project(session, project.id)
    image = queries.find_item_image(session, project.id, external_id.strip())
    if image is None:
        raise InvalidInput(Sentence("This project has no item with that id."))
    return _add(session, project, image.sha256, alt, actor)


def list_mentioned(text: str) -> list[int]:
    """Returns the numbers of the pictures that a text shows, each once and the lowest first."""
    return sorted({int(found[1]) for found in _MENTION.finditer(text)})


def describe_mentioned(session: Session, project: Project) -> list[Json]:
    """Returns the pictures that the guidelines show now, as a release names them."""
    mentioned = set(list_mentioned(project.guidelines))
    if not mentioned:
        return []
    return [
        {
            "number": picture.number,
            "image": image.sha256,
            "image_file": shown_name(image.sha256, image.media_type),
        }
        for picture, image in queries.list_pictures(session, project.id)
        if picture.number in mentioned
    ]


def with_files(text: str, files: dict[int, str]) -> str:
    """Returns the text with each picture by the path of its file, where it has one."""
    return _MENTION.sub(lambda found: files.get(int(found[1]), found[0]), text)


def line_of(number: int, alt: str) -> str:
    """Returns the Markdown that shows a picture."""
    said = _MARKS.sub(r"\\\g<0>", alt)
    return f"![{said}](picture:{number})"


def _checked_alt(alt: str) -> str:
    alt = " ".join(alt.split())
    if not alt:
        raise InvalidInput(
            Sentence("Say what the picture shows: people who cannot see it read that instead.")
        )
    if len(alt) > MAX_ALT:
        raise InvalidInput(
            Sentence("What a picture shows is said in at most %(n)s characters.", n=MAX_ALT)
        )
    return alt


def _add(session: Session, project: Project, sha256: str, alt: str, actor: User | None) -> str:
    kept = queries.find_picture_of(session, project.id, sha256)
    if kept is not None:
        return line_of(kept.number, alt)
    number = queries.last_number(session, project.id) + 1
    if number > MAX_PICTURES:
        raise InvalidInput(
            Sentence("Guidelines of a project have at most %(n)s pictures.", n=MAX_PICTURES)
        )
    session.add(
        GuidelinesPicture(project_id=project.id, number=number, image_sha256=sha256, alt=alt)
    )
    session.flush()  # the next number is counted from it
    record(
        session,
        GuidelinesPictureAdded(number=number, image=sha256),
        project_id=project.id,
        actor=actor,
    )
    return line_of(number, alt)
