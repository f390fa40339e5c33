"""Pictures of guidelines."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import GuidelinesPicture, Image, Item, ProjectImage


def list_pictures(session: Session, project_id: int) -> Sequence[tuple[GuidelinesPicture, Image]]:
    """Returns the pictures of a project's guidelines in the order in which they were added, without
    those withdrawn.
    """
    withdrawn = (
        select(ProjectImage.image_sha256)
        .where(ProjectImage.project_id == project_id, ProjectImage.withdrawn_at.is_not(None))
        .scalar_subquery()
    )
    rows = session.execute(
        select(GuidelinesPicture, Image)
        .join(Image, Image.sha256 == GuidelinesPicture.image_sha256)
        .where(
            GuidelinesPicture.project_id == project_id,
            GuidelinesPicture.image_sha256.not_in(withdrawn),
        )
        .order_by(GuidelinesPicture.number)
    )
    return [(picture, image) for picture, image in rows]


def find_picture_of(session: Session, project_id: int, sha256: str) -> GuidelinesPicture | None:
    """Returns the picture of the project's guidelines with this content."""
    return session.scalars(
        select(GuidelinesPicture).where(
            GuidelinesPicture.project_id == project_id, GuidelinesPicture.image_sha256 == sha256
        )
    ).one_or_none()


def last_number(session: Session, project_id: int) -> int:
    """Returns the highest number given so far; 0 before the first picture."""
    highest = select(func.max(GuidelinesPicture.number)).where(
        GuidelinesPicture.project_id == project_id
    )
    return session.scalar(highest) or 0


def find_item_image(session: Session, project_id: int, external_id: str) -> Image | None:
    """Returns the image of the item with this id, as long as it is not withdrawn."""
    return session.scalars(
        select(Image)
        .join(ProjectImage, ProjectImage.image_sha256 == Image.sha256)
        .join(
            Item,
            (Item.project_id == ProjectImage.project_id)
            & (Item.image_sha256 == ProjectImage.image_sha256),
        )
        .where(
            Item.project_id == project_id,
            Item.external_id == external_id,
            ProjectImage.withdrawn_at.is_(None),
        )
    ).one_or_none()
