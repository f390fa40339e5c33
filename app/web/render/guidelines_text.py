"""Guidelines as people read them: Markdown with the pictures of the project."""

from collections.abc import Sequence

from markupsafe import Markup
from sqlalchemy.orm import Session

from app.models import GuidelinesPicture, Image, Project
from app.queries.projects.guidelines_pictures import list_pictures
from app.services.projects.guidelines_pictures import list_mentioned
from app.web.assets.image_urls import image_url, srcset
from app.web.render.markdown import ShownPicture, render_markdown


def render_guidelines(session: Session, project: Project, text: str | None = None) -> Markup:
    """Returns the project's guidelines as HTML, or another text in their place."""
    text = project.guidelines if text is None else text
    # A page that shows none asks for none.
    pictures = list_pictures(session, project.id) if list_mentioned(text) else ()
    return render_markdown(text, shown_pictures(project, pictures))


def shown_pictures(
    project: Project, pictures: Sequence[tuple[GuidelinesPicture, Image]]
) -> tuple[ShownPicture, ...]:
    return tuple(
        ShownPicture(
            number=picture.number,
            url=image_url(project.slug, image.sha256),
            srcset=srcset(project.slug, image.sha256, image.width),
            width=image.width,
            height=image.height,
        )
        for picture, image in pictures
    )
